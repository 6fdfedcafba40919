// Records as OpenTelemetry logs: a message ExportLogsServiceRequest in protobuf.
// Source:  opentelemetry-proto 1.3, collector/logs/v1 and logs/v1; names of attributes: flat_record.h.
// Threads: one for each object.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "record/session_record.h"

namespace natsession {

class OtlpMessage {
 public:
  // Makes a message of the first of `records`, as many as go into about `most` bytes; returns of how many: at
  // least 1. Records of one origin stand under one resource, in their order.
  std::size_t fill(std::span<const SessionRecord> records, std::size_t most);
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  struct Resource {
    const Origin* origin = nullptr;
    std::string records;  // fields log_records
  };

  std::vector<Resource> resources_;
  std::string record_;  // scratch
  std::string bytes_;
};

// What an ExportLogsServiceResponse says of records that were not taken.
struct OtlpPartialSuccess {
  std::uint64_t rejected = 0;
  std::string message;
};
// Nothing if the bytes are no such message.
[[nodiscard]] std::optional<OtlpPartialSuccess> read_otlp_response(std::string_view bytes);

}  // namespace natsession
