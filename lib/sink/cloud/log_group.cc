#include "sink/cloud/log_group.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "record/fields.h"
#include "sink/encoding/compressor.h"
#include "sink/encoding/protobuf.h"

namespace natsession {
namespace {

constexpr std::size_t kKeys = 3;           // of a Content, of its name and of its value
constexpr std::size_t kShortLimit = 0x80;  // below it a length is one byte

// Of a Content all before its value, as one constant: both lengths that are not known yet are one byte here.
template <Field kField>
inline constexpr auto kContentHead = [] {
  constexpr std::string_view kName = kSpec<kField>.name;
  static_assert(kName.size() < kShortLimit);
  std::array<char, kKeys + 3 + kName.size()> text{};
  std::size_t at = 0;
  text[at++] = bytes_key(2);
  text[at++] = 0;
  text[at++] = bytes_key(1);
  text[at++] = static_cast<char>(kName.size());
  for (const char byte : kName) text[at++] = byte;
  text[at++] = bytes_key(2);
  text[at] = 0;
  return text;
}();

struct LogFormat {
  TimeFormat time_format;

  template <Field kField, typename Write>
  static char* content(char* out, Write write) {
    constexpr auto& kHead = kContentHead<kField>;
    constexpr std::size_t kBeforeValue = kHead.size() - 2;  // behind the Content's own key and length
    std::memcpy(out, kHead.data(), kHead.size());
    char* const value = out + kHead.size();
    char* const end = write(value);
    const auto length = static_cast<std::size_t>(end - value);
    if (kBeforeValue + length < kShortLimit) {
      out[1] = static_cast<char>(kBeforeValue + length);
      value[-1] = static_cast<char>(length);
      return end;
    }
    return widen(out, value, length);
  }

  // The value moves behind lengths of more than one byte, and what stands before it behind the first of them.
  static char* widen(char* out, char* value, std::size_t length) {
    const std::size_t before = static_cast<std::size_t>(value - out) - 3;  // name and keys
    const std::size_t inner = before + varint_length(length) + length;
    const std::size_t more = varint_length(inner) - 1;
    std::memmove(value + more + varint_length(length) - 1, value, length);
    std::memmove(out + 2 + more, out + 2, before);
    write_varint(out + 1, inner);
    return write_varint(out + 2 + more + before, length) + length;
  }

  template <Field kField>
  char* text(char* out, std::string_view text) const {
    return content<kField>(out, [text](char* at) {
      if ((needs_of(text) & text_tables::kNotAscii) != 0) return write_utf8_text(at, text);
      return write_text(at, text);
    });
  }
  template <Field kField>
  char* word(char* out, std::string_view word) const {
    return content<kField>(out, [word](char* at) { return write_text(at, word); });
  }
  template <Field kField>
  char* address(char* out, const IpAddress& address) const {
    return content<kField>(out, [&address](char* at) { return write_address(at, address); });
  }
  template <Field kField>
  char* number(char* out, std::uint64_t number) const {
    return content<kField>(out, [number](char* at) { return write_uint(at, number); });
  }
  template <Field kField>
  char* hex(char* out, std::uint64_t number) const {
    return content<kField>(out, [number](char* at) { return write_hex64(at, number); });
  }
  template <Field kField>
  char* time(char* out, UnixMs time) const {
    return content<kField>(out, [time, this](char* at) { return write_time(at, time, time_format); });
  }
  template <Field kField>
  char* null(char* out) const {
    return out;
  }
};

// Of a Content beyond name and value: three keys, a length of the name, and two of up to ten bytes.
constexpr std::size_t kContentOverhead = kKeys + 1 + 2 * kMaxVarint;

}  // namespace

void LogEncoder::append(const SessionRecord& record, std::string& out) const {
  if (options_.own) return append_pairs(record, out);
  const bool gap = record.event == RecordEvent::kGap;
  const bool all = gap || options_.fields == FieldSet::kAll;
  const Selection selection{.extra = all, .netns = all && options_.with_netns, .gap_fields = gap};
  const std::size_t room =
      max_fields_length<kContentOverhead>(record, [](std::size_t size) { return 3 * size; });
  append_line(out, room + 2 * (1 + kMaxVarint), [&](char* at) {
    // Nearly every log has a length of two bytes.
    constexpr std::size_t kUsual = 2;
    char* const log = at + 1 + kUsual;
    const std::int64_t seconds =
        std::chrono::floor<std::chrono::seconds>(log_time(record)).time_since_epoch().count();
    *log = varint_key(1);
    char* end = write_varint(
        log + 1, static_cast<std::uint64_t>(std::clamp<std::int64_t>(seconds, 0, std::int64_t{0xffffffff})));
    end = write_fields(record, selection, LogFormat{options_.time_format}, end);
    const auto length = static_cast<std::size_t>(end - log);
    const std::size_t width = varint_length(length);
    if (width != kUsual) std::memmove(at + 1 + width, log, length);
    *at = bytes_key(1);
    return write_varint(at + 1, length) + length;
  });
}

void LogEncoder::append_pairs(const SessionRecord& record, std::string& out) const {
  std::vector<std::pair<std::string_view, std::string>> pairs;
  options_.own->append_pairs(record, pairs);
  std::string log;
  const auto append_number = [&](std::uint64_t number) {
    append_line(log, kMaxVarint, [&](char* at) { return write_varint(at, number); });
  };
  log += varint_key(1);
  append_number(static_cast<std::uint64_t>(std::clamp<std::int64_t>(
      std::chrono::floor<std::chrono::seconds>(log_time(record)).time_since_epoch().count(), 0,
      std::int64_t{0xffffffff})));
  for (const auto& [name, value] : pairs) {
    std::string content;
    append_bytes(content, 1, name);
    append_bytes(content, 2, utf8_of(value));
    append_bytes(log, 2, content);
  }
  append_bytes(out, 1, log);
}

std::size_t LogEncoder::fill(std::span<const SessionRecord> records, const Limits& limits,
                             std::string& group) const {
  group.clear();
  std::size_t count = 0;
  while (count < records.size() && count < limits.logs) {
    const std::size_t before = group.size();
    append(records[count], group);
    if (group.size() > limits.bytes && count > 0) {
      group.resize(before);
      break;
    }
    ++count;
  }
  if (count > 0) append_bytes(group, 4, utf8_of(records.front().origin->instance));
  return count;
}

Names<LogCompression> log_compressions() {
  return {{"lz4", LogCompression::kLz4}, {"zstd", LogCompression::kZstd}, {"none", LogCompression::kNone}};
}

Result<std::string_view> compress_logs(LogCompression how, std::string_view text, std::string& room,
                                       std::string_view& body) {
  body = text;
  if (how == LogCompression::kNone) return std::string_view();
  const bool lz4 = how == LogCompression::kLz4;
  if (const auto packed = lz4 ? lz4_text(text, room) : zstd_text(text, room); !packed) return packed.error();
  body = room;
  return std::string_view(lz4 ? "lz4" : "zstd");
}

}  // namespace natsession
