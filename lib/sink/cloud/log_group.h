// LogEncoder: records as the messages that SLS and CLS take. Both have the same Log; what stands around the
// logs differs.
//
//   LogGroup = *( 1: Log ) …
//   Log      = 1: varint, Unix seconds; *( 2: Content )
//   Content  = 1: name; 2: value, as text
//
// A record's fields have their names and the values of the text formats; what has no value is left out. Texts
// are made UTF-8.
// Threads: any; no state is kept between calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/option.h"
#include "base/result.h"
#include "base/time.h"
#include "record/encoder.h"
#include "record/session_record.h"

namespace natsession {

// The time of a record where a service wants one: of a start when the session began, else when the slice
// ended.
[[nodiscard]] inline UnixMs log_time(const SessionRecord& record) {
  return record.event == RecordEvent::kStart ? record.start_time : record.end_time;
}

class LogEncoder {
 public:
  explicit LogEncoder(const EncoderOptions& options) : options_(options) {}
  // Appends field 1 of a LogGroup.
  void append(const SessionRecord& record, std::string& out) const;
  void append_pairs(const SessionRecord& record, std::string& out) const;
  // Makes `group` a LogGroup of the first of `records`, as many as are within `limits`, and at least one,
  // where there is one. Returns of how many. Its source is the first one's instance.
  struct Limits {
    std::size_t logs;
    std::size_t bytes;
  };
  std::size_t fill(std::span<const SessionRecord> records, const Limits& limits, std::string& group) const;

 private:
  const EncoderOptions options_;
};

enum class LogCompression { kLz4, kZstd, kNone };
[[nodiscard]] Names<LogCompression> log_compressions();  // lz4 zstd none

// Compresses `text` into `room`, if that is asked for; `body` becomes what is to be sent. Returns the name
// that it has in a header; empty: it is not compressed.
// Errors: as lz4_text() and zstd_text().
[[nodiscard]] Result<std::string_view> compress_logs(LogCompression how, std::string_view text,
                                                     std::string& room, std::string_view& body);

}  // namespace natsession
