#include "query/trace_match.h"

#include <algorithm>
#include <limits>

namespace natsession {

std::int64_t ms_of(UnixMs time) {
  return time.time_since_epoch().count();
}

std::int64_t plus(std::int64_t ms, std::chrono::milliseconds more) {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(ms, std::int64_t{more.count()}, &sum)) return sum;
  return more.count() < 0 ? std::numeric_limits<std::int64_t>::min()
                          : std::numeric_limits<std::int64_t>::max();
}

std::int64_t distance_of(const Span& a, const Span& b) {
  const auto apart = [](std::int64_t from, std::int64_t to) {
    const std::uint64_t difference = static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(from);
    return static_cast<std::int64_t>(
        std::min<std::uint64_t>(difference, std::numeric_limits<std::int64_t>::max()));
  };
  if (a.until < b.from) return apart(a.until, b.from);
  if (b.until < a.from) return apart(b.until, a.from);
  return 0;
}

PeerMatch match_peer(const TraceQuestion& question, const SessionRecord& record) {
  const auto is_address = [&](const IpAddress& address) {
    return record.pub_ip == address || (record.has_orig_dst && record.orig_dst_ip == address);
  };
  const auto is_port = [&](std::uint16_t port) {
    return record.pub_port == port || (record.has_orig_dst && record.orig_dst_port == port);
  };
  PeerMatch match;
  match.address = question.pub_ip && is_address(*question.pub_ip);
  match.port = question.pub_port && is_port(*question.pub_port);
  match.differs = (question.pub_ip && !match.address) || (question.pub_port && !match.port);
  return match;
}

}  // namespace natsession
