// natsessionctl tail: the newest records of a ledger, and those that follow. It reads the files itself: also
// while the daemon is down.
#include "tail.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <limits>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include "ask/answer_printer.h"
#include "ask/log_access.h"
#include "ask/log_options.h"
#include "command.h"
#include "query/frame_filter.h"
#include "query/scan.h"
#include "words.h"

namespace natsession::ctl {
namespace {

// A frame is written once a second by default.
constexpr std::chrono::milliseconds kLookInterval{200};

constexpr std::size_t kUnsaid = std::numeric_limits<std::size_t>::max();
constexpr std::size_t kUsualCount = 10;
// With conditions they are in memory before the first is printed, as the newest are found first.
constexpr std::size_t kMostSelected = 1'000'000;

struct TailCommand {
  LogOptions log;
  bool follow = false;
  std::size_t count = kUnsaid;
  std::string format;
  std::string time_format = "unix";
};

// Until there may be more. False when nobody reads stdout any more, which a pipe tells without a write.
bool wait_for_more() {
  pollfd out{STDOUT_FILENO, 0, 0};
  ::poll(&out, 1, static_cast<int>(kLookInterval.count()));
  return (out.revents & (POLLERR | POLLHUP | POLLNVAL)) == 0;
}

// What does not pass is left out. A gap is told all the same: what was lost might have passed.
void select(const FrameFilter& filter, RecordBlock& block) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < block.records.size(); ++i) {
    const SessionRecord& record = block.records[i];
    if (filter.passes(record)) {
      block.ordinals[kept] = block.ordinals[i];
      block.records[kept++] = record;
    } else if (record.event == RecordEvent::kGap) {
      warn("tail", {"the log has a gap: " +
                    gap_text({record.start_time, record.end_time, record.reason, record.events_lost,
                              record.origin->instance, record.origin->netns})});
    }
  }
  block.records.resize(kept);
  block.ordinals.resize(kept);
}

// Prints up to `end`, or for ever.
int copy_newest(LedgerReader& reader, Ordinal end, bool follow, const FrameFilter& filter,
                TailPrinter& printer) {
  RecordBlock block;
  std::string out;
  while (follow || reader.place() < end) {
    const auto outcome = reader.read(block);
    if (!outcome) return fail("tail", outcome.error());
    out.clear();
    if (outcome->skipped) {
      printer.append(*outcome->skipped, out);
      fmt::print(stderr, "natsessionctl: tail: {} records are missing: {}\n", outcome->skipped->records(),
                 printable(outcome->skipped->why));
    } else if (block.records.empty()) {
      if (!follow) return kDone;
      if (wait_for_more()) continue;
      std::raise(SIGPIPE);  // as a write would
      return kFailed;
    }
    select(filter, block);
    printer.append(block, out);
    if (!out.empty() && print(out) != kDone) return kFailed;
  }
  return kDone;
}

