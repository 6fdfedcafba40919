#include "sink/registry.h"

#include <algorithm>
#include <array>

#include <unistd.h>

#include "sink/file_settings.h"
#include "sink/file_sink.h"
#include "sink/journald_sink.h"
#include "sink/stdout_sink.h"

namespace natsession {
namespace {

Result<void> no_target(const SinkUrl& url) {
  if (!url.target.empty())
    return url.wrong("'" + url.target + "': " + url.scheme + " takes no path or address");
  return {};
}

Result<EncoderOptions> encoder_options(const SinkUrl& url, EncoderOptions options) {
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

// stdout

Result<void> probe_stdout(const SinkUrl& url) {
  const auto opened = StdoutSink::open(url.text, make_encoder({}), STDOUT_FILENO);
  if (!opened) return opened.error();
  return {};
}

Result<std::unique_ptr<Sink>> open_stdout(const SinkUrl& url, const EncoderOptions& options, const Clock&) {
  return StdoutSink::open(url.text, make_encoder(options), STDOUT_FILENO);
}

// file

constexpr std::array kFileOptions{
    SinkOption{"rotate_size", "SIZE",
               "rotate before the file grows beyond SIZE (100M): PATH becomes PATH.20261121T143422Z"},
    SinkOption{"rotate_time", "TIME", "rotate when the clock, in UTC, passes a multiple of TIME (1h, 1d)"},
    SinkOption{"compress", "gzip|zstd|none", "compress rotated files, in the background"},
    SinkOption{"keep", "N",
               "keep the N newest rotated files and remove the others; 0, the default, keeps all"},
    SinkOption{"mode", "OCTAL", "permissions of a new file, less the umask; default 0640"},
};

Result<void> check_file(const SinkUrl& url) {
  const auto settings = FileSettings::parse(url);
  if (!settings) return settings.error();
  return {};
}

Result<void> probe_file(const SinkUrl& url) {
  const auto settings = FileSettings::parse(url);
  if (!settings) return settings.error();
  return FileSink::probe(*settings);
}

Result<std::unique_ptr<Sink>> open_file(const SinkUrl& url, const EncoderOptions& options,
                                        const Clock& clock) {
  const auto settings = FileSettings::parse(url);
  if (!settings) return settings.error();
  return FileSink::open(url.text, *settings, make_encoder(options), clock);
}

// journald

// MESSAGE is for people to read in journalctl: all of a record, as logfmt, unless the URL itself says
// otherwise.
Result<JournaldSettings> journald_settings(const SinkUrl& url, const EncoderOptions& defaults) {
  EncoderOptions options = defaults;
  options.format = RecordFormat::kLogfmt;
  options.fields = FieldSet::kAll;
  const auto chosen = encoder_options(url, options);
  if (!chosen) return chosen.error();
  if (chosen->format == RecordFormat::kCsv) {
    return url.wrong("format: a line of csv says nothing without its header: logfmt or json");
  }
  return JournaldSettings{.options = *chosen};
}

Result<void> check_journald(const SinkUrl& url) {
  if (auto checked = no_target(url); !checked) return checked;
  const auto settings = journald_settings(url, {});
  if (!settings) return settings.error();
  return {};
}

Result<void> probe_journald(const SinkUrl& url) {
  const auto settings = journald_settings(url, {});
  if (!settings) return settings.error();
  return JournaldSink::probe(*settings);
}

Result<std::unique_ptr<Sink>> open_journald(const SinkUrl& url, const EncoderOptions& options, const Clock&) {
  const auto settings = journald_settings(url, options);
  if (!settings) return settings.error();
  return JournaldSink::open(url.text, *settings);
}

// The table.

constexpr std::array kKinds{
    SinkKind{"stdout", "stdout", "lines on standard output", {}, no_target, probe_stdout, open_stdout},
    SinkKind{"file", "file:PATH", "lines appended to a file; SIGHUP reopens it", kFileOptions, check_file,
             probe_file, open_file},
    SinkKind{
        "journald",
        "journald",
        "structured entries in systemd's journal (NATSESSION_PRI_IP= ...); its rate limit drops entries: set "
        "LogRateLimitIntervalSec=0 in the unit",
        {},
        check_journald,
        probe_journald,
        open_journald},
};

constexpr std::array kCommonOptions{
    SinkOption{"format", "json|csv|logfmt",
               "as --format, for this sink; journald: of MESSAGE, default logfmt"},
    SinkOption{"time_format", "unix|unix_ms|rfc3339", "as --time-format, for this sink"},
    SinkOption{"fields", "all|cloud", "as --fields, for this sink; journald: of MESSAGE, default all"},
};

std::string known_usages() {
  std::string text;
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    if (i > 0) text += i + 1 < kKinds.size() ? ", " : " or ";
    text += kKinds[i].usage;
  }
  return text;
}

std::string known_keys(const SinkKind& kind) {
  std::string text;
  for (const auto options : {std::span<const SinkOption>(kCommonOptions), kind.options}) {
    for (const SinkOption& option : options) text += (text.empty() ? "" : ", ") + std::string(option.key);
  }
  return text;
}

bool has_key(std::span<const SinkOption> options, std::string_view key) {
  return std::any_of(options.begin(), options.end(),
                     [&](const SinkOption& option) { return option.key == key; });
}

struct Checked {
  SinkUrl url;
  const SinkKind* kind;
};

Result<Checked> check(std::string_view text) {
  auto url = SinkUrl::parse(text);
  if (!url) return url.error();
  const auto kind = std::find_if(kKinds.begin(), kKinds.end(),
                                 [&](const SinkKind& one) { return one.scheme == url->scheme; });
  if (kind == kKinds.end()) {
    return url->wrong("there is no sink '" + url->scheme + "': " + known_usages());
  }
  for (const SinkUrl::Option& option : url->options) {
    if (!has_key(kCommonOptions, option.key) && !has_key(kind->options, option.key)) {
      return url->wrong("unknown option '" + option.key + "' (value '" + option.value +
                        "'): " + std::string(kind->scheme) + " has " + known_keys(*kind));
    }
  }
  if (const auto options = encoder_options(*url, {}); !options) return options.error();
  if (auto checked = kind->check(*url); !checked) return checked.error();
  return Checked{std::move(*url), &*kind};
}

// An error that names what is wrong, but perhaps not the URL that it came from.
Error about(const std::string& url, Error error) {
  if (error.message.find(url) == std::string::npos) error.message = "sink '" + url + "': " + error.message;
  return error;
}

constexpr std::size_t kHelpWidth = 80;
constexpr std::size_t kHelpColumn = 30;

// `left` at `indent`, and `right` beside it, broken into lines.
void append_help(std::string& out, std::size_t indent, std::string_view left, std::string_view right) {
  std::string line = std::string(indent, ' ') + std::string(left);
  if (line.size() >= kHelpColumn) {
    out += line + "\n";
    line.clear();
  }
  line.resize(kHelpColumn, ' ');
  std::size_t words = 0;
  while (!right.empty()) {
    const std::string_view word = right.substr(0, right.find(' '));
    if (words > 0 && line.size() + 1 + word.size() > kHelpWidth) {
      out += line + "\n";
      line.assign(kHelpColumn, ' ');
      words = 0;
    }
    if (words++ > 0) line += ' ';
    line += word;
    right.remove_prefix(std::min(right.size(), word.size() + 1));
  }
  out += line + "\n";
}

void append_options(std::string& out, std::span<const SinkOption> options) {
  for (const SinkOption& option : options) {
    append_help(out, 4, std::string(option.key) + "=" + std::string(option.values), option.help);
  }
}

}  // namespace

std::span<const SinkKind> sink_kinds() {
  return kKinds;
}
std::span<const SinkOption> common_sink_options() {
  return kCommonOptions;
}

Result<void> check_sink_url(std::string_view url) {
  const auto checked = check(url);
  if (!checked) return checked.error();
  return {};
}

Result<void> probe_sink(std::string_view url) {
  const auto checked = check(url);
  if (!checked) return checked.error();
  const auto probed = checked->kind->probe(checked->url);
  if (!probed) return about(checked->url.text, probed.error());
  return {};
}

Result<std::unique_ptr<Sink>> open_sink(std::string_view url, const EncoderOptions& defaults,
                                        const Clock& clock) {
  const auto checked = check(url);
  if (!checked) return checked.error();
  const auto options = encoder_options(checked->url, defaults);
  if (!options) return options.error();
  auto sink = checked->kind->open(checked->url, *options, clock);
  if (!sink) return about(checked->url.text, sink.error());
  return sink;
}

Result<std::vector<std::unique_ptr<Sink>>> open_sinks(std::span<const std::string> urls,
                                                      const EncoderOptions& defaults, const Clock& clock) {
  for (const std::string& url : urls) {
    if (auto probed = probe_sink(url); !probed) return probed.error();
  }
  std::vector<std::unique_ptr<Sink>> sinks;
  for (const std::string& url : urls) {
    auto sink = open_sink(url, defaults, clock);
    if (!sink) return sink.error();
    sinks.push_back(std::move(*sink));
  }
  return sinks;
}

std::string sink_help() {
  std::string out;
  for (const SinkKind& kind : kKinds) {
    append_help(out, 2, kind.usage, kind.help);
    append_options(out, kind.options);
  }
  append_help(out, 2, "any sink",
              "may have options, as in 'file:/var/log/nat.json?rotate_size=100M&keep=14'");
  append_options(out, kCommonOptions);
  return out;
}

}  // namespace natsession
