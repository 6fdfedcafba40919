#include "query/ready_sums.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "query/frame_filter.h"

namespace natsession {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;

std::int64_t ms_of(UnixMs time) {
  return time.time_since_epoch().count();
}
UnixMs time_of(std::int64_t ms) {
  return UnixMs(std::chrono::milliseconds(ms));
}

// The one field that a question tells records apart by; nothing if there are several. Without any: protocol.
std::optional<Field> only_field(const std::vector<FieldTest>& where, const std::vector<Field>& by) {
  std::optional<Field> only;
  const auto add = [&only](Field field) { return only.value_or(field) == field && (only = field, true); };
  const bool one =
      by.size() <= 1 && std::all_of(by.begin(), by.end(), add) &&
      std::all_of(where.begin(), where.end(), [&](const FieldTest& test) { return add(test.field); });
  return one ? only.value_or(Field::kProtocol) : std::optional<Field>();
}

std::optional<SumsKind> at_end_by(Field field) {
  switch (field) {
    case Field::kProtocol:
      return SumsKind::kMinutesAtEnd;
    case Field::kPriIp:
      return SumsKind::kHoursByPriIp;
    case Field::kPubIp:
      return SumsKind::kHoursByPubIp;
    case Field::kNatIp:
      return SumsKind::kHoursByNatIp;
    default:
      return std::nullopt;
  }
}

Field field_of(SumsKind kind) {
  switch (kind) {
    case SumsKind::kHoursByPriIp:
      return Field::kPriIp;
    case SumsKind::kHoursByPubIp:
      return Field::kPubIp;
    case SumsKind::kHoursByNatIp:
      return Field::kNatIp;
    default:
      return Field::kProtocol;
  }
}

// A record that has the key's value alone, for the tests of that field.
SessionRecord record_of(Field field, const SumsKey& key) {
  SessionRecord record;
  if (field == Field::kProtocol) record.protocol = key.protocol();
  if (field == Field::kPriIp) record.pri_ip = key.address();
  if (field == Field::kPubIp) record.pub_ip = key.address();
  if (field == Field::kNatIp) record.nat_ip = key.address();
  return record;
}

}  // namespace

std::optional<ReadySums> ReadySums::by_end(const Query& query, const std::vector<Field>& by) {
  if (query.start.from || query.start.until || !query.moments.empty()) return std::nullopt;
  const auto field = only_field(query.where, by);
  const auto kind = field ? at_end_by(*field) : std::nullopt;
  if (!kind) return std::nullopt;
  ReadySums sums({*kind}, query.where);
  const std::int64_t length = sums.length_ms();
  if (query.end.from) sums.first_ = period_of(ms_of(*query.end.from) - 1, length) + 1;
  if (query.end.until) sums.behind_ = period_of(ms_of(*query.end.until) + 1, length);
  if (sums.first_ && sums.behind_ && *sums.first_ >= *sums.behind_) return std::nullopt;
  return sums;
}

std::optional<ReadySums> ReadySums::over_time(UnixMs from, UnixMs until, std::chrono::milliseconds length,
                                              const std::vector<FieldTest>& where,
                                              const std::optional<Field>& by, bool at_end) {
  const auto field = only_field(where, by ? std::vector<Field>{*by} : std::vector<Field>());
  if (field != Field::kProtocol) return std::nullopt;
  if (ms_of(from) % kMinuteMs != 0 || length.count() % kMinuteMs != 0) return std::nullopt;
  ReadySums sums(
      at_end ? std::vector{SumsKind::kMinutesAtEnd, SumsKind::kMinutes} : std::vector{SumsKind::kMinutes},
      where);
  sums.first_ = period_of(ms_of(from), kMinuteMs);
  sums.behind_ = period_of(ms_of(until), kMinuteMs);
  if (*sums.first_ >= *sums.behind_) return std::nullopt;
  return sums;
}

UnixMs ReadySums::until() const {
  return behind_ ? time_of(*behind_ * length_ms()) : UnixMs::max();
}

// A segment in which a record is missing is left to the records: they say what is missing.
bool ReadySums::can_tell(const SegmentEntry& segment) const {
  const SegmentBounds& bounds = segment.bounds;
  if (!segment.settled || bounds.records == 0 || bounds.records != bounds.end - segment.name.first)
    return false;
  if (segment.limit <= kMaxOrdinal && bounds.end != segment.limit) return false;
  const bool spread = kinds_.back() == SumsKind::kMinutes;
  const UnixMs lowest = spread ? bounds.min_start : bounds.min_end;
  const bool before = behind_ && lowest >= time_of(*behind_ * length_ms());
  const bool after = first_ && bounds.max_end < time_of(*first_ * length_ms());
  return !before && !after;
}

ReadyPart ReadySums::whole_part() const {
  ReadyPart part;
  const bool spread = kinds_.back() == SumsKind::kMinutes;
  if (first_ && !spread) part.end.from = time_of(*first_ * length_ms());
  if (behind_) part.end.until = time_of(*behind_ * length_ms() - 1);
  return part;
}