// Of those before `end` that pass, the newest `count`, in order; all for kUnsaid, as they are found.
int copy_selected(LogAccess& log, Query query, Ordinal end, std::size_t count, TailPrinter& printer) {
  if (count == 0) return kDone;
  const bool all = count == kUnsaid;
  query.columns = Columns::all();
  Scan scan(log.store(), std::move(query), log.control(),
            all ? Scan::Order::kOldestFirst : Scan::Order::kNewestFirst);
  std::vector<std::pair<Ordinal, SessionRecord>> newest;  // the newest first, but for the last frames
  RecordBlock block;
  std::string out;
  while (const ScanBatch* const batch = scan.next()) {
    // Frames of long sessions stand beside those that were written with them: one more may have newer ones.
    if (newest.size() >= count && batch->frame().last < newest[count - 1].first) break;
    block = {};
    for (std::size_t i = 0; i < batch->size(); ++i) {
      const Ordinal ordinal = batch->ordinal(i);
      if (ordinal >= end && ordinal <= kMaxOrdinal) continue;  // comes when it is followed
      block.ordinals.push_back(ordinal);
      block.records.push_back(*batch->record(i));
    }
    if (all) {
      out.clear();
      printer.append(block, out);
      log.end_progress();
      if (!out.empty() && print(out) != kDone) return kFailed;
      continue;
    }
    for (std::size_t i = 0; i < block.records.size(); ++i)
      newest.emplace_back(block.ordinals[i], block.records[i]);
    std::sort(newest.begin(), newest.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    if (newest.size() > count) newest.resize(count);
  }
  scan.stop();
  log.end_progress();
  if (auto read = scan.error(); !read) return fail("tail", read.error());
  ScanReport report = scan.report();
  if (report.cancelled) return log.interrupted("tail");
  block = {};
  for (auto found = newest.rbegin(); found != newest.rend(); ++found) {
    block.ordinals.push_back(found->first);
    block.records.push_back(found->second);
  }
  if (!all && newest.size() == count) {
    // What was before these was not asked for.
    const UnixMs oldest = newest.back().second.start_time;
    const auto before = [&](const auto& until) { return until < oldest; };
    std::erase_if(report.gaps, [&](const KnownGap& gap) { return before(gap.until); });
    std::erase_if(report.troubles,
                  [&](const Trouble& trouble) { return before(trouble.time.until.value_or(UnixMs::max())); });
  }
  warn("tail", notes_of(report.gaps, report.gaps.size(), report.troubles, report.troubles.size()));
  out.clear();
  printer.append(block, out);
  return out.empty() ? kDone : print(out);
}

int run_tail(const Global& global, const TailCommand& options) {
  const auto format = record_format(options.log, options.format);
  if (!format) return fail("tail", format.error());
  if (auto shape = shape_of(global, options.log); !shape) return fail("tail", shape.error());
  const auto time_format = parse_time_format(options.time_format);
  if (!time_format)
    return fail("tail", {time_format.error().kind, "--time-format: " + time_format.error().message});
  Query query;
  query.gap_records = true;
  auto where = read_where(options.log);
  if (!where) return fail("tail", where.error());
  query.where = std::move(*where);
  if (!options.log.since.empty()) {
    const auto since = read_time("tail", "--since", options.log.since, now_ms());
    if (!since) return fail("tail", since.error());
    query.end.from = since->time;
  }
  const bool selected = !query.where.empty() || query.end.from;
  if (selected && options.count != kUnsaid && options.count > kMostSelected) {
    return fail("tail",
                {ErrorKind::kUsage,
                 fmt::format("--lines: with conditions at most {}; export has no limit", kMostSelected)});
  }
  const auto directory = ledger_directory(global);
  if (!directory) return fail("tail", directory.error());
  const auto reader = LedgerReader::open(*directory);
  if (!reader) return fail("tail", reader.error());

  const Ordinal end = (*reader)->end();
  const FrameFilter filter(query);
  TailPrinter printer(*format, *time_format);
  if (selected) {
    // Opened behind end(): it has all that is before. Closed before anything is followed: Ctrl-C ends that.
    auto log = LogAccess::open(global);
    if (!log) return fail("tail", log.error());
    const std::size_t count = options.count == kUnsaid && !query.end.from ? kUsualCount : options.count;
    const int status = copy_selected(**log, query, end, count, printer);
    if (status != kDone || !options.follow) return status;
    log->reset();
    if (Interrupt::asked()) return kInterrupted;  // it came when the scan did not look any more
    (*reader)->seek(end);
  } else {
    const Ordinal begin = std::min((*reader)->begin(), end);
    const std::size_t count = options.count == kUnsaid ? kUsualCount : options.count;
    (*reader)->seek(end - std::min<Ordinal>(count, end - begin));
  }
  return copy_newest(**reader, end, options.follow, filter, printer);
}

}  // namespace

TailPrinter::TailPrinter(RecordFormat format, TimeFormat time_format)
    : format_(format), time_format_(time_format) {}

void TailPrinter::begin(bool with_netns, std::string& out) {
  if (encoder_) return;
  encoder_ = make_encoder(
      {.format = format_, .time_format = time_format_, .fields = FieldSet::kAll, .with_netns = with_netns});
  out += encoder_->header();
}

void TailPrinter::append(const RecordBlock& block, std::string& out) {
  if (block.records.empty()) return;
  begin(!block.records.front().origin->netns.empty(), out);
  for (const SessionRecord& record : block.records) encoder_->append(record, out);
  origin_ = *block.records.back().origin;
}

void TailPrinter::append(const Skipped& skipped, std::string& out) {
  begin(!origin_.netns.empty(), out);
  encoder_->append(skipped.gap(origin_), out);
}

void add_tail(Commands& commands) {
  Command command = commands.add("tail", "Show the newest records of the ledger");
  const auto options = std::make_shared<TailCommand>();
  command.flag("-f,--follow", options->follow, "Go on with those that are yet to come");
  command.option("-n,--lines", options->count, "N", "So many; default 10, and all behind --since");
  command.option("--since", options->log.since, "TIME",
                 "Those that ended at this time or later, as for export");
  add_where_options(command, options->log);
  add_csv_option(command, options->log);
  command.option("--format", options->format, "FORMAT", "json, csv or logfmt; default json");
  command.option("--time-format", options->time_format, "FORMAT", "unix, unix_ms or rfc3339; default unix");
  command.footer(
      "Examples:\n  natsessionctl tail -f\n  natsessionctl tail -n 1000 --csv\n"
      "  natsessionctl tail -f --pri 10.0.0.5 --since -10m\n"
      "  natsessionctl --ledger /var/lib/natsessiond/ledger tail -f --format logfmt");
  command.run([options](const Global& global) { return run_tail(global, *options); });
}

}  // namespace natsession::ctl
