#include "delivery/ledger_log.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <random>
#include <system_error>

#include "ledger/segment_list.h"
#include "record/text_writer.h"

namespace natsession {
namespace {

// How often the collectors are asked what is complete.
constexpr std::chrono::milliseconds kProbeInterval{100};

// How often it is tried whether a full disk has room again.
constexpr std::chrono::milliseconds kTryAgain{200};

std::string rfc3339(UnixMs time) {
  std::array<char, 48> text{};
  return {text.data(), write_rfc3339(text.data(), time)};
}

std::string deletion_text(const DeletedSegment& deleted, const LedgerSettings& settings) {
  std::string text = "deleted " + std::filesystem::path(deleted.path).filename().string() + ", ";
  if (deleted.records > 0) {
    text += std::to_string(deleted.records) + " records that ended from " + rfc3339(deleted.oldest) + " to " +
            rfc3339(deleted.newest);
  } else {
    text += "without records";
  }
  if (deleted.rule == DeletedSegment::Rule::kAge) {
    return text + ": by age, it is kept for " + format_duration(settings.retention);
  }
  text += ": by size, the ledger keeps " + format_byte_count(settings.limit);
  if (deleted.unread > 0) text += "; a sink had not read " + std::to_string(deleted.unread) + " of them";
  return text;
}

// From when on all records that end are yet to come to a sink that is new: a clock that was set back does not
// show the time before once more. One that begins at the start gets all that there is.
Result<UnixMs> complete_since(const std::string& directory, bool from_start, const Clock& clock) {
  const auto segments = SegmentList::open(directory);
  if (!segments) return segments.error();
  if (from_start) return segments->whole_since();
  const LedgerSpan span = segments->span();
  const UnixMs now = to_ms(clock.now());
  return span.records > 0 ? std::max(now, span.newest_end) : now;
}

std::uint64_t draw_stream() {
  std::random_device random;
  while (true) {
    const std::uint64_t stream = std::uint64_t{random()} << 32 | random();
    if (stream != 0) return stream;
  }
}

}  // namespace

class LedgerLog::Reader final : public LogReader {
 public:
  Reader(std::unique_ptr<LedgerReader> reader, const LedgerWriter& writer)
      : reader_(std::move(reader)), writer_(writer) {}

  LedgerReader& ledger() { return *reader_; }
  Result<Block> read() override {
    auto outcome = reader_->read(block_);
    if (!outcome) return outcome.error();
    if (outcome->skipped) return Block{.skipped = std::move(outcome->skipped)};
    return Block{block_.records, block_.records.empty() ? 0 : block_.ordinals.front(), {}};
  }
  void acknowledge(Ordinal) override {}
  void set_hold(Hold) override {}  // what is not read waits in the ledger
  // The reader may see a frame before the writer has told of it.
  [[nodiscard]] Ordinal high_watermark() const override {
    return std::max(writer_.status().written, reader_->place());
  }
  [[nodiscard]] LogStatus status() const override { return {.end = writer_.status().written}; }
  [[nodiscard]] std::vector<CoverageClaim> claims() const override { return writer_.claims(); }

