#include "sink/encoder_choice.h"

#include <array>

namespace natsession {
namespace {

constexpr std::array kTable{
    SinkOption{"format", "json|csv|logfmt",
               "as --format, for this sink; journald and syslog: of the message, default logfmt; exec: "
               "default json; "
               "http has json only"},
    SinkOption{"time_format", "unix|unix_ms|rfc3339", "as --time-format, for this sink"},
    SinkOption{"fields", "all|cloud",
               "as --fields, for this sink; journald and syslog: of the message, default all"},
};

}  // namespace

std::span<const SinkOption> encoder_option_table() {
  return kTable;
}

Result<EncoderOptions> encoder_options(const SinkUrl& url, const EncoderOptions& defaults) {
  EncoderOptions options = defaults;
  for (const SinkUrl::Option& option : url.options) {
    if (option.key == "format") {
      const auto format = parse_record_format(option.value);
      if (!format) return url.wrong(option, format.error().message);
      options.format = *format;
    } else if (option.key == "time_format") {
      const auto time_format = parse_time_format(option.value);
      if (!time_format) return url.wrong(option, time_format.error().message);
      options.time_format = *time_format;
    } else if (option.key == "fields") {
      const auto fields = parse_field_set(option.value);
      if (!fields) return url.wrong(option, fields.error().message);
      options.fields = *fields;
    }
  }
  return options;
}

Result<EncoderOptions> message_options(const SinkUrl& url, const EncoderOptions& defaults) {
  EncoderOptions options = defaults;
  options.format = RecordFormat::kLogfmt;
  options.fields = FieldSet::kAll;
  auto chosen = encoder_options(url, options);
  if (chosen && chosen->format == RecordFormat::kCsv) {
    return url.wrong("format: a line of csv says nothing without its header: logfmt or json");
  }
  return chosen;
}

Result<EncoderOptions> json_options(const SinkUrl& url, const EncoderOptions& defaults) {
  EncoderOptions options = defaults;
  options.format = RecordFormat::kJson;
  return encoder_options(url, options);
}

}  // namespace natsession
