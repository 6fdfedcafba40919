// NetflowFiles: session records as nfdump's own files. nfcapd writes them, from NetFlow 9 that is sent to it
// over loopback: one nfcapd, and one directory, for each ten minutes of the log, as a probe that is asked by
// time would have. Only IPv4. NAT address and port go as NetFlow's fields 225 and 227; bytes of both
// directions.
// Threads: one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "record/session_record.h"

namespace natsession::bench {

class NetflowFiles {
 public:
  static constexpr std::int64_t kSliceMs = 600'000;

  NetflowFiles(std::string directory, UnixMs begin) : directory_(std::move(directory)), begin_(begin) {}
  ~NetflowFiles() { end_slice(); }

  // In the order of their ends.
  void add(std::span<const SessionRecord> records);
  void end_slice();

 private:
  void begin_slice(std::int64_t slice);
  void send();

  const std::string directory_;
  const UnixMs begin_;
  std::int64_t slice_ = -1;
  pid_t collector_ = -1;
  UniqueFd socket_;
  std::string flows_;  // of the packet that is being made
  std::uint16_t count_ = 0;
  std::uint32_t sequence_ = 0;
};

}  // namespace natsession::bench
