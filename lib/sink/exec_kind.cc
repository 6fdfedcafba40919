#include <array>

#include "sink/encoder_choice.h"
#include "sink/exec_sink.h"
#include "sink/option_value.h"
#include "sink/sink_kind.h"

namespace natsession {
namespace {

constexpr std::array kOptions{
    SinkOption{"timeout", "TIME", "for a command that reads nothing, 100ms to 5m; default 10s"},
};

Result<ExecSettings> parse(const SinkUrl& url, const EncoderOptions& defaults) {
  ExecSettings settings;
  settings.command = url.target;
  if (settings.command.find_first_not_of(" \t\n") == std::string::npos) {
    return url.wrong("a command is missing: exec:COMMAND, such as 'exec:gzip >/var/log/nat.gz'");
  }
  const auto options = json_options(url, defaults);
  if (!options) return options.error();
  settings.options = *options;
  for (const SinkUrl::Option& option : url.options) {
    if (option.key != "timeout") continue;
    const auto time = option_time(url, option, std::chrono::milliseconds(100), std::chrono::minutes(5));
    if (!time) return time.error();
    settings.timeout = *time;
  }
  return settings;
}

Result<void> check(const SinkUrl& url) {
  const auto settings = parse(url, {});
  if (!settings) return settings.error();
  return {};
}

Result<void> probe(const SinkUrl&) {
  return {};
}

Result<std::unique_ptr<Sink>> open(const SinkUrl& url, const EncoderOptions& options, const Clock&) {
  auto settings = parse(url, options);
  if (!settings) return settings.error();
  return std::unique_ptr<Sink>(std::make_unique<ExecSink>(url.name(), std::move(*settings)));
}

}  // namespace

SinkKind exec_kind() {
  return {.scheme = "exec",
          .usage = "exec:COMMAND",
          .help =
              "lines on the standard input of a shell command, which is started again when it ends; write ? "
              "as %3F "
              "and % as %25 in it",
          .options = kOptions,
          .remote = true,
          .check = check,
          .probe = probe,
          .open = open};
}

}  // namespace natsession
