#include "sink/syslog_message.h"

#include <algorithm>
#include <array>

#include "record/fields.h"

namespace natsession {
namespace {

constexpr std::size_t kMaxHostname = 255;
constexpr std::string_view kApplication = " natsessiond ";
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
struct ElementFormat {
  TimeFormat time_format;

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
  template <Field kField>
  char* word(char* out, std::string_view value) const {
    return end(write_text(key<kField>(out), value));
  }
  template <Field kField>
  char* address(char* out, const IpAddress& value) const {
    return end(write_address(key<kField>(out), value));
  }
  template <Field kField>
  char* number(char* out, std::uint64_t value) const {
    return end(write_uint(key<kField>(out), value));
  }
  template <Field kField>
  char* hex(char* out, std::uint64_t value) const {
    return end(write_hex64(key<kField>(out), value));
  }
  template <Field kField>
  char* time(char* out, UnixMs value) const {
    return end(write_time(key<kField>(out), value, time_format));
  }
  template <Field kField>
  char* null(char* out) const {
    return out;
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

}  // namespace

SyslogMessage::SyslogMessage(const SyslogHeader& header, const EncoderOptions& options)
    : header_(header),
      options_(options),
      process_id_(header.process_id > 0 ? std::to_string(header.process_id) : "-"),
      text_(make_encoder(options)) {}

void SyslogMessage::append(const SessionRecord& record, std::string& out) const {
  const bool gap = record.event == RecordEvent::kGap;
  const int severity = gap ? std::min(header_.severity, SyslogHeader::kWarning) : header_.severity;
  out += '<';
  out += std::to_string(header_.facility * 8 + severity);
  out += ">1 ";
  append_timestamp(record.end_time, out);
  out += ' ';
  append_hostname(record.origin->instance, out);
  out += kApplication;
  out += process_id_;
  out += ' ';
  out += to_string(record.event);
  append_line(out, max_element_length(record), [&](char* at) {
    at = write_text(at, kElement);
    const Selection selection{.extra = true, .netns = options_.with_netns, .gap_fields = gap};
    at = write_fields(record, selection, ElementFormat{options_.time_format}, at);
    return write_text(at, "] ");
  });
  text_->append(record, out);
  out.pop_back();  // the encoder's newline
}

}  // namespace natsession
