#include "record/csv_encoder.h"

#include "record/escape.h"
#include "record/fields.h"

namespace natsession {
namespace {

Selection columns(const EncoderOptions& options) {
  const bool all = options.fields == FieldSet::kAll;
  return {.extra = all, .netns = all && options.with_netns, .gap_fields = all};
}

struct CsvFormat {
  TimeFormat time_format;

  template <Field kField>
  static char* comma(char* out) {
    if constexpr (kField != Field::kInstance) *out++ = ',';
    return out;
  }

  template <Field kField>
  char* text(char* out, std::string_view value) const {
    return write_csv_text(comma<kField>(out), value);
  }
  template <Field kField>
  char* word(char* out, std::string_view value) const {
    return write_text(comma<kField>(out), value);
  }
  template <Field kField>
  char* address(char* out, const IpAddress& value) const {
    return write_address(comma<kField>(out), value);
  }
  template <Field kField>
  char* number(char* out, std::uint64_t value) const {
    return write_uint(comma<kField>(out), value);
  }
  template <Field kField>
  char* hex(char* out, std::uint64_t value) const {
    return write_hex64(comma<kField>(out), value);
  }
  template <Field kField>
  char* time(char* out, UnixMs value) const {
    return write_time(comma<kField>(out), value, time_format);
  }
  template <Field kField>
  char* null(char* out) const {
    return comma<kField>(out);
  }
};

}  // namespace

CsvEncoder::CsvEncoder(const EncoderOptions& options) : options_(options) {
  visit_selected(columns(options), [this]<Field kField>() {
    if constexpr (kField != Field::kInstance) header_ += ',';
    header_ += kSpec<kField>.name;
  });
  header_ += '\n';
}

void CsvEncoder::append(const SessionRecord& record, std::string& out) const {
  append_line(out, max_record_length(record), [&](char* at) {
    at = write_fields(record, columns(options_), CsvFormat{options_.time_format}, at);
    *at++ = '\n';
    return at;
  });
}

}  // namespace natsession
