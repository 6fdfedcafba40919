#include "sink/target_code.h"

namespace natsession {

std::string_view to_string(TargetCode code) {
  switch (code) {
    case TargetCode::kProjectNotExist:
      return "ProjectNotExist";
    case TargetCode::kLogStoreNotExist:
      return "LogStoreNotExist";
    case TargetCode::kProjectForbidden:
      return "ProjectForbidden";
    case TargetCode::kInvalidAccessKeyId:
      return "InvalidAccessKeyId";
    case TargetCode::kUnauthorized:
      return "Unauthorized";
    case TargetCode::kWriteQuotaExceed:
      return "WriteQuotaExceed";
    case TargetCode::kShardWriteQuotaExceed:
      return "ShardWriteQuotaExceed";
  }
  return {};
}

}  // namespace natsession
