// TargetCode: why a target refuses, in the codes of the log's specification (Delivery).
// Threads: a plain value type.
#pragma once

#include <string_view>

namespace natsession {

enum class TargetCode {
  kProjectNotExist,   // the destination (host's service, database, directory) does not exist
  kLogStoreNotExist,  // the table, topic or index in it does not exist
  kProjectForbidden,  // the destination refuses all writes
  kInvalidAccessKeyId,
  kUnauthorized,
  kWriteQuotaExceed,       // the destination throttles
  kShardWriteQuotaExceed,  // its partition throttles
};

// The specification's names: ProjectNotExist ….
[[nodiscard]] std::string_view to_string(TargetCode code);

}  // namespace natsession
