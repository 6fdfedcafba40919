// LogAccess: a ledger or another store of the log to ask, with Ctrl-C and a progress line for questions that
// take long.
// Threads: one.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ask/answer_printer.h"
#include "ask/log_options.h"
#include "base/result.h"
#include "command.h"
#include "control/session_filter.h"
#include "ledger/segment_list.h"
#include "query/flow_store.h"
#include "query/scan.h"
#include "query/sql_session.h"

namespace natsession::ctl {

// Ctrl-C and SIGTERM end a long question in good order; a second one ends the process at once. One object at
// a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  [[nodiscard]] static const std::atomic<bool>& asked();
};

// The exit status of a command that Ctrl-C ended: 128 + SIGINT, as a shell has it.
inline constexpr int kInterrupted = 130;

// How far a long question is, on one line of the terminal; nothing where stderr is none, or before the
// question has taken a while. For programs (Global::progress) a line of JSON each time, on whatever stderr
// is. show() is for one thread at a time, any.
class ProgressLine {
 public:
  ProgressLine();
  void for_programs();
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(const ScanProgress& progress);
  // Before anything else is written.
  void clear();
  [[nodiscard]] std::function<void(const ScanProgress&)> callback();

 private:
  using Clock = std::chrono::steady_clock;
  bool wanted_;
  bool for_programs_ = false;
  bool shown_ = false;
  Clock::time_point begun_;
  Clock::time_point next_;
};

class LogAccess {
 public:
  // The store of --store, the ledger of --ledger, else the daemon's.
  // Errors: as ClickHouseLog::open(), ledger_directory() and SegmentList::open().
  [[nodiscard]] static Result<std::unique_ptr<LogAccess>> open(const Global& global);

  // Which log is asked for: --log, --flow-window.
  // Errors: kUsage; those of FlowStore::open().
  [[nodiscard]] Result<void> choose(const LogOptions& options);

  [[nodiscard]] LogStore store() const {
    if (flows_ != nullptr) return LogStore(*flows_);
    return remote_ != nullptr ? LogStore(*remote_) : LogStore(*ledger_);
  }
  // Errors: as SqlSession::open().
  [[nodiscard]] Result<std::unique_ptr<SqlSession>> open_sql(SqlOptions options);
  [[nodiscard]] ScanControl control(bool until_now = false);
  void end_progress() { progress_.clear(); }

  // Writes what is left of an answer, its warnings, and whether it was interrupted; the exit status.
  [[nodiscard]] int finish(std::string_view command, AnswerPrinter& answer, const ScanReport& report);
  // Of a question that Ctrl-C ended before there was an answer.
  [[nodiscard]] int interrupted(std::string_view command);

 private:
  LogAccess() = default;

  std::optional<SegmentList> ledger_;  // this, or
  std::unique_ptr<RemoteLog> remote_;
  std::unique_ptr<FlowStore> flows_;  // of ledger_, if these are asked for
  Interrupt interrupt_;
  ProgressLine progress_;
};

// LiveLog: the sessions that are open now, as the daemon knows them, for questions that the ledger alone
// cannot answer: a session that is open and silent has no record yet.
// Threads: one.
struct LiveLog {
  std::vector<SessionRecord> records;  // as in SessionsAnswer; session_id is 0
  UnixMs at;                           // when the daemon was first asked
  bool told = false;                   // whether there is a daemon that writes this ledger
  bool more = false;                   // it has more sessions than it tells at once
  bool recorded = false;               // the ledger has all that ended before, for who opens it now
  std::string why;                     // if not told: why; for people

  // TraceOptions::live_at: set if these are all.
  [[nodiscard]] std::optional<UnixMs> proved_at() const {
    return told && recorded && !more ? std::optional(at) : std::nullopt;
  }
};

// Whether sessions that are open now can have something to do with a question up to that time: those that
// were open then have records by now where it is older.
[[nodiscard]] bool concerns_live(UnixMs until, UnixMs now);

// How many ports are in use now, counted by the daemon, of all network namespaces. Nothing if it does not
// tell: an older one cannot.
[[nodiscard]] std::vector<PortUse> ask_port_use(const Global& global);

// Asks the daemon for open sessions that pass the arguments of one GET /sessions or another, which are one at
// least; the limit is the largest that it has. That no daemon runs, or that it writes another ledger than
// --ledger, is no error: see `why`.
[[nodiscard]] LiveLog ask_live(const Global& global, const std::vector<QueryArguments>& questions);

}  // namespace natsession::ctl
