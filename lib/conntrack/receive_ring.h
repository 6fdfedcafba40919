// ReceiveRing: takes up to kSlots datagrams from a socket with one system call, into fixed slots of one
// region.
// Threads: one, the collector's.
//
// The region is laid out so that a successor that inherits it can see what was received and not yet handled
// (event_region.h):
//   region  = slot * kSlots
//   slot    = sender (sockaddr_nl, zero-padded to 64 bytes) payload (kPayloadBytes)
//   payload = the datagram; its first word is nlmsg_len, which is 0 unless the slot holds a datagram still to
//   handle
// That word is 0 before a slot is posted to the kernel, becomes non-zero when the kernel fills it, and is set
// to 0 again by mark_handled().
//
// A slot holds 4 KiB: an event is about 220 bytes, below 1 KiB with a helper, labels, synproxy and sequence
// adjustment, and the rest is room for a long security context. Slots stand 65 cache lines apart: at a power
// of two their first lines, which are all that most events touch, would fight for one set of the first-level
// cache.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace natsession {

class ReceiveRing {
 public:
  static constexpr std::size_t kSlots = 64;
  static constexpr std::size_t kPayloadBytes = 4096;
  static constexpr std::size_t kSenderBytes = 64;
  static constexpr std::size_t kSlotBytes = kSenderBytes + kPayloadBytes;
  static constexpr std::size_t kRegionBytes = kSlotBytes * kSlots;

  // `region` has kRegionBytes, and outlives the ring. `rounds` counts the calls of receive().
  ReceiveRing(std::span<std::byte> region, std::atomic<std::uint64_t>& rounds);

  struct Round {
    std::size_t count = 0;  // slots [0, count) hold datagrams
    int error_number = 0;   // errno, and then count is 0; EAGAIN when nothing was queued
  };
  // Never blocks. What the last round left unhandled is gone.
  Round receive(int fd);

  struct Datagram {
    std::span<const std::byte> bytes;  // until the next receive()
    std::uint32_t sender_port = 0;     // 0 is the kernel
    bool truncated = false;            // it was longer than kPayloadBytes
  };
  [[nodiscard]] Datagram datagram(std::size_t slot) const;
  void mark_handled(std::size_t slot);
  // What the slot of an inherited region holds, before the first receive(): none where it is handled. What is
  // longer than a slot is truncated, as its nlmsg_len says.
  [[nodiscard]] std::optional<Datagram> left_behind(std::size_t slot) const;

 private:
  [[nodiscard]] std::byte* slot_start(std::size_t slot) const { return region_.data() + slot * kSlotBytes; }

  const std::span<std::byte> region_;
  std::atomic<std::uint64_t>& rounds_;
  std::vector<iovec> parts_;
  std::vector<mmsghdr> headers_;
  std::size_t filled_ = 0;  // by the last round
};

}  // namespace natsession
