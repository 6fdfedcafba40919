#include "sink/syslog_settings.h"

#include <array>

#include <unistd.h>

#include "sink/encoder_choice.h"
#include "sink/option_value.h"

namespace natsession {
namespace {

// In the order of their numbers: RFC 5424, tables 1 and 2; the names are those of syslog.conf(5).
constexpr std::array<std::string_view, 24> kFacilities{
    "kern",   "user",   "mail",     "daemon", "auth",   "syslog", "lpr",    "news",
    "uucp",   "cron",   "authpriv", "ftp",    "ntp",    "audit",  "alert",  "clock",
    "local0", "local1", "local2",   "local3", "local4", "local5", "local6", "local7"};
constexpr std::array<std::string_view, 8> kSeverities{"emerg",   "alert",  "crit", "err",
                                                      "warning", "notice", "info", "debug"};
constexpr std::array<std::string_view, 2> kFramings{"octet", "newline"};

constexpr std::uint64_t kMinMessage = 2048;
constexpr std::uint64_t kMaxMessage = 65'507;  // the most that a UDP datagram over IPv4 holds

constexpr std::array kTable{
    SinkOption{"facility", "NAME", "local0 to local7, daemon, user ...; default local0"},
    SinkOption{"severity", "NAME", "of sessions: info, notice, debug ...; default info; a gap is a warning"},
    SinkOption{
        "max_message", "BYTES",
        "a longer message is refused, never cut; 2048 to 65507, default 8192, which is rsyslog's limit"},
    SinkOption{"timeout", "TIME",
               "to connect, and for a receiver that takes nothing, 100ms to 5m; default 10s"},
};

}  // namespace

std::span<const SinkOption> syslog_option_table() {
  return kTable;
}

Result<SyslogSettings> SyslogSettings::parse(const SinkUrl& url, const EncoderOptions& defaults,
                                             SyslogFraming framing) {
  SyslogSettings settings;
  const auto options = message_options(url, defaults);
  if (!options) return options.error();
  settings.options = *options;
  settings.framing = framing;
  settings.header.process_id = ::getpid();
  for (const SinkUrl::Option& option : url.options) {
    if (option.key == "facility") {
      const auto number = option_word(url, option, kFacilities);
      if (!number) return number.error();
      settings.header.facility = static_cast<int>(*number);
    } else if (option.key == "severity") {
      const auto number = option_word(url, option, kSeverities);
      if (!number) return number.error();
      settings.header.severity = static_cast<int>(*number);
    } else if (option.key == "max_message") {
      const auto bytes = option_number(url, option, kMinMessage, kMaxMessage);
      if (!bytes) return bytes.error();
      settings.max_message = static_cast<std::size_t>(*bytes);
    } else if (option.key == "timeout") {
      const auto time = option_time(url, option, std::chrono::milliseconds(100), std::chrono::minutes(5));
      if (!time) return time.error();
      settings.timeout = *time;
    } else if (option.key == "framing") {
      const auto number = option_word(url, option, kFramings);
      if (!number) return number.error();
      settings.framing = *number == 0 ? SyslogFraming::kOctets : SyslogFraming::kNewline;
    }
  }
  return settings;
}

}  // namespace natsession