// The segments are shared out among the workers.
class ReadySums::Reading {
 public:
  Reading(const ReadySums& sums, const LogStore& ledger, const ScanControl& control, const Use& use)
      : sums_(sums), ledger_(ledger), control_(control), use_(use), filter_([&] {
          Query query;
          query.where = sums.where_;
          return query;
        }()) {
    if (ledger.ledger() == nullptr) return;
    for (const SegmentEntry& segment : ledger.ledger()->entries()) {
      if (sums.can_tell(segment)) segments_.push_back(&segment);
    }
  }

  void run() {
    const std::size_t threads = std::min<std::size_t>(Scan::threads_of(control_), segments_.size());
    std::vector<std::jthread> pool;  // joined, too, where one of them has no room for its stack
    for (unsigned worker = 1; worker < threads; ++worker) {
      pool.emplace_back([this, worker] { work(worker); });
    }
    work(0);
    for (std::jthread& thread : pool) thread.join();
  }

  [[nodiscard]] std::shared_ptr<const ReadyPart> part() {
    if (void_) return nullptr;
    auto part = std::make_shared<ReadyPart>(sums_.whole_part());
    std::sort(told_.begin(), told_.end(),
              [](const ReadyPart::Segment& a, const ReadyPart::Segment& b) { return a.first < b.first; });
    part->segments = std::move(told_);
    return part;
  }
  [[nodiscard]] std::string note() const {
    if (newer_ == 0) return {};
    return fmt::format(
        "the sums of {} segments were written by a newer version, and their records read instead", newer_);
  }

 private:
  void work(unsigned worker) {
    while (!void_ && !control_.cancelled()) {
      const std::size_t place = next_.fetch_add(1);
      if (place >= segments_.size()) return;
      read(worker, *segments_[place]);
    }
  }

  [[nodiscard]] bool is_wanted(SumsKind kind, const SumsEntry& entry) const {
    if (sums_.first_ && entry.period < *sums_.first_) return false;
    if (sums_.behind_ && entry.period >= *sums_.behind_) return false;
    return sums_.where_.empty() || filter_.passes(record_of(field_of(kind), entry.key));
  }

  void read(unsigned worker, const SegmentEntry& segment) {
    const Ordinal first = segment.name.first;
    auto sums = SegmentSums::open(*ledger_.ledger()->shared_directory(), {first, segment.seal});
    if (!sums) {
      if (sums.error().kind == ErrorKind::kUnavailable) ++newer_;
      return;
    }
    const bool has_all =
        std::all_of(sums_.kinds_.begin(), sums_.kinds_.end(), [&](SumsKind kind) { return sums->has(kind); });
    if (!has_all) return;
    bool used = false;
    for (const SumsKind kind : sums_.kinds_) {
      const auto done = sums->read(kind, [&](std::span<const SumsEntry> entries) {
        used = true;
        const auto wanted = [&](const SumsEntry& entry) { return is_wanted(kind, entry); };
        if (std::all_of(entries.begin(), entries.end(), wanted)) {
          use_(worker, kind, entries);
          return;
        }
        std::vector<SumsEntry> some;
        std::copy_if(entries.begin(), entries.end(), std::back_inserter(some), wanted);
        use_(worker, kind, some);
      });
      if (done) continue;
      if (used) void_ = true;
      return;
    }
    const std::lock_guard lock(mutex_);
    told_.push_back({first, sums->gaps()});
  }

  const ReadySums& sums_;
  const LogStore ledger_;
  const ScanControl& control_;
  const Use& use_;
  const FrameFilter filter_;
  std::vector<const SegmentEntry*> segments_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<std::size_t> newer_ = 0;
  std::atomic<bool> void_ = false;
  std::mutex mutex_;  // of told_
  std::vector<ReadyPart::Segment> told_;
};

std::shared_ptr<const ReadyPart> ReadySums::read(RemoteLog& log, const ScanControl& control,
                                                 const Use& use) const {
  const FrameFilter filter([this] {
    Query query;
    query.where = where_;
    return query;
  }());
  for (const SumsKind kind : kinds_) {
    const auto wanted = [&](const SumsEntry& entry) {
      if (by_period_ && first_ && entry.period < *first_) return false;
      if (by_period_ && behind_ && entry.period >= *behind_) return false;
      return where_.empty() || filter.passes(record_of(field_of(kind), entry.key));
    };
    std::vector<SumsEntry> some;
    const bool told =
        log.sums({kind, first_, behind_, where_, by_period_}, [&](std::span<const SumsEntry> all) {
          some.clear();
          std::copy_if(all.begin(), all.end(), std::back_inserter(some), wanted);
          if (!some.empty()) use(0, kind, some);
          return !control.cancelled();
        });
    if (!told) return nullptr;
  }
  return std::make_shared<ReadyPart>(whole_part());
}

std::shared_ptr<const ReadyPart> ReadySums::read(const LogStore& ledger, const ScanControl& control,
                                                 const Use& use, std::string& note) const {
  if (ledger.remote() != nullptr) return read(*ledger.remote(), control, use);
  Reading reading(*this, ledger, control, use);
  reading.run();
  note = reading.note();
  return reading.part();
}

}  // namespace natsession
