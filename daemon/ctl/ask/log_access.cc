#include "ask/log_access.h"

#include <csignal>
#include <cstdio>
#include <filesystem>

#include <fmt/format.h>
#include <unistd.h>

#include "ask/answer_printer.h"
#include "ask/clickhouse_log.h"
#include "command.h"
#include "control/status_json.h"
#include "control_client.h"
#include "words.h"

namespace natsession::ctl {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void on_signal(int) {
  interrupted.store(true, std::memory_order_relaxed);
}

void set_action(void (*action)(int), int flags) {
  struct sigaction wanted {};
  wanted.sa_handler = action;
  wanted.sa_flags = flags;
  for (const int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &wanted, nullptr);
}

constexpr std::chrono::milliseconds kPatience{500};
constexpr std::chrono::milliseconds kInterval{200};

// The ledger that the daemon writes; empty without one.
Result<std::string> ledger_of_daemon(const ControlClient& daemon) {
  const auto body = daemon.get("/status");
  if (!body) return body.error();
  const auto status = read_status_json(*body);
  if (!status) return status.error();
  return status->ledger ? status->ledger->directory : std::string();
}

}  // namespace

Interrupt::Interrupt() {
  interrupted = false;
  set_action(on_signal, SA_RESTART | static_cast<int>(SA_RESETHAND));
}

Interrupt::~Interrupt() {
  set_action(SIG_DFL, 0);
}

const std::atomic<bool>& Interrupt::asked() {
  return interrupted;
}

ProgressLine::ProgressLine()
    : wanted_(::isatty(STDERR_FILENO) != 0), begun_(Clock::now()), next_(begun_ + kPatience) {}

void ProgressLine::for_programs() {
  wanted_ = true;
  for_programs_ = true;
}

void ProgressLine::show(const ScanProgress& progress) {
  if (!wanted_) return;
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + kInterval;
  if (for_programs_) {
    fmt::print(stderr, "{{\"progress\": {:.4f}, \"records\": {}}}\n", progress.share(), progress.records);
    return;
  }
  const double seconds = std::chrono::duration<double>(now - begun_).count();
  fmt::print(stderr, "\r\x1b[K{:.0f} %: {} records read, {:.1f} million a second", progress.share() * 100,
             grouped(progress.records), static_cast<double>(progress.records) / seconds / 1e6);
  std::fflush(stderr);
  shown_ = true;
}

void ProgressLine::clear() {
  if (!shown_) return;
  fmt::print(stderr, "\r\x1b[K");
  shown_ = false;
}

std::function<void(const ScanProgress&)> ProgressLine::callback() {
  if (!wanted_) return {};
  return [this](const ScanProgress& progress) { show(progress); };
}

Result<std::unique_ptr<LogAccess>> LogAccess::open(const Global& global) {
  std::unique_ptr<LogAccess> log(new LogAccess());  // NOLINT: a private constructor
  if (global.progress) log->progress_.for_programs();
  if (!global.store.empty()) {
    auto remote = ClickHouseLog::open(global.store);
    if (!remote) return remote.error();
    log->remote_ = std::move(*remote);
    return log;
  }
  const auto directory = ledger_directory(global);
  if (!directory) return directory.error();
  auto view = SegmentList::open(*directory);
  if (!view) return view.error();
  log->ledger_.emplace(std::move(*view));
  return log;
}

Result<void> LogAccess::choose(const LogOptions& options) {
  if (options.log != "session" && options.log != "flow")
    return Error{ErrorKind::kUsage,
                 fmt::format("--log: '{}' is neither session nor flow", printable(options.log))};
  if (!options.flows()) {
    if (options.flow_window.empty()) return {};
    return Error{ErrorKind::kUsage, "--flow-window: belongs to --log flow"};
  }
  if (remote_ != nullptr)
    return Error{ErrorKind::kUsage, "--log flow: a store has the session log alone; flows are in a ledger"};
  std::optional<std::chrono::seconds> window;
  if (!options.flow_window.empty()) {
    const auto length = read_length("--flow-window", options.flow_window);
    if (!length) return length.error();
    window = std::chrono::duration_cast<std::chrono::seconds>(*length);
  }
  auto flows = FlowStore::open(*ledger_, window, control());
  end_progress();
  if (!flows) return flows.error();
  flows_ = std::move(*flows);
  return {};
}

Result<std::unique_ptr<SqlSession>> LogAccess::open_sql(SqlOptions options) {
  if (remote_ != nullptr) return SqlSession::open(*remote_, std::move(options));
  return SqlSession::open(*ledger_, std::move(options));
}

ScanControl LogAccess::control(bool until_now) {
  ScanControl control;
  control.until_now = until_now;
  control.cancel = &Interrupt::asked();
  control.progress = progress_.callback();
  return control;
}

int LogAccess::finish(std::string_view command, AnswerPrinter& answer, const ScanReport& report) {
  progress_.clear();
  const int status = answer.finish(report);
  warn(command, report);
  return report.cancelled ? interrupted(command) : status;
}

int LogAccess::interrupted(std::string_view command) {
  progress_.clear();
  fmt::print(stderr, "natsessionctl: {}: interrupted: the answer is not complete\n", command);
  return kInterrupted;
}

bool concerns_live(UnixMs until, UnixMs now) {
  constexpr std::chrono::hours kRecent{50};
  return until + kRecent >= now;
}

LiveLog ask_live(const Global& global, const std::vector<QueryArguments>& questions) {
  LiveLog live;
  if (!global.store.empty()) {
    live.why = "a store of many boxes is asked";
    return live;
  }
  const ControlClient daemon(global.control);
  // Without --ledger it is the daemon's own that is asked about.
  if (!global.ledger.empty()) {
    const auto directory = ledger_of_daemon(daemon);
    if (!directory) {
      live.why = directory.error().message;
      return live;
    }
    std::error_code ignored;
    if (!std::filesystem::equivalent(global.ledger, *directory, ignored)) {
      live.why = "the daemon that runs writes another ledger" + (directory->empty() ? "" : ", " + *directory);
      return live;
    }
  }
  live.at = UnixMs::max();
  live.recorded = true;
  for (QueryArguments arguments : questions) {
    arguments.emplace_back("limit", std::to_string(SessionFilter::kMaxLimit));
    arguments.emplace_back("recorded", "yes");
    const auto body = daemon.get("/sessions", arguments);
    const auto answer = body ? read_sessions_json(*body) : Result<SessionsAnswer>(body.error());
    if (!answer) {
      live.why = answer.error().message;
      return live;
    }
    live.more = live.more || answer->more;
    live.recorded = live.recorded && answer->recorded;
    live.at = std::min(live.at, answer->now);
    for (SessionRecord record : answer->sessions) {
      record.start_time = std::min(record.start_time, answer->now);
      record.end_time = answer->now;
      if (record.session_start) record.session_start = record.start_time;
      live.records.push_back(record);
    }
  }
  live.told = true;
  return live;
}

std::vector<PortUse> ask_port_use(const Global& global) {
  const auto body = ControlClient(global.control).get("/ports");
  auto answer = body ? read_ports_json(*body) : Result<PortsAnswer>(body.error());
  return answer ? std::move(answer->ports) : std::vector<PortUse>();
}

}  // namespace natsession::ctl
