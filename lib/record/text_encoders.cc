// The three text formats. Encoders keep no state between calls.
//   JSON:   one object a line
//   CSV:    RFC 4180, with a header line, and newlines alone at the ends of lines
//   logfmt: KEY=VALUE pairs; fields without a value are left out
#include <array>
#include <cstring>

#include "record/encoder.h"
#include "record/escape.h"
#include "record/fields.h"

namespace natsession {
namespace {

// A field's key with what stands before and behind it, as one constant: `,"pri_ip":"`. A copy of constant
// length costs a few stores.
enum class Behind { kNothing, kQuote, kNull };

template <Field kField, Behind kBehind>
inline constexpr auto kJsonKey = [] {
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
    constexpr auto& kText = kJsonKey<kField, kBehind>;
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

class JsonEncoder final : public Encoder {
 public:
  explicit JsonEncoder(const EncoderOptions& options) : options_(options) {}
  void append(const SessionRecord& record, std::string& out) const override {
    if (is_block(record.event)) return append_block(record, out);
    const Selection selection{
        .extra = true, .netns = options_.with_netns, .gap_fields = record.event == RecordEvent::kGap};
    append_line(out, max_record_length(record), [&](char* at) {
      at = write_fields(record, selection, JsonFormat{options_.time_format}, at);
      *at++ = '}';
      *at++ = '\n';
      return at;
    });
  }

 private:
  // A block of ports has few fields, so that it is short.
  void append_block(const SessionRecord& record, std::string& out) const {
    const JsonFormat format{options_.time_format};
    append_line(out, max_record_length(record), [&](char* at) {
      at = format.text<Field::kInstance>(at, record.origin->instance);
      if (options_.with_netns) at = format.text<Field::kNetns>(at, record.origin->netns);
      at = format.text<Field::kVpcId>(at, record.vpc_id);
      at = format.address<Field::kPriIp>(at, record.pri_ip);
      at = format.address<Field::kNatIp>(at, record.nat_ip);
      at = format.number<Field::kNatPort>(at, record.nat_port);
      at = write_uint(write_text(at, R"(,"nat_port_last":)"), record.orig_dst_port);
      at = format.time<Field::kStartTime>(at, record.start_time);
      at = record.event == RecordEvent::kFree ? format.time<Field::kEndTime>(at, record.end_time)
                                              : format.null<Field::kEndTime>(at);
      at = format.word<Field::kEvent>(at, to_string(record.event));
      if (record.zone != 0) at = format.number<Field::kZone>(at, record.zone);
      *at++ = '}';
      *at++ = '\n';
      return at;
    });
  }

  EncoderOptions options_;
};

Selection columns(const EncoderOptions& options) {
  const bool all = options.fields == FieldSet::kAll;
  return {.extra = all, .netns = all && options.with_netns, .gap_fields = all};
}

struct CsvFormat : DelimitedFormat<CsvFormat> {
  template <Field kField>
  static char* key(char* out) {
    if constexpr (kField != Field::kInstance) *out++ = ',';
    return out;
  }

  static char* end(char* out) { return out; }

  template <Field kField>
  char* text(char* out, std::string_view value) const {
    return write_csv_text(key<kField>(out), value);
  }
  template <Field kField>
  char* null(char* out) const {
    return key<kField>(out);
  }
};

class CsvEncoder final : public Encoder {
 public:
  explicit CsvEncoder(const EncoderOptions& options) : options_(options) {
    visit_selected(columns(options), [this]<Field kField>() {
      if constexpr (kField != Field::kInstance) header_ += ',';
      header_ += kSpec<kField>.name;
    });
    header_ += '\n';
  }
  [[nodiscard]] std::string_view header() const override { return header_; }
  void append(const SessionRecord& record, std::string& out) const override {
    append_line(out, max_record_length(record), [&](char* at) {
      at = write_fields(record, columns(options_), CsvFormat{{options_.time_format}}, at);
      *at++ = '\n';
      return at;
    });
  }

 private:
  EncoderOptions options_;
  std::string header_;
};

// ` pri_ip=`, as one constant.
template <Field kField>
inline constexpr auto kLogfmtKey = [] {
  constexpr std::string_view kName = kSpec<kField>.name;
  constexpr std::size_t kSpace = kField == Field::kInstance ? 0 : 1;
  std::array<char, kSpace + kName.size() + 1> text{};
  std::size_t at = 0;
  if (kSpace == 1) text[at++] = ' ';
  for (const char byte : kName) text[at++] = byte;
  text[at] = '=';
  return text;
}();

struct LogfmtFormat : DelimitedFormat<LogfmtFormat> {
  template <Field kField>
  static char* key(char* out) {
    std::memcpy(out, kLogfmtKey<kField>.data(), kLogfmtKey<kField>.size());
    return out + kLogfmtKey<kField>.size();
  }

  static char* end(char* out) { return out; }

  template <Field kField>
  char* text(char* out, std::string_view value) const {
    return write_logfmt_text(key<kField>(out), value);
  }
};

class LogfmtEncoder final : public Encoder {
 public:
  explicit LogfmtEncoder(const EncoderOptions& options) : options_(options) {}
  void append(const SessionRecord& record, std::string& out) const override {
    const bool gap = record.event == RecordEvent::kGap;
    const bool all = gap || options_.fields == FieldSet::kAll;
    const Selection selection{.extra = all, .netns = all && options_.with_netns, .gap_fields = gap};
    append_line(out, max_record_length(record), [&](char* at) {
      at = write_fields(record, selection, LogfmtFormat{{options_.time_format}}, at);
      *at++ = '\n';
      return at;
    });
  }

 private:
  EncoderOptions options_;
};

class SharedEncoder final : public Encoder {
 public:
  explicit SharedEncoder(std::shared_ptr<const Encoder> own) : own_(std::move(own)) {}
  [[nodiscard]] std::string_view header() const override { return own_->header(); }
  void append(const SessionRecord& record, std::string& out) const override { own_->append(record, out); }
  void append_each(std::span<const SessionRecord> records, std::string& out,
                   const std::function<bool()>& goes_on) const override {
    own_->append_each(records, out, goes_on);
  }

 private:
  std::shared_ptr<const Encoder> own_;
};

}  // namespace

std::unique_ptr<Encoder> make_encoder(const EncoderOptions& options) {
  if (options.own) return std::make_unique<SharedEncoder>(options.own);
  switch (options.format) {
    case RecordFormat::kJson:
      return std::make_unique<JsonEncoder>(options);
    case RecordFormat::kCsv:
      return std::make_unique<CsvEncoder>(options);
    case RecordFormat::kLogfmt:
      return std::make_unique<LogfmtEncoder>(options);
  }
  return nullptr;  // not reached: the enum has no other value
}

}  // namespace natsession