 private:
  const std::unique_ptr<LedgerReader> reader_;
  const LedgerWriter& writer_;
  RecordBlock block_;
};

LedgerLog::LedgerLog(LedgerSetup setup, ConsumerState& state, LogReader& queue, RunState& run,
                     const DeliveryContext& context, Proved proved, std::function<void()> on_written,
                     std::function<void()> on_complete)
    : settings_(setup.settings),
      state_(state),
      queue_(queue),
      run_(run),
      context_(context),
      on_complete_(std::move(on_complete)),
      consumer_(state, queue, context, Takes::kAll),
      writer_(std::move(setup.writer)),
      compaction_(setup.settings, context.clock),
      proved_(std::move(proved)) {
  writer_->on_written(std::move(on_written));
  compaction_.on_deleted([this](const DeletedSegment& deleted) {
    context_.reporter.report({.kind = Report::Kind::kSegmentDeleted,
                              .sink = settings_.directory,
                              .why = deletion_text(deleted, settings_)});
  });
}

LedgerLog::~LedgerLog() = default;

Result<std::unique_ptr<LogConsumer>> LedgerLog::open_consumer(SinkState& sink) {
  auto opened = LedgerReader::open(settings_.directory);
  if (!opened) return opened.error();
  auto cursor = Cursor::open(settings_.directory, sink.name);
  if (!cursor && cursor.error().kind != ErrorKind::kMalformed &&
      cursor.error().kind != ErrorKind::kUnavailable)
    return cursor.error();
  LedgerReader& ledger = **opened;
  readers_.push_back(std::make_unique<Reader>(std::move(*opened), *writer_));
  if (!cursor) return stand_in(sink, cursor.error());
  const std::optional<CursorState> known = cursor->state();
  const Ordinal end = ledger.end();
  // What was before a new sink's beginning is not missing in it.
  const CursorState beginning = sink.spec.from_start ? CursorState{ledger.begin(), UnixMs()}
                                                     : CursorState{end, to_ms(context_.clock.now())};
  CursorState place = known.value_or(beginning);
  place.next = std::min(place.next, end);
  if (place.stream == 0) {
    // Of a cursor that a build before wrote, it is not known what was rejected.
    const auto since = complete_since(settings_.directory, !known && sink.spec.from_start, context_.clock);
    if (!since) return since.error();
    place.complete_since = *since;
    place.stream = draw_stream();
  }
  if (!known || known->next != place.next || known->stream != place.stream) {
    // Also if nothing is ever delivered, a restart must not move a new sink's beginning.
    if (auto stored = cursor->store(place, true); !stored) return stored.error();
  }
  if (known && known->next == place.next && !place.memory.empty()) sink.spec.sink->remember(place.memory);
  ledger.seek(place.next, place.delivered_to);
  return std::make_unique<LogConsumer>(sink, *readers_.back(), context_, sink.spec.takes, std::move(*cursor),
                                       place);
}

std::unique_ptr<LogConsumer> LedgerLog::stand_in(SinkState& sink, const Error& cause) {
  const bool newer = cause.kind == ErrorKind::kUnavailable;
  const std::string why =
      std::string("it gets nothing, for its place in the ledger is ") + (newer ? "not known: " : "lost: ") +
      cause.message + (newer ? "; install that version again, or a later one, or " : "; ") +
      "remove that file and restart natsessiond: the sink then begins " +
      (sink.spec.from_start ? "with the oldest record"
                            : "behind the newest record, or with from=start at the oldest");
  sink.last_failure.with([&](Failure& failure) { failure = {{}, why, {}}; });
  sink.last_failure_at.set(to_ms(context_.clock.now()));
  sink.closed.store(true, std::memory_order_release);
  context_.reporter.report({.kind = Report::Kind::kPlaceLost, .sink = sink.name, .why = why});
  const Ordinal end = readers_.back()->ledger().end();
  return std::make_unique<LogConsumer>(sink, *readers_.back(), context_, sink.spec.takes, std::nullopt,
                                       CursorState{end, to_ms(context_.clock.now())});
}

const LogReader& LedgerLog::reader(std::size_t sink) const {
  return *readers_[sink];
}

Turn LedgerLog::write() {
  if (run_.abandoned.load(std::memory_order_acquire)) return {Turn::Kind::kDone};
  const bool stopping = run_.stopping.load(std::memory_order_acquire);  // before the look
  probe();
  const std::span<const SessionRecord> next = consumer_.offer({.records = 1}, {}).records;
  if (next.empty()) {
    if (stopping) return complete();
    const std::optional<Time> due = writer_->tick();
    watch_writing();
    if (trouble_since_) return {Turn::Kind::kSleep, Notifier::Sleep::kLight, kTryAgain};
    if (!due) return {Turn::Kind::kSleep};
    return {Turn::Kind::kSleep, Notifier::Sleep::kLight,
            std::max(*due - context_.clock.steady(), Time::zero())};
  }
  const std::size_t taken = std::min(writer_->append(next), next.size());
  const bool all = taken == next.size();
  consumer_.acknowledge(taken);
  consumer_.commit();
  prove();
  if (all && !trouble_since_) return {};
  watch_writing();
  if (all) return {};
  return {Turn::Kind::kSleep, Notifier::Sleep::kDeep, kTryAgain};
}

// What the collectors said before the queue ended where it does is proved once all of it was appended.
void LedgerLog::probe() {
  const Time now = context_.clock.steady();
  const bool urgent = proof_wanted_.exchange(false, std::memory_order_acquire);
  if (!urgent && (probe_ || now < probed_at_ + kProbeInterval || !writer_->wants_proof())) return prove();
  probed_at_ = now;
  probe_ = Probe{proved_(), urgent || (probe_ && probe_->urgent), 0};
  probe_->end = queue_.high_watermark();
  prove();
}

void LedgerLog::prove() {
  if (!probe_ || state_.position.load(std::memory_order_relaxed) < probe_->end) return;
  std::vector<Coverage> proved;
  for (std::optional<Coverage>& coverage : probe_->said) {
    if (coverage) proved.push_back(std::move(*coverage));
  }
  const bool all = proved.size() == probe_->said.size();
  writer_->prove(std::move(proved), all, probe_->urgent);
  probe_.reset();
}

Turn LedgerLog::complete() {
  proof_wanted_.store(true, std::memory_order_release);
  probe();
  const Result<void> synced = writer_->sync();
  watch_writing();
  if (!synced && writer_->status().pending > 0) {
    return {Turn::Kind::kSleep, Notifier::Sleep::kDeep, kTryAgain};
  }
  writer_->close();  // whatever becomes of the sinks: what they have not taken is in it
  run_.log_complete.store(true, std::memory_order_release);
  on_complete_();
  return {Turn::Kind::kDone};
}

void LedgerLog::watch_writing() {
  const std::string failure = writer_->status().failure;
  if (failure.empty() == !trouble_since_) return;
  const Time now = context_.clock.steady();
  if (failure.empty()) {
    const Time lasted = now - *trouble_since_;
    trouble_since_.reset();
    context_.reporter.report(
        {.kind = Report::Kind::kLedgerTroubleOver, .sink = settings_.directory, .lasted = lasted});
    return;
  }
  trouble_since_ = now;
  failures_.add(1);
  context_.reporter.report(
      {.kind = Report::Kind::kLedgerTrouble, .sink = settings_.directory, .why = failure});
}

Turn LedgerLog::keep_up() {
  if (run_.stopping.load(std::memory_order_acquire)) return {Turn::Kind::kDone};
  const Time wait = compaction_.step();
  const std::string failure = compaction_.status().failure;
  if (failure != upkeep_failure_) {
    upkeep_failure_ = failure;
    context_.reporter.report(
        {.kind = failure.empty() ? Report::Kind::kUpkeepTroubleOver : Report::Kind::kUpkeepTrouble,
         .sink = settings_.directory,
         .why = failure});
  }
  if (wait <= Time::zero()) return {};
  return {Turn::Kind::kSleep, Notifier::Sleep::kLight, wait};
}

LedgerReport LedgerLog::report() const {
  const LogStatus queue = queue_.status();
  const WriterStatus written = writer_->status();
  const LedgerStatus kept = compaction_.status();
  std::error_code ignored;
  LedgerReport report;
  report.directory = std::filesystem::absolute(settings_.directory, ignored).string();
  report.bytes = kept.bytes;
  report.limit_bytes = settings_.limit.bytes;
  report.segments = kept.segments;
  report.sealed_segments = kept.sealed_segments;
  report.records = kept.records;
  if (kept.records > 0) report.oldest = kept.oldest;
  report.retention = settings_.retention;
  report.appended = written.appended;
  report.pending = written.pending + state_.waiting(queue);
  report.append_failures = failures_.value();
  report.dropped = state_.dropped(queue);
  report.deleted_segments = kept.deleted_segments;
  report.deleted_unread_records = kept.deleted_unread_records;
  report.damaged_frames = kept.damaged_frames;
  report.failure = written.failure;
  report.upkeep_failure = kept.failure;
  report.end = written.written;
  report.age_now = kept.age_now;
  return report;
}

}  // namespace natsession
