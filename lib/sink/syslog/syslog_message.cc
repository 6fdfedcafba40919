#include "sink/syslog/syslog_message.h"

#include <algorithm>
#include <array>

#include <unistd.h>

#include "record/fields.h"

namespace natsession {
namespace {

constexpr std::size_t kMaxHostname = 255;
constexpr std::string_view kApplication = "natsessiond";
constexpr std::string_view kNatApplication = "NAT";
constexpr std::string_view kElement = " [natsession@32473";

// ` pri_ip="`, as one constant; a text writes its quotes itself.
template <Field kField, bool kQuote>
inline constexpr auto kKey = [] {
  constexpr std::string_view kName = kSpec<kField>.name;
  std::array<char, 1 + kName.size() + 1 + (kQuote ? 1 : 0)> text{};
  text[0] = ' ';
  std::copy(kName.begin(), kName.end(), text.begin() + 1);
  text[1 + kName.size()] = '=';
  if constexpr (kQuote) text[2 + kName.size()] = '"';
  return text;
}();

// For write_fields(): see record/fields.h.
struct ElementFormat : DelimitedFormat<ElementFormat> {
  template <Field kField, bool kQuote = true>
  static char* key(char* out) {
    return write_text(out, {kKey<kField, kQuote>.data(), kKey<kField, kQuote>.size()});
  }
  static char* end(char* out) {
    *out++ = '"';
    return out;
  }

  template <Field kField>
  char* text(char* out, std::string_view value) const {
    return write_syslog_value(key<kField, false>(out), value);
  }
};

std::size_t max_element_length(const SessionRecord& record) {
  constexpr std::size_t kPunctuation = 4;  // space, =, two quotes
  return kElement.size() + 2 + max_fields_length<kPunctuation>(record, [](std::size_t size) {
           return kMaxSyslogEscapedPerByte * size;
         });
}

// RFC 5424 has years of four digits only.
void append_timestamp(UnixMs time, std::string& out) {
  using std::chrono::sys_days;
  using std::chrono::year;
  if (time < UnixMs(sys_days(year(0) / 1 / 1)) || time >= UnixMs(sys_days(year(10'000) / 1 / 1))) {
    out += '-';
    return;
  }
  append_line(out, kMaxTimeLength + kTextSlack, [&](char* at) { return write_rfc3339(at, time); });
}

void append_hostname(std::string_view instance, std::string& out) {
  if (instance.empty()) {
    out += '-';
    return;
  }
  for (const char byte : instance.substr(0, kMaxHostname)) out += byte > ' ' && byte < '\x7f' ? byte : '_';
}

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

SyslogMessage::SyslogMessage(const SyslogHeader& header, const EncoderOptions& options, bool nat)
    : header_(header),
      options_(options),
      nat_(nat),
      process_id_(header.process_id > 0 ? std::to_string(header.process_id) : "-"),
      text_(make_encoder(options)) {}

// Of an encoder of its own: its names and values, and its line.
void SyslogMessage::append_own(const SessionRecord& record, std::string& out) const {
  std::vector<std::pair<std::string_view, std::string>> pairs;
  options_.own->append_pairs(record, pairs);
  append_header(record, record.end_time, kApplication,
                options_.own->is_of_sessions() ? to_string(record.event) : "flow", out);
  out += kElement;
  for (const auto& [name, value] : pairs) {
    (out += ' ').append(name) += '=';
    append_line(out, value.size() * kMaxSyslogEscapedPerByte + 2 + kTextSlack,
                [&text = value](char* at) { return write_syslog_value(at, text); });
  }
  out += "] ";
  text_->append(record, out);
  out.pop_back();  // the encoder's newline
}

void SyslogMessage::append(const SessionRecord& record, std::string& out) const {
  if (options_.own) return append_own(record, out);
  if (nat_ && (record.event == RecordEvent::kStart || record.event == RecordEvent::kEnd)) {
    append_nat(record, out);
    return;
  }
  const bool gap = record.event == RecordEvent::kGap;
  append_header(record, record.end_time, kApplication, to_string(record.event), out);
  append_line(out, max_element_length(record), [&](char* at) {
    at = write_text(at, kElement);
    const Selection selection{.extra = true, .netns = options_.with_netns, .gap_fields = gap};
    at = write_fields(record, selection, ElementFormat{{options_.time_format}}, at);
    return write_text(at, "] ");
  });
  text_->append(record, out);
  out.pop_back();  // the encoder's newline
}

void SyslogMessage::append_header(const SessionRecord& record, UnixMs time, std::string_view application,
                                  std::string_view message_id, std::string& out) const {
  const bool gap = record.event == RecordEvent::kGap;
  const int severity = gap ? std::min(header_.severity, SyslogHeader::kWarning) : header_.severity;
  out += '<';
  out += std::to_string(header_.facility * 8 + severity);
  out += ">1 ";
  append_timestamp(time, out);
  out += ' ';
  append_hostname(record.origin->instance, out);
  for (const std::string_view word : {application, std::string_view(process_id_), message_id}) {
    out += ' ';
    out += word;
  }
}

void SyslogMessage::append_nat(const SessionRecord& record, std::string& out) const {
  const bool start = record.event == RecordEvent::kStart;
  append_header(record, start ? record.start_time : record.end_time, kNatApplication, start ? "SADD" : "SDEL",
                out);
  const auto number = [&](std::string_view name, unsigned value) {
    out += name;
    out += std::to_string(value);
    out += '"';
  };
  const auto address = [&](std::string_view name, const IpAddress& value) {
    std::array<char, IpAddress::kMaxTextLength + kTextSlack> text;
    out += name;
    out.append(text.data(), static_cast<std::size_t>(value.write(text.data()) - text.data()));
    out += '"';
  };
  const auto type = [&](std::string_view name, const IpAddress& value) {
    out += name;
    out += value.is_v4() ? "IPv4\"" : "IPv6\"";
  };
  number(" [nsess SSUBIX=\"", record.zone);
  number(" SVLAN=\"", 0);
  type(" IATYP=\"", record.pri_ip);
  address(" ISADDR=\"", record.pri_ip);
  number(" ISPORT=\"", record.pri_port);
  type(" XATYP=\"", record.nat_ip);
  address(" XSADDR=\"", record.nat_ip);
  number(" XSPORT=\"", record.nat_port);
  number(" PROTO=\"", record.protocol);
  address(" XDADDR=\"", record.pub_ip);
  number(" XDPORT=\"", record.pub_port);
  out += ']';
}

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
  settings.nat = std::any_of(url.options.begin(), url.options.end(), [](const SinkUrl::Option& given) {
    return given.key == "format" && given.value == kNatFormat;
  });
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
    : encoder_(settings.header, settings.options, settings.nat),
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
