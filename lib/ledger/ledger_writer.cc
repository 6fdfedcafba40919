#include "ledger/ledger_writer.h"

#include <algorithm>

#include "ledger/ledger_recovery.h"
#include "ledger/segment_list.h"

namespace natsession {
namespace {

using std::chrono::nanoseconds;

// How soon what failed is tried again when nothing is appended meanwhile.
constexpr std::chrono::seconds kRetry{1};

// How often coverage is written while no records come.
constexpr std::chrono::minutes kIdleClaim{1};
// So long after the last of them it is written as often as if they came.
constexpr std::chrono::seconds kSettled{2};

}  // namespace

Result<std::unique_ptr<LedgerWriter>> LedgerWriter::open(const LedgerSettings& settings, const Clock& clock,
                                                         bool torn_is_known) {
  auto directory = LedgerDirectory::make(settings.directory);
  if (!directory) return directory.error();
  auto lock = LedgerLock::take(settings.directory);
  if (!lock) return lock.error();
  std::unique_ptr<LedgerWriter> writer(
      new LedgerWriter(settings, clock, std::move(*directory), std::move(*lock)));
  if (auto started = writer->start(torn_is_known); !started) return started.error();
  return writer;
}

LedgerWriter::LedgerWriter(const LedgerSettings& settings, const Clock& clock, LedgerDirectory directory,
                           LedgerLock lock)
    : settings_(settings), clock_(clock), directory_(std::move(directory)), lock_(std::move(lock)) {}

Result<void> LedgerWriter::start(bool torn_is_known) {
  const bool crashed = !lock_.was_closed();
  auto tail = find_tail(directory_, crashed);
  if (!tail) return tail.error();
  written_ = tail->next;
  if (!crashed) {
    const auto until = lock_.closed_until() ? lock_.closed_until() : tail->last_record;
    if (until) previous_run_ = PreviousRun{*until, /*crashed=*/false, lock_.closed_booted(), {}};
  } else if (tail->last_record || tail->segment) {
    previous_run_ = PreviousRun{tail->last_record.value_or(tail->header.created), /*crashed=*/true, {}, {}};
  }
  flushed_at_ = segment_since_ = claimed_at_ = appended_at_ = clock_.steady();
  if (auto opened = open_coverage(); !opened) return opened;
  if (previous_run_) previous_run_->coverage = coverage_->before();
  if (tail->segment && tail->header.window != settings_.window) {
    // It names the window of its records: others belong into another.
    if (tail->bytes == kSegmentHeaderBytes) {
      if (auto removed = directory_.remove(tail->segment->text()); !removed) return removed;
    }
    tail->segment.reset();
  }
  if (tail->segment) {
    auto segment = SegmentAppender::reopen(directory_, *tail->segment, tail->header.created, tail->bytes);
    if (!segment) return segment.error();
    segment_ = std::move(*segment);
  } else if (auto ready = ready_segment(); !ready && ready.error().kind == ErrorKind::kPermission) {
    return ready;  // what else fails (no room) may pass: it is tried again when there is something to write
  }
  if (auto marked = lock_.mark_held(); !marked) return marked.error();
  if (!torn_is_known) pending_.add(tail->rescued.records);
  if (!pending_.empty()) write_group(settings_.sync != SyncMode::kNever);
  started_ = true;
  publish();
  return {};
}

LedgerWriter::~LedgerWriter() {
  close();
}

void LedgerWriter::close() {
  if (closed_ || !started_ || !sync() || !begun_.load(std::memory_order_acquire)) return;
  const UnixMs until = logged_until_.load(std::memory_order_acquire);
  closed_ =
      static_cast<bool>(lock_.mark_closed(until == UnixMs() ? to_ms(clock_.now()) : until, booted(clock_)));
}

// From here on a kill is told to the next start.
void LedgerWriter::mark_open() {
  if (marked_open_) return;
  const auto marked = lock_.mark_open();
  marked_open_ = static_cast<bool>(marked);
  if (!marked) fail(marked.error());  // it is tried again
}

Result<void> LedgerWriter::open_coverage() {
  const auto names = directory_.segments();
  if (!names) return names.error();
  // What was deleted with its records is not proved any more.
  UnixMs oldest = UnixMs::max();
  if (!names->empty()) oldest = UnixMs::min();
  if (!names->empty() && names->front().first != 0) {
    const auto file = open_segment(directory_, names->front());
    const auto header = file ? (*file)->header() : Result<SegmentHeader>(file.error());
    if (header) oldest = header->created;
  }
  auto opened = CoverageFile::open(settings_.directory, written_, oldest);
  if (!opened) return opened.error();
  coverage_ = std::move(*opened);
  claims_.with([this](std::vector<CoverageClaim>& claims) { claims = coverage_->before(); });
  return {};
}

void LedgerWriter::prove(std::vector<Coverage> proved, bool all, bool urgent) {
  proving_ = true;
  claim_ = Claim{std::move(proved), all, urgent, written_ + pending_.size(), booted(clock_)};
  if (urgent) static_cast<void>(sync());
  claim();
}

// What is claimed reaches behind the last record, also when none follows.
nanoseconds LedgerWriter::next_claim() const {
  const bool settled = claimed_at_ >= appended_at_ + kSettled;
  return claimed_at_ + (settled ? nanoseconds(kIdleClaim) : nanoseconds(settings_.sync_interval));
}

// Claims what is proved, once its records are where readers find them, and after them on the disk.
void LedgerWriter::claim() {
  if (!claim_ || written_ < claim_->end) return;
  const bool on_disk = !unflushed_ || settings_.sync == SyncMode::kNever;
  if (!on_disk || !failure_.empty()) return;
  const nanoseconds now = clock_.steady();
  if (!claim_->urgent && appended_ == claimed_ && now < next_claim()) return;
  if (!coverage_->store(claim_->proved, written_, claim_->booted)) return;  // not claimed; it is tried again
  note_claims();
  claimed_ = appended_;
  claimed_at_ = now;
  proved_until_.reset();
  for (const Coverage& coverage : claim_->all ? claim_->proved : std::vector<Coverage>()) {
    proved_until_ = std::min(proved_until_.value_or(coverage.until), coverage.until);
  }
  claim_.reset();
  publish();
}

// One whose namespace and beginning are known goes on, as in the file.
void LedgerWriter::note_claims() {
  claims_.with([this](std::vector<CoverageClaim>& claims) {
    for (const Coverage& proved : claim_->proved) {
      const auto known = std::find_if(claims.begin(), claims.end(), [&](const CoverageClaim& one) {
        return one.coverage.netns == proved.netns && one.coverage.from == proved.from;
      });
      CoverageClaim told{proved, claim_->end, claim_->booted};
      if (known == claims.end()) {
        claims.push_back(std::move(told));
      } else {
        *known = std::move(told);
      }
    }
  });
}

std::size_t LedgerWriter::append(std::span<const SessionRecord> records) {
  mark_open();
  if (group_.records > 0) write_due();
  if (pending_.empty()) pending_since_ = clock_.steady();
  std::size_t taken = 0;
  while (taken < records.size()) {
    const auto more = records.subspan(taken, std::min(records.size() - taken, kMaxFrameRecords));
    if (pending_.size() + more.size() <= group_.records + kMaxFrameRecords) {
      pending_.add(more);
      taken += more.size();
    } else if (!write_group(settings_.sync == SyncMode::kAlways)) {
      break;
    }
  }
  appended_ += taken;
  if (taken > 0) appended_at_ = clock_.steady();
  write_due();
  publish();
  return taken;
}

std::optional<nanoseconds> LedgerWriter::tick() {
  if (begun_.load(std::memory_order_acquire)) mark_open();
  write_due();
  claim();
  if (pending_.empty() && segment_ && segment_is_over()) {
    if (auto ready = ready_segment(); !ready) fail(ready.error());
  }
  publish();
  const nanoseconds now = clock_.steady();
  if (!failure_.empty()) return now + kRetry;
  std::optional<nanoseconds> next;
  const auto at = [&](nanoseconds time) { next = next ? std::min(*next, time) : time; };
  if (!pending_.empty()) at(pending_since_ + settings_.sync_interval);
  if (proving_) at(std::max(next_claim(), now + kRetry));
  if (unflushed_ && settings_.sync != SyncMode::kNever) at(flushed_at_ + settings_.sync_interval);
  if (segment_ && segment_->has_frames()) at(now + std::max(settings_.segment_span - segment_age(), {}));
  return next;
}

Result<void> LedgerWriter::sync() {
  while (!pending_.empty() && write_group(settings_.sync != SyncMode::kNever)) {
  }
  if (pending_.empty() && unflushed_ && settings_.sync != SyncMode::kNever) flush_segment();
  publish();
  if (failure_.empty()) return {};
  return Error{ErrorKind::kIo, status().failure};
}

bool LedgerWriter::due(nanoseconds now) const {
  return !pending_.empty() &&
         (settings_.sync == SyncMode::kAlways || now >= pending_since_ + settings_.sync_interval);
}

void LedgerWriter::write_due() {
  const nanoseconds now = clock_.steady();
  // What failed is due at every call.
  while (due(now) || group_.records > 0) {
    if (!write_group(settings_.sync != SyncMode::kNever)) return;
  }
  const bool flush_due = settings_.sync != SyncMode::kNever && now >= flushed_at_ + settings_.sync_interval;
  if (unflushed_ && flush_due) flush_segment();
}

bool LedgerWriter::write_group(bool flush) {
  if (group_.records == 0) encode_group();
  if (auto ready = ready_segment(); !ready && (!segment_ || segment_->deleted())) return fail(ready.error());
  const nanoseconds now = clock_.steady();
  flush = flush || (settings_.sync == SyncMode::kInterval && now >= flushed_at_ + settings_.sync_interval);
  if (auto written = segment_->append(group_.bytes, flush); !written) return fail(written.error());

  failure_.clear();
  unflushed_ = !flush;
  if (flush) flushed_at_ = now;
  written_ += group_.records;
  pending_.drop(group_.records);
  // The rest was appended later, if not much later.
  if (pending_.size() < kMaxFrameRecords) pending_since_ = now;
  group_.records = 0;
  publish();
  claim();
  if (on_written_) on_written_();
  return true;
}

void LedgerWriter::encode_group() {
  const auto records = pending_.records().first(pending_.whole());
  group_.bytes.clear();
  group_.records = records.size();
  encoder_.encode(records, written_, settings_.window, group_.bytes);
}

// Goes over to a new segment where it is time, or where the disk has failed under the present one. If that
// fails, what there is still serves.
Result<void> LedgerWriter::ready_segment() {
  const bool gone = segment_ && segment_->deleted();
  if (segment_ && !gone && !segment_->failed() && !segment_is_over()) return {};
  const bool flush = settings_.sync != SyncMode::kNever;
  if (segment_ && unflushed_ && flush && !gone) {
    const auto flushed = segment_->flush();
    // Where the disk takes nothing more for this file, what was not flushed is damage for whoever cannot read
    // it.
    if (!flushed && !segment_->failed()) return flushed;
    unflushed_ = false;
  }
  if (gone && directory_.removed()) {
    if (auto made = make_directory_anew(); !made) return made;
  }
  auto made = SegmentAppender::make(directory_, {written_, to_ms(clock_.now()), settings_.window}, flush);
  if (!made) return made.error();
  segment_ = std::move(*made);
  segment_since_ = clock_.steady();
  return {};
}

// Somebody removed it, perhaps with the lock.
Result<void> LedgerWriter::make_directory_anew() {
  auto directory = LedgerDirectory::make(settings_.directory);
  if (!directory) return directory.error();
  if (lock_.removed()) {
    auto lock = LedgerLock::take(settings_.directory);
    if (!lock) return lock.error();
    if (auto marked = lock->mark_open(); !marked) return marked;
    lock_ = std::move(*lock);
  }
  directory_ = std::move(*directory);
  return open_coverage();
}

bool LedgerWriter::segment_is_over() const {
  return segment_->has_frames() && written_ > segment_->first() &&
         (segment_->bytes() >= settings_.segment_limit.bytes || segment_age() >= settings_.segment_span);
}

// By the wall clock, across restarts; a clock that was set back does not make a segment last for ever.
std::chrono::milliseconds LedgerWriter::segment_age() const {
  const auto by_wall = to_ms(clock_.now()) - segment_->created();
  const auto by_steady = std::chrono::floor<std::chrono::milliseconds>(clock_.steady() - segment_since_);
  return std::max(by_wall, by_steady);
}

bool LedgerWriter::flush_segment() {
  if (auto flushed = segment_->flush(); !flushed) return fail(flushed.error());
  unflushed_ = false;
  flushed_at_ = clock_.steady();
  failure_.clear();
  return true;
}

bool LedgerWriter::fail(const Error& error) {
  constexpr std::string_view kPrefix = "ledger: ";
  failure_ = error.message.starts_with(kPrefix) ? error.message.substr(kPrefix.size()) : error.message;
  publish();
  return false;
}

void LedgerWriter::publish() {
  status_.with([&](WriterStatus& status) {
    status.appended = appended_;
    status.written = written_;
    status.pending = pending_.size();
    status.proved_until = proved_until_;
    if (failure_.empty()) {
      status.failure.clear();
    } else {
      status.failure = "ledger " + settings_.directory + ": " + failure_ + "; " +
                       std::to_string(pending_.size()) + " records wait in memory";
    }
  });
}

}  // namespace natsession
