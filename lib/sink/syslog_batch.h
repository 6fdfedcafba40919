// SyslogBatch: a run of records as syslog messages, framed, in one buffer; where each ends.
// Threads: one, the sink's.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "record/session_record.h"
#include "sink/syslog_message.h"
#include "sink/syslog_settings.h"

namespace natsession {

class SyslogBatch {
 public:
  explicit SyslogBatch(const SyslogSettings& settings);

  // Takes records from the front until there are `limit_bytes`, but one in any case; or until the next one's
  // message would be too long.
  void fill(std::span<const SessionRecord> records, std::size_t limit_bytes);

  [[nodiscard]] std::string_view text() const { return text_; }
  [[nodiscard]] std::span<const std::size_t> ends() const { return ends_; }
  // The message at `index`, with its framing.
  [[nodiscard]] std::string_view message(std::size_t index) const {
    const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
    return std::string_view(text_).substr(begin, ends_[index] - begin);
  }
  // Why the first of the records cannot be sent, ever; empty if it can.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }

 private:
  bool append(const SessionRecord& record);

  const SyslogMessage encoder_;
  const SyslogFraming framing_;
  const std::size_t max_message_;
  std::string message_;
  std::string text_;
  std::vector<std::size_t> ends_;
  std::string refusal_;
};

}  // namespace natsession
