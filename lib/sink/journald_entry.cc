#include "sink/journald_entry.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "record/fields.h"

namespace natsession {
namespace {

constexpr std::string_view kPrefix = "NATSESSION_";
constexpr std::size_t kFraming = 1 + 8 + 1;  // newline, length, newline: more than "=" and newline

constexpr std::string_view kConstantFields =
    "PRIORITY=6\n"
    "SYSLOG_IDENTIFIER=natsessiond\n"
    "MESSAGE_ID=";

constexpr char to_capital(char byte) {
  return byte >= 'a' && byte <= 'z' ? static_cast<char>(byte - 'a' + 'A') : byte;
}

// "NATSESSION_PRI_IP", as one constant.
template <Field kField>
inline constexpr auto kName = [] {
  constexpr std::string_view kPlain = kSpec<kField>.name;
  std::array<char, kPrefix.size() + kPlain.size()> text{};
  std::copy(kPrefix.begin(), kPrefix.end(), text.begin());
  std::transform(kPlain.begin(), kPlain.end(), text.begin() + kPrefix.size(), to_capital);
  return text;
}();

char* write_length(char* out, std::uint64_t length) {
  for (int shift = 0; shift < 64; shift += 8) *out++ = static_cast<char>((length >> shift) & 0xff);
  return out;
}

char* write_value(char* out, std::string_view value) {
  if (value.find('\n') == std::string_view::npos) {
    *out++ = '=';
  } else {
    *out++ = '\n';
    out = write_length(out, value.size());
  }
  out = write_text(out, value);
  *out++ = '\n';
  return out;
}

// For write_fields(): see record/fields.h.
struct JournalFormat {
  TimeFormat time_format;

  template <Field kField>
  static char* name(char* out) {
    return write_text(out, {kName<kField>.data(), kName<kField>.size()});
  }
  template <Field kField>
  static char* key(char* out) {
    out = name<kField>(out);
    *out++ = '=';
    return out;
  }
  static char* end(char* out) {
    *out++ = '\n';
    return out;
  }

  template <Field kField>
  char* text(char* out, std::string_view value) const {
    return value.empty() ? out : write_value(name<kField>(out), value);
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

std::size_t max_length(const SessionRecord& record) {
  return max_fields_length<kPrefix.size() + kFraming>(record, [](std::size_t size) { return size; });
}

// The encoder ends its line with a newline, which ends the field as well.
void append_message(const SessionRecord& record, const Encoder& message, std::string& out) {
  constexpr std::string_view kName = "MESSAGE";
  const std::size_t begin = out.size();
  out += kName;
  out += '=';
  message.append(record, out);
  const std::size_t text = begin + kName.size() + 1;
  const std::size_t length = out.size() - text - 1;
  if (out.find('\n', text) == out.size() - 1) return;
  std::array<char, 9> framing{'\n'};
  write_length(framing.data() + 1, length);
  out.replace(text - 1, 1, framing.data(), framing.size());
}

}  // namespace

void append_journal_entry(const SessionRecord& record, const Encoder& message, const EncoderOptions& options,
                          std::string& out) {
  append_message(record, message, out);
  out += kConstantFields;
  out += kRecordMessageId;
  out += '\n';
  const Selection selection{
      .extra = true, .netns = options.with_netns, .gap_fields = record.event == RecordEvent::kGap};
  append_line(out, max_length(record), [&](char* at) {
    return write_fields(record, selection, JournalFormat{options.time_format}, at);
  });
}

}  // namespace natsession
