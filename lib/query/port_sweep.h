// PortSweep: how many different ports are in use over a time, for many users of ports at once (an address and
// protocol, a destination), from when each use of one began and ended.
//
// Uses are added in the order of their ends, the latest first. Then all of a port's uses so far that reach
// beyond the end of the next one cover one stretch, which begins where the earliest of them began: one number
// for each port. Where stretches begin waits in buckets of time until the sweep has gone back that far: then
// a port is in use no more. A use whose end is behind one that was added before is taken as far as it is not.
//
// Times are offsets from the beginning of the question's time, in ms, as an Offset has them.
// Threads: one.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "query/port_usage.h"

namespace natsession {

template <typename Offset>
class PortSweep {
 public:
  static constexpr Offset kNever = std::numeric_limits<Offset>::max();

  // Uses lie within [0, `behind`), which is less than kNever.
  PortSweep(const PointGrid& grid, Offset behind)
      : grid_(grid), width_(behind / kBuckets + 1), heads_(behind / width_ + 1), bucket_(heads_.size()) {}

  // A user of ports more; returns its number, from 0 on.
  std::uint16_t add_user() {
    users_.emplace_back(grid_.points());
    return static_cast<std::uint16_t>(users_.size() - 1);
  }

  [[nodiscard]] std::size_t users() const { return users_.size(); }

  // Says that this will be added soon.
  void expect(std::uint16_t user, std::uint16_t port) const { __builtin_prefetch(&users_[user].began[port]); }

  // In use at the times in [begin, end).
  void add(std::uint16_t user, std::uint16_t port, Offset begin, Offset end) {
    User& of = users_[user];
    Offset& began = of.began[port];
    if (begin >= began || begin >= end) return;
    const Offset until = std::min(end, began);
    ++of.changes[point_at(begin)];
    --of.changes[point_at(until)];
    now_ = std::min(now_, end);
    leave(now_);
    const bool is_new = began == kNever || began >= now_;
    began = begin;
    if (begin >= now_) return;
    wait({begin, user, port});
    if (is_new && ++of.in_use >= of.peak) {
      of.peak = of.in_use;
      of.at_peak = true;
    }
  }

  // All have been added.
  void finish() { leave(0); }

  // The least and first time that as many as peak() were in use; where peak() is not 0.
  [[nodiscard]] Offset peak_at(std::uint16_t user) const { return users_[user].peak_at; }
  [[nodiscard]] std::uint32_t peak(std::uint16_t user) const { return users_[user].peak; }
  // At the points of the grid.
  [[nodiscard]] std::vector<std::uint32_t> in_use(std::uint16_t user) const {
    std::vector<std::uint32_t> counts;
    std::int64_t now = 0;
    for (std::size_t point = 0; point < grid_.points(); ++point) {
      now += users_[user].changes[point];
      counts.push_back(static_cast<std::uint32_t>(std::max<std::int64_t>(now, 0)));
    }
    return counts;
  }

 private:
  static constexpr Offset kBuckets = Offset{1} << 18;

  struct User {
    explicit User(std::size_t points) : began(65536, kNever), changes(points + 1) {}
    std::vector<Offset> began;  // of the stretch that a port is in, or was last
    std::vector<std::int32_t> changes;
    std::uint32_t in_use = 0;
    std::uint32_t peak = 0;
    Offset peak_at = 0;
    bool at_peak = false;  // nothing has begun since it was reached: peak_at is not known yet
  };
  struct Begin {
    Offset time = 0;
    std::uint16_t user = 0;
    std::uint16_t port = 0;
    friend bool operator<(const Begin& a, const Begin& b) { return a.time < b.time; }
  };
  // Of one bucket, together in a processor's line.
  static constexpr std::uint32_t kTogether = 7;
  struct alignas(64) Waiting {
    std::array<Begin, kTogether> begins;
    std::uint32_t size = 0;
    std::uint32_t next = 0;  // place + 1, or 0
  };

  [[nodiscard]] std::size_t point_at(Offset time) const {
    return grid_.first_at(grid_.time_of(0).time_since_epoch().count() + static_cast<std::int64_t>(time));
  }

  void wait(const Begin& begin) {
    const std::size_t bucket = begin.time / width_;
    if (bucket >= bucket_) {
      soon_.push_back(begin);
      std::push_heap(soon_.begin(), soon_.end());
      return;
    }
    std::uint32_t& head = heads_[bucket];
    if (head == 0 || waiting_[head - 1].size == kTogether) {
      std::uint32_t place = free_;
      if (place == 0) {
        waiting_.emplace_back();
        place = static_cast<std::uint32_t>(waiting_.size());
      } else {
        free_ = waiting_[place - 1].next;
      }
      waiting_[place - 1].size = 0;
      waiting_[place - 1].next = std::exchange(head, place);
    }
    Waiting& waiting = waiting_[head - 1];
    waiting.begins[waiting.size++] = begin;
  }

  // The sweep has come back to `time`: ports that came into use then or behind it, are not any more.
  void leave(Offset time) {
    while (true) {
      while (true) {
        const bool late = !soon_.empty() && (taken_.empty() || taken_.back() < soon_.front());
        if (late && soon_.front().time >= time) {
          std::pop_heap(soon_.begin(), soon_.end());
          end_stretch(soon_.back());
          soon_.pop_back();
        } else if (!late && !taken_.empty() && taken_.back().time >= time) {
          end_stretch(taken_.back());
          taken_.pop_back();
        } else {
          break;
        }
      }
      if (bucket_ == 0 || bucket_ <= time / width_) return;
      take_bucket(--bucket_);
    }
  }

  // A port whose stretch turned out to begin earlier waits once more, and the later entry is void.
  void end_stretch(const Begin& begin) {
    User& of = users_[begin.user];
    if (of.began[begin.port] != begin.time) return;
    if (of.at_peak) of.peak_at = begin.time;
    of.at_peak = false;
    --of.in_use;
  }

  void take_bucket(std::size_t bucket) {
    std::uint32_t place = heads_[bucket];
    heads_[bucket] = 0;
    while (place != 0) {
      Waiting& waiting = waiting_[place - 1];
      for (std::uint32_t i = 0; i < waiting.size; ++i) {
        expect(waiting.begins[i].user, waiting.begins[i].port);
        taken_.push_back(waiting.begins[i]);
      }
      const std::uint32_t next = std::exchange(waiting.next, free_);
      free_ = place;
      place = next;
    }
    std::sort(taken_.begin(), taken_.end());
  }

  const PointGrid& grid_;
  Offset width_;  // of a bucket
  std::vector<User> users_;
  std::vector<std::uint32_t> heads_;  // of each bucket, place + 1, or 0
  std::vector<Waiting> waiting_;
  std::uint32_t free_ = 0;    // of waiting_, likewise
  std::size_t bucket_;        // this one and those behind it have been taken
  std::vector<Begin> taken_;  // of these, the latest last;
  std::vector<Begin> soon_;   // and what came since, as a heap
  Offset now_ = kNever;
};

}  // namespace natsession
