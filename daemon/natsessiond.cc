// natsessiond: the composition root. Parse, open the sockets, drop privileges, open the sinks, restore, subscribe,
// loop.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "collector_thread.h"
#include "config/invocation.h"
#include "config/manual.h"
#include "kernel_setup.h"
#include "messages.h"
#include "privileges.h"
#include "sink/registry.h"
#include "supervisor.h"

namespace natsession {
namespace {

enum ExitStatus { kStopped = 0, kRuntimeFailure = 1, kUsageError = 2, kMissing = 3 };

int exit_status(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUsage:
      return kUsageError;
    case ErrorKind::kPermission:
    case ErrorKind::kUnavailable:
      return kMissing;
    case ErrorKind::kIo:
    case ErrorKind::kMalformed:
      break;
  }
  return kRuntimeFailure;
}

int fail(const Error& error) {
  log_error(error.message);
  return exit_status(error.kind);
}

Environment make_environment() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) name = {};
  return {.hostname = name.data(), .check_sink = [](std::string_view url) { return check_sink_url(url); }};
}

int print(const std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  return written ? kStopped : kRuntimeFailure;
}

int run_check(const Config& config) {
  int status = kStopped;
  for (const std::string& netns : watched_namespaces(config)) {
    const auto findings = examine_kernel(config, netns);
    if (!findings) return fail(findings.error());
    const std::string title = config.netns.size() > 1 ? fmt::format("netns {}\n", netns) : "";
    if (print(title + findings_text(*findings)) != kStopped) return kRuntimeFailure;
    for (const Finding& finding : *findings) {
      if (finding.level != Finding::Level::kOk) status = kMissing;
    }
  }
  return status;
}

void tell_setup(const std::string& netns, const KernelSetup& setup) {
  const std::string where = netns.empty() ? "" : fmt::format("netns {}: ", netns);
  for (const SysctlChange& change : setup.tuned) {
    log_info(fmt::format("{}--tune: {} was {}, now {}; flows that exist already keep what they have", where, change.name,
                         change.before, change.after));
  }
  for (const Finding& finding : setup.findings) {
    if (finding.level != Finding::Level::kWarning) continue;
    log_warning(fmt::format("{}{} = {}: {}; {}", where, finding.name, finding.value, finding.meaning,
                            finding.remedy.substr(0, finding.remedy.find('\n'))));
  }
}

// The predecessor's file counts once: left in place, it would be believed after a crash, too.
void take_over(const std::string& path, std::string_view boot_id, CollectorThread& collector) {
  if (path.empty()) return;
  const auto state = read_state_file(path, boot_id);
  if (!state) {
    log_warning(fmt::format("{}; sessions that were open at the last stop are reported from their beginning again",
                            state.error().message));
  } else if (*state) {
    collector.restore(**state);
    log_info(fmt::format("state file {}: {} sessions were open at the last stop", path, (*state)->sessions.size()));
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    log_warning(system_error("state file " + path + ": unlink", errno).message);
  }
}

std::string ready_text(const Config& config, const KernelSetup& setup) {
  std::string sinks;
  for (const std::string& sink : config.sinks) sinks += (sinks.empty() ? "" : ", ") + sink;
  return fmt::format("receive buffer {}; sinks: {}", format_byte_count(setup.source->granted_receive_buffer()), sinks);
}

void tell_report(const Report& report) {
  const double seconds = std::chrono::duration<double>(report.lasted).count();
  switch (report.kind) {
    case Report::Kind::kTrouble:
      return log_warning(fmt::format("sink {}: {}; trying again", report.sink, report.why));
    case Report::Kind::kTroubleOver:
      return log_info(fmt::format("sink {}: takes records again after {:.1f} s and {} tries", report.sink, seconds, report.retries));
    case Report::Kind::kLeftBehind:
      return log_error(fmt::format("sink {}: takes nothing: left behind with {} records waiting, new ones are dropped for it",
                                   report.sink, report.records));
    case Report::Kind::kCaughtUp:
      return log_warning(fmt::format("sink {}: goes on; {} records were dropped for it, and a gap record says so",
                                     report.sink, report.records));
    case Report::Kind::kRejected:
      return log_error(fmt::format("sink {}: refused a record for good: {}", report.sink, report.why));
    case Report::Kind::kNotice:
    case Report::Kind::kFlushFailed:
      return log_warning(fmt::format("sink {}: {}", report.sink, report.why));
    case Report::Kind::kReopenFailed:
      return log_error(fmt::format("sink {}: reopening failed, the old file stays in use: {}", report.sink, report.why));
  }
}

