// DumpReader: reads the kernel's answer to one dump request, datagram by datagram. No I/O.
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "conntrack/decoder.h"
#include "session/event_source.h"

namespace natsession {

struct DumpCounters {
  DecodeCounters decode;
  std::uint64_t stale = 0;         // messages of an earlier dump, by their sequence number
  std::uint64_t not_selected = 0;  // entries that the kernel's filter should have kept back, or had no way to
  std::uint64_t dying = 0;         // entries that are being deleted: their DESTROY says the rest
  std::uint64_t foreign = 0;       // datagrams that are not the kernel's
  std::uint64_t truncated = 0;
  friend bool operator==(const DumpCounters&, const DumpCounters&) = default;
};

class DumpReader {
 public:
  enum class State {
    kMore,
    kDone,
    kRefused,  // the kernel answered the request with an error, before any entry: see error_number()
  };

  // Reads the answer to the request with this sequence number. Entries are handed on if their status has a
  // bit of `status_mask`.
  DumpReader(std::uint32_t sequence, std::uint32_t status_mask)
      : sequence_(sequence), status_mask_(status_mask) {}

  // Errors: kMalformed if message lengths do not fit; kIo or kPermission if the dump broke off in the middle.
  Result<State> read(std::span<const std::byte> datagram, EventSource::Handler& handler,
                     DumpCounters& counters);

  [[nodiscard]] bool interrupted() const { return interrupted_; }  // NLM_F_DUMP_INTR was seen
  [[nodiscard]] int error_number() const { return error_number_; }

 private:
  void hand_on(std::span<const std::byte> message, EventSource::Handler& handler, DumpCounters& counters);

  std::uint32_t sequence_;
  std::uint32_t status_mask_;
  bool interrupted_ = false;
  bool began_ = false;
  int error_number_ = 0;
};

}  // namespace natsession
