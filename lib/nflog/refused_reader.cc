#include "nflog/refused_reader.h"

namespace natsession {

RefusedReader::RefusedReader(NflogSocket socket, const std::vector<std::uint16_t>& groups, const Clock& clock,
                             CopySequence::From from)
    : socket_(std::move(socket)), clock_(&clock) {
  for (const std::uint16_t group : groups) groups_.push_back({group, 0, 0, CopySequence(from)});
}

Result<RefusedReader> RefusedReader::open(const NflogOptions& options, const Clock& clock) {
  auto socket = NflogSocket::open(options);
  if (!socket) return socket.error();
  return RefusedReader(*std::move(socket), options.groups, clock, CopySequence::From::kZero);
}

Result<RefusedReader> RefusedReader::adopt(UniqueFd fd, const std::vector<std::uint16_t>& groups,
                                           const Clock& clock, CopySequence::From from) {
  auto socket = NflogSocket::adopt(std::move(fd));
  if (!socket) return socket.error();
  return RefusedReader(*std::move(socket), groups, clock, from);
}

Result<bool> RefusedReader::on_readable(const Add& add) {
  for (int round = 0; round < kMostRounds; ++round) {
    const UnixNs now = clock_->now();
    packets_.clear();
    const auto received = socket_.receive([&](std::span<const std::byte> message) { take(message, now); });
    counters_.dropped_messages = socket_.dropped_messages();
    counters_.strange_messages = socket_.strange_messages();
    add(packets_);
    if (!received) return received.error();
    if (*received == 0) return false;
  }
  return true;
}

void RefusedReader::take(std::span<const std::byte> message, UnixNs now) {
  RefusedPacket& packet = packets_.emplace_back();
  const RefusedKind kind = decode_refused(message, packet);
  for (Group& group : groups_) {
    if (group.number != packet.group) continue;
    ++group.copies;
    if (!packet.has_sequence) break;
    const std::uint32_t lost = group.sequence.lost_before(packet.sequence);
    group.lost += lost;
    counters_.lost += lost;
    break;
  }
  if (kind == RefusedKind::kPacket) {
    ++counters_.packets;
    counters_.bytes += packet.length;
    // It may have come since the clock was looked at.
    if (packet.time > now + std::chrono::seconds(1) || packet.time < now - kOldest) packet.time = now;
    return;
  }
  ++(kind == RefusedKind::kNotIp ? counters_.not_ip : counters_.malformed);
  packets_.pop_back();
}

}  // namespace natsession
