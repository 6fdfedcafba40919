#include "sink/syslog_batch.h"

namespace natsession {

SyslogBatch::SyslogBatch(const SyslogSettings& settings)
    : encoder_(settings.header, settings.options),
      framing_(settings.framing),
      max_message_(settings.max_message) {}

void SyslogBatch::fill(std::span<const SessionRecord> records, std::size_t limit_bytes) {
  text_.clear();
  ends_.clear();
  refusal_.clear();
  for (const SessionRecord& record : records) {
    if (!append(record)) return;
    if (text_.size() >= limit_bytes) return;
  }
}

bool SyslogBatch::append(const SessionRecord& record) {
  message_.clear();
  encoder_.append(record, message_);
  if (message_.size() > max_message_) {
    if (ends_.empty()) {
      refusal_ = "the message has " + std::to_string(message_.size()) + " bytes, and max_message is " +
                 std::to_string(max_message_);
    }
    return false;
  }
  if (framing_ == SyslogFraming::kOctets) {
    text_ += std::to_string(message_.size());
    text_ += ' ';
  }
  text_ += message_;
  if (framing_ == SyslogFraming::kNewline) text_ += '\n';
  ends_.push_back(text_.size());
  return true;
}

}  // namespace natsession
