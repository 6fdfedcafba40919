#include "ledger/compactor.h"

#include <algorithm>

#include "ledger/cursor.h"

namespace natsession {
namespace {

using std::chrono::nanoseconds;

constexpr std::chrono::seconds kIdle{5};
// What could not be sealed or deleted is left alone for so long.
constexpr std::chrono::minutes kTryAgain{1};
// So many segments that cannot be dealt with are remembered.
constexpr std::size_t kMaxTroubles = 4096;
// By such a part of the retention the clock may go ahead at once.
constexpr int kToleratedPart = 8;

UnixMs newest_of(const SegmentEntry& entry) {
  return entry.bounds.records > 0 ? entry.bounds.max_end : entry.changed;
}

}  // namespace

nanoseconds Compactor::step() {
  failure_.clear();
  nanoseconds again = kIdle;
  if (sealer_) {
    again = seal_on();
  } else if (maker_) {
    again = sum_on();
  } else if (open()) {
    if (auto fresh = segments_->refresh(); !fresh) {
      failure_ = fresh.error().message;
      segments_.reset();
    } else {
      const bool knows_time = tell_time();
      if (clean_up() || (knows_time && delete_one()) || begin_sealing() || begin_summing())
        again = nanoseconds(0);
    }
  }
  publish();
  return again;
}

bool Compactor::open() {
  if (segments_) return true;
  auto directory = LedgerDirectory::open(settings_.directory);
  if (!directory) {
    failure_ = directory.error().message;
    return false;
  }
  segments_.emplace(std::move(*directory));
  clean_ = false;
  return true;
}

// What a crash, or sealing that failed, left behind. True if there was something.
bool Compactor::clean_up() {
  if (clean_) return false;
  clean_ = true;
  LedgerDirectory& directory = segments_->directory();
  const auto names = directory.leftovers();
  if (!names) {
    failure_ = names.error().message;
    return false;
  }
  for (const std::string& text : *names) {
    std::string useless = text;
    if (const auto name = SegmentName::parse(text)) {
      // Both forms are there. The sealed one was flushed before it got its name; should it be no segment all
      // the same, then the open one holds the records.
      const SegmentName sealed{name->first, true};
      const auto file = SegmentFile::open(directory, sealed);
      const auto trailer = file ? (*file)->trailer() : Result<SegmentTrailer>(file.error());
      if (!trailer) useless = sealed.text();
    }
    if (auto removed = directory.remove(useless); !removed) failure_ = removed.error().message;
  }
  return !names->empty();
}

nanoseconds Compactor::seal_on() {
  const auto progress = sealer_->step();
  if (progress && *progress == SegmentSealer::Progress::kMore) return nanoseconds(0);
  if (progress) {
    damaged_ += sealer_->damaged_frames();
    troubles_.erase(sealing_);
  } else {
    trouble(sealing_, progress.error());
    clean_ = false;
  }
  sealer_.reset();
  return nanoseconds(0);
}

bool Compactor::begin_sealing() {
  for (const SegmentEntry& entry : segments_->entries()) {
    if (entry.last || entry.name.sealed || !entry.why.empty() || is_in_trouble(entry.name.first)) continue;
    auto sealer = SegmentSealer::begin(segments_->directory(), entry.name, entry.limit);
    if (!sealer) {
      trouble(entry.name.first, sealer.error());
      continue;
    }
    sealer_ = std::move(*sealer);
    sealing_ = entry.name.first;
    return true;
  }
  return false;
}

nanoseconds Compactor::sum_on() {
  const auto progress = maker_->step();
  if (progress && *progress == SumsMaker::Progress::kMore) return nanoseconds(0);
  if (progress) {
    if (segments_) segments_->set_sums_bytes(summing_, maker_->bytes());
    troubles_.erase(summing_);
    summed_.insert(summing_);
  } else {
    trouble(summing_, progress.error());
  }
  maker_.reset();
  return nanoseconds(0);
}

// Looks at the sums of one segment, or begins to make them. Those that a newer version wrote are left alone.
bool Compactor::begin_summing() {
  for (const SegmentEntry& entry : segments_->entries()) {
    const Ordinal first = entry.name.first;
    if (!entry.settled || entry.last || summed_.count(first) != 0 || is_in_trouble(first)) continue;
    const auto sums = SegmentSums::open(segments_->directory(), {first, entry.seal});
    const auto good = sums ? sums->verify() : Result<void>(sums.error());
    if (good || good.error().kind != ErrorKind::kMalformed) {
      summed_.insert(first);
      return true;
    }
    auto maker = SumsMaker::begin(segments_->directory(), entry);
    if (!maker) {
      trouble(first, maker.error());
      continue;
    }
    maker_ = std::move(*maker);
    summing_ = first;
    return true;
  }
  return false;
}

// One segment, if one is to go: by age if all sinks have read it, by the byte limit in any case.
bool Compactor::delete_one() {
  const auto& entries = segments_->entries();
  std::uint64_t bytes = 0;
  for (const SegmentEntry& entry : entries) bytes += entry.bytes + entry.sums_bytes;
  const bool too_large = settings_.limit.bytes > 0 && bytes > settings_.limit.bytes;
  const bool some_expired = std::any_of(entries.begin(), entries.end(),
                                        [&](const SegmentEntry& entry) { return is_expired(entry); });
  if (!too_large && !some_expired) return false;

  const std::optional<Ordinal> unread = first_unread();
  for (const SegmentEntry& entry : entries) {
    if (entry.last || is_in_trouble(entry.name.first)) continue;
    const Ordinal end = std::max(entry.bounds.end, entry.name.first);
    const bool all_read = !unread || *unread >= end;
    if (!too_large && !(is_expired(entry) && all_read)) continue;
    std::uint64_t lost = 0;
    if (!all_read) lost = std::min(entry.bounds.records, end - std::max(*unread, entry.name.first));
    return remove(entry,
                  is_expired(entry) && all_read ? DeletedSegment::Rule::kAge : DeletedSegment::Rule::kSize,
                  lost);
  }
  return false;
}

bool Compactor::remove(const SegmentEntry& entry, DeletedSegment::Rule rule, std::uint64_t unread) {
  const LedgerDirectory& directory = segments_->directory();
  auto removed = directory.remove(entry.name.text());
  if (!removed) {
    trouble(entry.name.first, removed.error());
    return true;  // another may go instead
  }
  // What is left of them is rubbish, which the next start removes.
  static_cast<void>(directory.remove(entry.name.sums()));
  summed_.erase(entry.name.first);
  ++deleted_segments_;
  deleted_unread_ += unread;
  troubles_.erase(entry.name.first);
  DeletedSegment deleted{.rule = rule,
                         .path = directory.path_of(entry.name.text()),
                         .bytes = entry.bytes + entry.sums_bytes,
                         .records = entry.bounds.records,
                         .oldest = {},
                         .newest = {},
                         .unread = unread};
  if (entry.bounds.records > 0) {
    deleted.oldest = entry.bounds.min_end;
    deleted.newest = entry.bounds.max_end;
  }
  if (on_deleted_) on_deleted_(deleted);
  if (auto fresh = segments_->refresh(); !fresh) failure_ = fresh.error().message;
  return true;
}

// False where that is not known: nothing is to be deleted then.
bool Compactor::tell_time() {
  const auto& entries = segments_->entries();
  if (!age_clock_) {
    std::optional<UnixMs> known;
    for (const SegmentEntry& entry : entries) {
      if (entry.bounds.records > 0) known = std::min(known.value_or(UnixMs::max()), entry.bounds.min_end);
    }
    auto opened = AgeClock::open(settings_.directory, known, clock_);
    if (!opened) {
      failure_ = opened.error().message;
      return false;
    }
    age_clock_ = std::move(*opened);
  }
  age_clock_->look(clock_, settings_.retention / kToleratedPart);
  if (auto stored = age_clock_->store(settings_.directory, clock_); !stored)
    failure_ = stored.error().message;
  const UnixMs oldest_by_wall = to_ms(clock_.now()) - settings_.retention;
  held_back_ = age_clock_->doubts() && settings_.retention.count() > 0 &&
               std::any_of(entries.begin(), entries.end(), [&](const SegmentEntry& entry) {
                 return !entry.last && newest_of(entry) < oldest_by_wall && !is_expired(entry);
               });
  return true;
}

bool Compactor::is_expired(const SegmentEntry& entry) const {
  if (settings_.retention.count() <= 0 || entry.last) return false;
  return age_clock_->corrected(newest_of(entry)) < age_clock_->now() - settings_.retention;
}

// The oldest ordinal that one of the sinks has yet to read; nullopt if none of them has a cursor.
std::optional<Ordinal> Compactor::first_unread() const {
  std::optional<Ordinal> first;
  for (const NamedCursor& cursor : list_cursors(settings_.directory)) {
    const bool counts = std::any_of(sinks_.begin(), sinks_.end(), [&](const std::string& sink) {
      return cursor.name == std::string_view(sink).substr(0, kMaxCursorName);
    });
    if (counts) first = std::min(first.value_or(cursor.state.next), cursor.state.next);
  }
  return first;
}

bool Compactor::is_in_trouble(Ordinal segment) const {
  const auto found = troubles_.find(segment);
  return found != troubles_.end() && clock_.steady() < found->second.until;
}

void Compactor::trouble(Ordinal segment, const Error& error) {
  if (troubles_.size() >= kMaxTroubles) troubles_.erase(troubles_.begin());
  troubles_[segment] = {clock_.steady() + kTryAgain, error.message};
}

void Compactor::publish() {
  status_.with([&](LedgerStatus& status) {
    status.deleted_segments = deleted_segments_;
    status.deleted_unread_records = deleted_unread_;
    status.damaged_frames = damaged_;
    status.failure = failure_.empty() && !troubles_.empty() ? troubles_.begin()->second.why : failure_;
    if (status.failure.empty() && held_back_) {
      status.failure =
          "ledger " + settings_.directory +
          ": the clock is far ahead of the time that has passed: nothing is deleted by age before it is "
          "synchronised, or has stood for a day";
    }
    if (age_clock_) status.age_now = age_clock_->now();
    if (!segments_) return;
    status.bytes = status.segments = status.sealed_segments = status.records = 0;
    status.oldest = {};
    for (const SegmentEntry& entry : segments_->entries()) {
      status.bytes += entry.bytes + entry.sums_bytes;
      ++status.segments;
      if (entry.name.sealed) ++status.sealed_segments;
      if (status.records == 0 && entry.bounds.records > 0) status.oldest = entry.bounds.min_end;
      status.records += entry.bounds.records;
    }
  });
}

}  // namespace natsession
