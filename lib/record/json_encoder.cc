#include "record/json_encoder.h"

#include "record/escape.h"
#include "record/fields.h"

namespace natsession {
namespace {

// A field's key with what stands before and behind it, as one constant: `,"pri_ip":"`. A copy of constant
// length costs a few stores.
enum class Behind { kNothing, kQuote, kNull };

template <Field kField, Behind kBehind>
inline constexpr auto kKey = [] {
  constexpr std::string_view kName = kSpec<kField>.name;
  constexpr std::string_view kTail = kBehind == Behind::kNothing ? "\":"
                                     : kBehind == Behind::kQuote ? "\":\""
                                                                 : "\":null";
  std::array<char, 2 + kName.size() + kTail.size()> text{};
  text[0] = kField == Field::kInstance ? '{' : ',';
  text[1] = '"';
  std::size_t at = 2;
  for (const char byte : kName) text[at++] = byte;
  for (const char byte : kTail) text[at++] = byte;
  return text;
}();

struct JsonFormat {
  TimeFormat time_format;

  template <Field kField, Behind kBehind>
  static char* key(char* out) {
    constexpr auto& kText = kKey<kField, kBehind>;
    std::memcpy(out, kText.data(), kText.size());
    return out + kText.size();
  }
  static char* quote(char* out) {
    *out = '"';
    return out + 1;
  }

  template <Field kField>
  char* text(char* out, std::string_view value) const {
    return write_json_string(key<kField, Behind::kNothing>(out), value);
  }
  template <Field kField>
  char* word(char* out, std::string_view value) const {
    return quote(write_text(key<kField, Behind::kQuote>(out), value));
  }
  template <Field kField>
  char* address(char* out, const IpAddress& value) const {
    return quote(write_address(key<kField, Behind::kQuote>(out), value));
  }
  template <Field kField>
  char* number(char* out, std::uint64_t value) const {
    return write_uint(key<kField, Behind::kNothing>(out), value);
  }
  template <Field kField>
  char* hex(char* out, std::uint64_t value) const {
    return quote(write_hex64(key<kField, Behind::kQuote>(out), value));
  }
  template <Field kField>
  char* time(char* out, UnixMs value) const {
    if (time_format == TimeFormat::kRfc3339)
      return quote(write_rfc3339(key<kField, Behind::kQuote>(out), value));
    return write_time(key<kField, Behind::kNothing>(out), value, time_format);
  }
  template <Field kField>
  char* null(char* out) const {
    return key<kField, Behind::kNull>(out);
  }
};

}  // namespace

JsonEncoder::JsonEncoder(const EncoderOptions& options) : options_(options) {}

void JsonEncoder::append(const SessionRecord& record, std::string& out) const {
  const Selection selection{
      .extra = true, .netns = options_.with_netns, .gap_fields = record.event == RecordEvent::kGap};
  append_line(out, max_record_length(record), [&](char* at) {
    at = write_fields(record, selection, JsonFormat{options_.time_format}, at);
    *at++ = '}';
    *at++ = '\n';
    return at;
  });
}

}  // namespace natsession
