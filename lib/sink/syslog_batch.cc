#include "sink/syslog_batch.h"

#include <array>

#include <unistd.h>

namespace natsession {
namespace {

// In the order of their numbers: RFC 5424, tables 1 and 2; the names are those of syslog.conf(5).
constexpr std::array<std::string_view, 24> kFacilities{
    "kern",   "user",   "mail",     "daemon", "auth",   "syslog", "lpr",    "news",
    "uucp",   "cron",   "authpriv", "ftp",    "ntp",    "audit",  "alert",  "clock",
    "local0", "local1", "local2",   "local3", "local4", "local5", "local6", "local7"};
constexpr std::array<std::string_view, 8> kSeverities{"emerg",   "alert",  "crit", "err",
                                                      "warning", "notice", "info", "debug"};
constexpr std::size_t kMaxMessage = 65'507;  // the most that a UDP datagram over IPv4 holds

OptionValue<SyslogSettings> numbered(int SyslogHeader::*member, std::span<const std::string_view> names) {
  return {.put = [=](SyslogSettings& settings, std::string_view text) -> Result<void> {
            const auto number = option_text::word(text, names);
            if (!number) return number.error();
            settings.header.*member = static_cast<int>(*number);
            return {};
          },
          .texts = [=](const SyslogSettings& settings) -> std::vector<std::string> {
            return {std::string(names[static_cast<std::size_t>(settings.header.*member)])};
          }};
}

}  // namespace

std::span<const Option<SyslogSettings>> syslog_options() {
  static const Option<SyslogSettings> kTable[] = {
      {"facility", "NAME", "local0 to local7, daemon, user ...",
       numbered(&SyslogHeader::facility, kFacilities)},
      {"severity", "NAME", "of sessions: info, notice, debug ...; a gap is a warning",
       numbered(&SyslogHeader::severity, kSeverities)},
      {"max_message", "BYTES", "a longer message is refused, never cut; rsyslog's limit is 8192",
       number_option(&SyslogSettings::max_message, Range<std::size_t>{2048, kMaxMessage})},
      {"timeout", "TIME", "to connect, and for a receiver that takes nothing",
       time_option(&SyslogSettings::timeout, {std::chrono::milliseconds(100), std::chrono::minutes(5)})},
  };
  return kTable;
}

std::span<const Option<SyslogSettings>> syslog_framing_options() {
  static const Option<SyslogSettings> kTable[] = {
      {"framing", "octet|newline",
       "how messages are told apart: by a length before each (RFC 6587), or by a newline, for old receivers; "
       "default octet",
       choice_option(&SyslogSettings::framing, Names<SyslogFraming>{{"octet", SyslogFraming::kOctets},
                                                                    {"newline", SyslogFraming::kNewline}})},
  };
  return kTable;
}

Result<SyslogSettings> SyslogSettings::parse(const SinkUrl& url, SyslogFraming framing) {
  SyslogSettings settings;
  settings.framing = framing;
  settings.header.process_id = ::getpid();
  for (const auto table : {syslog_options(), syslog_framing_options()}) {
    if (auto read = read_options(url, table, settings); !read) return read.error();
  }
  return settings;
}

SyslogSettings SyslogSettings::with(const EncoderOptions& encoder) const {
  SyslogSettings settings = *this;
  settings.options = encoder;
  return settings;
}

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
