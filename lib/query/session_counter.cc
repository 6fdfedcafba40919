#include "query/session_counter.h"

#include <algorithm>
#include <limits>

#include "query/group.h"

namespace natsession {
namespace {

constexpr std::size_t kFirstSlots = 1024;

}  // namespace

SessionCounter::SessionCounter(const Query& query, std::optional<UnixMs> oldest) : slots_(kFirstSlots) {
  sure_ = std::all_of(query.where.begin(), query.where.end(),
                      [](const FieldTest& test) { return spec_of(test.field).of_session; });
  std::int64_t begin = std::numeric_limits<std::int64_t>::min() + 1;
  for (const auto& time : {query.start.from, query.end.from, oldest}) {
    if (time) begin = std::max(begin, std::int64_t{time->time_since_epoch().count()});
  }
  begin_ms_ = begin;
}

std::vector<std::uint32_t> SessionCounter::first_seen(const ScanBatch& batch,
                                                      const std::vector<std::uint32_t>& rows,
                                                      const std::vector<std::uint32_t>& places) {
  std::vector<std::uint32_t> seen;
  RecordBlock block;
  const auto made = batch.materialise(rows, block);
  const std::lock_guard lock(mutex_);
  if (!made) {
    ScanReport more;
    more.trouble_count = 1;
    more.troubles = {batch.damage(made.error())};
    report_.merge(more);
    return seen;
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (insert(block.records[i].session_id)) seen.push_back(places[i]);
  }
  return seen;
}

bool SessionCounter::insert(std::uint64_t id) {
  if (id == 0) return !std::exchange(has_zero_, true);
  std::size_t mask = slots_.size() - 1;
  std::size_t slot = (id * 0x9e3779b97f4a7c15 >> 20) & mask;
  for (; slots_[slot] != 0; slot = (slot + 1) & mask) {
    if (slots_[slot] == id) return false;
  }
  if (size_ == kMaxCarriedOver) {
    cut_ = true;
    return false;
  }
  slots_[slot] = id;
  if (++size_ * 10 > slots_.size() * 6) {
    std::vector<std::uint64_t> larger(slots_.size() * 2);
    mask = larger.size() - 1;
    for (const std::uint64_t known : slots_) {
      if (known == 0) continue;
      slot = (known * 0x9e3779b97f4a7c15 >> 20) & mask;
      while (larger[slot] != 0) slot = (slot + 1) & mask;
      larger[slot] = known;
    }
    slots_ = std::move(larger);
  }
  return true;
}

bool SessionCounter::cut() const {
  const std::lock_guard lock(mutex_);
  return cut_;
}

ScanReport SessionCounter::report() const {
  const std::lock_guard lock(mutex_);
  return report_;
}

void SessionCounter::restart() {
  const std::lock_guard lock(mutex_);
  slots_.assign(kFirstSlots, 0);
  size_ = 0;
  has_zero_ = false;
}

}  // namespace natsession
