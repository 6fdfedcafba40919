// Texts that may hold anything (instance, vpc_id, netns), made safe for each format.
// Shape:   each function writes at `out`, which must have room for max_escaped_length(), and returns the new
//          end. The result is always UTF-8: what is not becomes U+FFFD, one for each maximal part of a
//          sequence (Unicode 3.9, the practice of W3C's decoders).
// Threads: any; pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "record/text_writer.h"

namespace natsession {

inline constexpr std::size_t kMaxEscapedPerByte = 6;  // \u001f

constexpr std::size_t max_escaped_length(std::size_t text_length) {
  return text_length * kMaxEscapedPerByte + 2;
}

// In quotes, with the escapes of JSON.
char* write_json_string_slowly(char* out, std::string_view text);
// As it is, or in quotes with quotes doubled (RFC 4180).
char* write_csv_text_slowly(char* out, std::string_view text);
// As it is, or in quotes with the escapes of JSON.
char* write_logfmt_text_slowly(char* out, std::string_view text);

// As it is. Up to three bytes for each.
char* write_utf8_text(char* out, std::string_view text);
[[nodiscard]] std::string utf8_of(std::string_view text);

// In quotes, as a PARAM-VALUE of RFC 5424, 6.3.3: a backslash before ", \ and ]. Control characters, which a
// receiver may take for the end of the message, become the escapes of JSON, whose backslash is one of the
// value.
inline constexpr std::size_t kMaxSyslogEscapedPerByte = 7;  // \\u001f
char* write_syslog_value_slowly(char* out, std::string_view text);

namespace text_tables {

// What a byte asks for.
inline constexpr std::uint8_t kEscapedInJson = 1;
inline constexpr std::uint8_t kQuotedInCsv = 2;
inline constexpr std::uint8_t kQuotedInLogfmt = 4;
inline constexpr std::uint8_t kNotAscii = 8;
inline constexpr std::uint8_t kEscapedInSyslog = 16;

inline constexpr auto kByteNeeds = [] {
  std::array<std::uint8_t, 256> needs{};
  for (std::size_t byte = 0; byte < needs.size(); ++byte) {
    if (byte < 0x20 || byte == 0x7f) {
      needs[byte] = kEscapedInJson | kQuotedInCsv | kQuotedInLogfmt | kEscapedInSyslog;
    }
    if (byte >= 0x80) needs[byte] = kNotAscii;
  }
  needs['"'] = kEscapedInJson | kQuotedInCsv | kQuotedInLogfmt | kEscapedInSyslog;
  needs['\\'] = kEscapedInJson | kEscapedInSyslog;
  needs[']'] = kEscapedInSyslog;
  needs[','] = kQuotedInCsv;
  needs[' '] = kQuotedInLogfmt;
  needs['='] = kQuotedInLogfmt;
  return needs;
}();

}  // namespace text_tables

// All that the bytes of `text` ask for together.
inline std::uint8_t needs_of(std::string_view text) {
  unsigned needs = 0;
  for (const char byte : text) needs |= text_tables::kByteNeeds[static_cast<std::uint8_t>(byte)];
  return static_cast<std::uint8_t>(needs);
}

inline char* write_json_string(char* out, std::string_view text) {
  if ((needs_of(text) & (text_tables::kEscapedInJson | text_tables::kNotAscii)) != 0) {
    return write_json_string_slowly(out, text);
  }
  *out++ = '"';
  out = write_text(out, text);
  *out++ = '"';
  return out;
}

inline char* write_csv_text(char* out, std::string_view text) {
  if ((needs_of(text) & (text_tables::kQuotedInCsv | text_tables::kNotAscii)) != 0) {
    return write_csv_text_slowly(out, text);
  }
  return write_text(out, text);
}

inline char* write_logfmt_text(char* out, std::string_view text) {
  if (text.empty() || (needs_of(text) & (text_tables::kQuotedInLogfmt | text_tables::kNotAscii)) != 0) {
    return write_logfmt_text_slowly(out, text);
  }
  return write_text(out, text);
}

inline char* write_syslog_value(char* out, std::string_view text) {
  if ((needs_of(text) & (text_tables::kEscapedInSyslog | text_tables::kNotAscii)) != 0) {
    return write_syslog_value_slowly(out, text);
  }
  *out++ = '"';
  out = write_text(out, text);
  *out++ = '"';
  return out;
}

}  // namespace natsession