EncoderOptions encoder_options(const Config& config) {
  return {.format = config.format,
          .time_format = config.time_format,
          .fields = config.fields,
          .with_netns = config.netns.size() > 1};
}

// Each namespace has a state file of its own: FILE, or FILE.NAME when there are several.
std::string state_path(const Config& config, const std::string& netns) {
  if (config.state_file.empty() || config.netns.size() < 2) return config.state_file;
  std::string suffix = netns;
  std::replace(suffix.begin(), suffix.end(), '/', '_');
  return config.state_file + "." + suffix;
}

Result<std::vector<KernelSetup>> set_up_kernels(const Config& config) {
  std::vector<KernelSetup> setups;
  for (const std::string& netns : watched_namespaces(config)) {
    auto setup = set_up_kernel(config, netns);
    if (!setup) return setup.error();
    tell_setup(netns, *setup);
    setups.push_back(std::move(*setup));
  }
  return setups;
}

int run_daemon(const Config& config, const Supervisor::Reload& reload) {
  block_signals();
  static const SystemClock clock;  // outlives a sink's thread that hangs
  auto labels = make_labels(config);
  if (!labels) return fail(labels.error());
  const std::vector<std::string> namespaces = watched_namespaces(config);
  auto setups = set_up_kernels(config);
  if (!setups) return fail(setups.error());
  if (auto dropped = keep_only_net_admin(); !dropped) return fail(dropped.error());
  if (!config.events.destroy) {
    log_warning("events: without destroy a session's end is seen only when a dump does not show it any more");
  }
  const std::string ready = ready_text(config, setups->front());

  // The last that can refuse before anything is begun.
  for (const KernelSetup& setup : *setups) {
    if (auto subscribed = setup.source->subscribe(); !subscribed) return fail(subscribed.error());
  }
  auto sinks = open_sinks(config.sinks, encoder_options(config), clock);
  if (!sinks) return fail(sinks.error());

  WakeFd notice;
  if (!notice.valid()) return fail(system_error("eventfd", errno));
  std::atomic<Supervisor*> supervisor{nullptr};
  const auto on_closed = [&](std::string_view sink, const std::string& why) {
    log_error(fmt::format("sink {}: {}", sink, why));
    if (Supervisor* const told = supervisor.load()) told->sink_closed();
  };
  Delivery delivery(std::move(*sinks), DeliverySettings{}, clock, {.report = tell_report, .on_closed = on_closed});
  Collectors collectors;
  for (std::size_t i = 0; i < namespaces.size(); ++i) {
    KernelSetup& setup = (*setups)[i];
    collectors.push_back(std::make_unique<CollectorThread>(
        namespaces[i], std::move(setup.source), TrackerSettings{.records = config.records, .window = config.window},
        CollectorSettings{.window = config.window, .reliable = config.reliable, .guard_percent = config.guard_percent},
        (*labels)->origins[i], (*labels)->vpcs, delivery.add_producer(), clock, notice));
    take_over(state_path(config, namespaces[i]), setup.boot_id, *collectors.back());
  }
  Supervisor main_loop(config, reload, collectors, delivery, notice);
  supervisor = &main_loop;
  if (auto started = delivery.start(); !started) return fail(started.error());
  for (const auto& collector : collectors) {
    if (auto started = collector->start(); !started) return fail(started.error());
  }

  int status = main_loop.run(ready);
  for (std::size_t i = 0; i < collectors.size() && !config.state_file.empty(); ++i) {
    auto saved = collectors[i]->save_state(state_path(config, namespaces[i]), (*setups)[i].boot_id);
    if (!saved) status = fail(saved.error());
  }
  return status;
}

int run(int argc, const char* const* argv) {
  open_messages("natsessiond", LogLevel::kInfo);
  const Environment environment = make_environment();
  const auto invocation = parse_command_line(argc, argv, environment);
  if (!invocation) return fail(invocation.error());
  set_message_level(invocation->config.log_level);
  switch (invocation->action) {
    case Action::kHelp:
      return print(help_text());
    case Action::kVersion:
      return print(version_text());
    case Action::kPrintConfig:
      return print(print_config(*invocation));
    case Action::kCheck:
      return run_check(invocation->config);
    case Action::kRun:
      break;
  }
  return run_daemon(invocation->config, [&] { return natsession::reload(argc, argv, environment); });
}

}  // namespace
}  // namespace natsession

int main(int argc, char** argv) { return natsession::run(argc, argv); }
