#include "record/logfmt_encoder.h"

#include "record/escape.h"
#include "record/fields.h"

namespace natsession {
namespace {

// ` pri_ip=`, as one constant.
template <Field kField>
inline constexpr auto kKey = [] {
  constexpr std::string_view kName = kSpec<kField>.name;
  constexpr std::size_t kSpace = kField == Field::kInstance ? 0 : 1;
  std::array<char, kSpace + kName.size() + 1> text{};
  std::size_t at = 0;
  if (kSpace == 1) text[at++] = ' ';
  for (const char byte : kName) text[at++] = byte;
  text[at] = '=';
  return text;
}();

struct LogfmtFormat {
  TimeFormat time_format;

  template <Field kField>
  static char* key(char* out) {
    std::memcpy(out, kKey<kField>.data(), kKey<kField>.size());
    return out + kKey<kField>.size();
  }

  template <Field kField>
  char* text(char* out, std::string_view value) const {
    return write_logfmt_text(key<kField>(out), value);
  }
  template <Field kField>
  char* word(char* out, std::string_view value) const {
    return write_text(key<kField>(out), value);
  }
  template <Field kField>
  char* address(char* out, const IpAddress& value) const {
    return write_address(key<kField>(out), value);
  }
  template <Field kField>
  char* number(char* out, std::uint64_t value) const {
    return write_uint(key<kField>(out), value);
  }
  template <Field kField>
  char* hex(char* out, std::uint64_t value) const {
    return write_hex64(key<kField>(out), value);
  }
  template <Field kField>
  char* time(char* out, UnixMs value) const {
    return write_time(key<kField>(out), value, time_format);
  }
  template <Field kField>
  char* null(char* out) const {
    return out;
  }
};

}  // namespace

LogfmtEncoder::LogfmtEncoder(const EncoderOptions& options) : options_(options) {}

void LogfmtEncoder::append(const SessionRecord& record, std::string& out) const {
  const bool gap = record.event == RecordEvent::kGap;
  const bool all = gap || options_.fields == FieldSet::kAll;
  const Selection selection{.extra = all, .netns = all && options_.with_netns, .gap_fields = gap};
  append_line(out, max_record_length(record), [&](char* at) {
    at = write_fields(record, selection, LogfmtFormat{options_.time_format}, at);
    *at++ = '\n';
    return at;
  });
}

}  // namespace natsession
