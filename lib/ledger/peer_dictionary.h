// PeerDictionary: the pub_ip that a segment's records have in common. A frame says a place in it, which costs
// what the address is frequent, instead of the address. What is met too seldom to be worth a place stands in
// its frame. Beside it stands which service an address is mostly asked for.
// Shape:  dictionary := count u32, services u8, (protocol u8, pub_port u16) *, service of each place u8 *, chunk *;
//         chunk := addresses u8, family u8 (4 or 6), width of the steps u8, first address
//                       (4 or 16 bytes), steps: bits
//         Places are 1, 2, 3 …; 0 says that the frame has the address. Those from 2^k up to the next power of
//         two are about as frequent: a class. A class has its IPv4 addresses first, then its others, each
//         ascending; no chunk reaches over the end of a class, or has two families, or has others than the
//         same first 64 bits. A step is how much the last 32 or 64 bits are above those of the address
//         before. Service 0 is none, 1 the first of the list …
// Threads: PeerDictionary any, once it is read. PeerCounter one.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "net/ip_address.h"

namespace natsession {

inline constexpr std::size_t kMaxPeers = std::size_t{1} << 20;
inline constexpr std::size_t kMaxServices = 62;

struct Service {
  std::uint8_t protocol = 0;
  std::uint16_t pub_port = 0;
  friend auto operator<=>(const Service&, const Service&) = default;
};

struct AddressHash {
  [[nodiscard]] std::size_t operator()(const IpAddress& address) const;
};

class PeerDictionary {
 public:
  // Errors: kMalformed.
  [[nodiscard]] static Result<std::shared_ptr<const PeerDictionary>> read(std::string bytes);

  [[nodiscard]] std::size_t size() const { return size_; }
  // 1 to size().
  [[nodiscard]] IpAddress at(std::uint32_t place) const;
  // What it is mostly asked for: 0 is nothing, or not known. Place 0 has none.
  [[nodiscard]] std::uint8_t service(std::uint64_t place) const {
    return place == 0 ? 0 : services_[static_cast<std::size_t>(place - 1)];
  }
  // 0: it is not there. Makes a table at the first call.
  [[nodiscard]] std::uint32_t place_of(const IpAddress& address) const;
  // Sets marks[place] to 1 for those that have one of `addresses`, which ascend.
  // Shape: `marks` has size() + 1 elements.
  void mark(std::span<const IpAddress> addresses, std::span<std::uint8_t> marks) const;
  // Of places 1, 2, 3 … Made at the first call.
  [[nodiscard]] std::span<const IpAddress> all() const;
  // CRC32C of the bytes; never 0.
  [[nodiscard]] std::uint32_t checksum() const { return checksum_; }

 private:
  struct Chunk {
    IpAddress first;
    std::uint32_t place = 0;   // of the first
    std::uint32_t offset = 0;  // of the steps in bytes_
    std::uint8_t count = 0;
    std::uint8_t width = 0;
    bool v4 = false;
  };
  explicit PeerDictionary(std::string bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] Result<void> parse();
  [[nodiscard]] std::span<const std::byte> steps(const Chunk& chunk) const;

  std::string bytes_;
  std::size_t size_ = 0;
  std::vector<std::uint8_t> services_;  // of each place
  std::vector<Chunk> chunks_;           // ascending by place
  std::uint32_t checksum_ = 0;
  mutable std::once_flag expanded_;
  mutable std::vector<IpAddress> all_;
  mutable std::once_flag tabled_;
  mutable std::vector<std::uint32_t> table_;  // of places, by hash; a power of two
};

// What frames say with the help of their segment; null where it has none.
using Peers = std::shared_ptr<const PeerDictionary>;

// Counts, and says which addresses are worth a place.
class PeerCounter {
 public:
  void add(const IpAddress& address, Service service);
  // The dictionary's bytes; empty where none is worth it.
  [[nodiscard]] std::string finish() const;

 private:
  struct Peer {
    std::uint64_t records = 0;
    Service service;         // the most frequent, if one has more than half
    std::int64_t ahead = 0;  // of all others
  };
  std::unordered_map<IpAddress, Peer, AddressHash> peers_;
};

}  // namespace natsession
