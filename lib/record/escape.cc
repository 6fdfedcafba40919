#include "record/escape.h"

namespace natsession {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

struct Sequence {
  std::size_t length;  // in bytes, at least 1
  bool valid;
};

bool in_range(std::uint8_t byte, std::uint8_t low, std::uint8_t high) {
  return byte >= low && byte <= high;
}

// The UTF-8 sequence that `text` begins with; if it is none, the longest beginning of one (Unicode, table
// 3-7).
Sequence first_sequence(std::string_view text) {
  const auto byte_at = [&](std::size_t at) { return static_cast<std::uint8_t>(text[at]); };
  const std::uint8_t lead = byte_at(0);
  if (lead < 0x80) return {1, true};

  std::size_t length = 0;
  if (in_range(lead, 0xc2, 0xdf)) length = 2;
  if (in_range(lead, 0xe0, 0xef)) length = 3;
  if (in_range(lead, 0xf0, 0xf4)) length = 4;
  if (length == 0) return {1, false};

  // The second byte's range is narrower where a shorter form, a surrogate or a number above U+10FFFF would
  // begin.
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xbf;
  if (lead == 0xe0) low = 0xa0;
  if (lead == 0xed) high = 0x9f;
  if (lead == 0xf0) low = 0x90;
  if (lead == 0xf4) high = 0x8f;
  for (std::size_t at = 1; at < length; ++at) {
    if (at >= text.size() || !in_range(byte_at(at), low, high)) return {at, false};
    low = 0x80;
    high = 0xbf;
  }
  return {length, true};
}

// Copies `text` as UTF-8; `write_ascii(out, byte)` writes the bytes below 0x80.
template <typename WriteAscii>
char* write_utf8(char* out, std::string_view text, WriteAscii write_ascii) {
  while (!text.empty()) {
    const Sequence sequence = first_sequence(text);
    if (!sequence.valid) {
      out = write_text(out, kReplacement);
    } else if (sequence.length == 1) {
      out = write_ascii(out, text.front());
    } else {
      out = write_text(out, text.substr(0, sequence.length));
    }
    text.remove_prefix(sequence.length);
  }
  return out;
}

char* write_as_is(char* out, char byte) {
  *out++ = byte;
  return out;
}

char* write_json_escaped(char* out, char byte) {
  static constexpr std::string_view kHexDigits = "0123456789abcdef";
  const auto code = static_cast<std::uint8_t>(byte);
  switch (byte) {
    case '"':
      return write_text(out, "\\\"");
    case '\\':
      return write_text(out, "\\\\");
    case '\n':
      return write_text(out, "\\n");
    case '\r':
      return write_text(out, "\\r");
    case '\t':
      return write_text(out, "\\t");
    default:
      if (code >= 0x20 && code != 0x7f) return write_as_is(out, byte);
      out = write_text(out, "\\u00");
      *out++ = kHexDigits[code >> 4];
      *out++ = kHexDigits[code & 0xf];
      return out;
  }
}

char* write_syslog_escaped(char* out, char byte) {
  if (byte == '"' || byte == '\\' || byte == ']') {
    *out++ = '\\';
    return write_as_is(out, byte);
  }
  const auto code = static_cast<std::uint8_t>(byte);
  if (code >= 0x20 && code != 0x7f) return write_as_is(out, byte);
  *out++ = '\\';
  return write_json_escaped(out, byte);
}

char* write_csv_escaped(char* out, char byte) {
  if (byte == '"') *out++ = '"';
  return write_as_is(out, byte);
}

}  // namespace

char* write_json_string_slowly(char* out, std::string_view text) {
  *out++ = '"';
  out = write_utf8(out, text, write_json_escaped);
  *out++ = '"';
  return out;
}

char* write_syslog_value_slowly(char* out, std::string_view text) {
  *out++ = '"';
  out = write_utf8(out, text, write_syslog_escaped);
  *out++ = '"';
  return out;
}

char* write_utf8_text(char* out, std::string_view text) {
  return write_utf8(out, text, write_as_is);
}

std::string utf8_of(std::string_view text) {
  std::string out(3 * text.size() + kTextSlack, '\0');
  out.resize(static_cast<std::size_t>(write_utf8_text(out.data(), text) - out.data()));
  return out;
}

char* write_csv_text_slowly(char* out, std::string_view text) {
  if ((needs_of(text) & text_tables::kQuotedInCsv) == 0) return write_utf8(out, text, write_as_is);
  *out++ = '"';
  out = write_utf8(out, text, write_csv_escaped);
  *out++ = '"';
  return out;
}

char* write_logfmt_text_slowly(char* out, std::string_view text) {
  if (!text.empty() && (needs_of(text) & text_tables::kQuotedInLogfmt) == 0) {
    return write_utf8(out, text, write_as_is);
  }
  return write_json_string_slowly(out, text);
}

}  // namespace natsession
