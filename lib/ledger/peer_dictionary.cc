#include "ledger/peer_dictionary.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>

#include "ledger/address_halves.h"
#include "ledger/crc32c.h"
#include "ledger/number_model.h"

namespace natsession {
namespace {

constexpr std::size_t kChunk = 64;
// An address costs about 17 bits in the dictionary, and 17 for each place; in its frame 32.
constexpr std::uint64_t kWorthAPlace = 2;

}  // namespace

std::size_t AddressHash::operator()(const IpAddress& address) const {
  const Halves halves = halves_of(address);
  const std::uint64_t mixed = (halves.high * 0x9e37'79b9'7f4a'7c15U ^ halves.low) * 0xbf58'476d'1ce4'e5b9U;
  return static_cast<std::size_t>(mixed ^ (mixed >> 31));
}

Result<std::shared_ptr<const PeerDictionary>> PeerDictionary::read(std::string bytes) {
  std::shared_ptr<PeerDictionary> dictionary(new PeerDictionary(std::move(bytes)));
  if (auto parsed = dictionary->parse(); !parsed) return parsed.error();
  return std::shared_ptr<const PeerDictionary>(std::move(dictionary));
}

Result<void> PeerDictionary::parse() {
  const Error bad{ErrorKind::kMalformed, "the segment's dictionary of addresses is impossible"};
  const auto all = std::as_bytes(std::span(bytes_));
  checksum_ = std::max(1U, crc32c(all));
  ByteReader in(all);
  const auto count = in.take(4);
  if (!in.ok()) return bad;
  size_ = load_little_endian<std::uint32_t>(count.data());
  if (size_ > kMaxPeers) return bad;
  const std::size_t services = in.u8();
  if (services > kMaxServices) return bad;
  static_cast<void>(in.take(services * 3));
  const auto of_places = in.take(size_);
  if (!in.ok()) return bad;
  services_.resize(size_);
  for (std::size_t i = 0; i < size_; ++i) {
    services_[i] = std::to_integer<std::uint8_t>(of_places[i]);
    if (services_[i] > services) return bad;
  }
  std::uint32_t place = 1;
  while (in.left() > 0) {
    Chunk chunk;
    chunk.place = place;
    chunk.count = in.u8();
    const std::uint8_t family = in.u8();
    chunk.width = in.u8();
    chunk.v4 = family == 4;
    const auto first = in.take(chunk.v4 ? 4 : 16);
    if (!in.ok() || chunk.count == 0 || chunk.count > kChunk || (family != 4 && family != 6) ||
        chunk.width > (chunk.v4 ? 32 : 64)) {
      return bad;
    }
    if (chunk.v4) {
      std::uint32_t address = 0;
      std::memcpy(&address, first.data(), 4);
      chunk.first = IpAddress::from_v4(address);
    } else {
      chunk.first = IpAddress::from_v6(
          std::span<const std::uint8_t, 16>(reinterpret_cast<const std::uint8_t*>(first.data()), 16));
    }
    chunk.offset = static_cast<std::uint32_t>(all.size() - in.left());
    static_cast<void>(in.take(bytes_for_bits(std::uint64_t{chunk.width} * (chunk.count - 1U))));
    if (!in.ok()) return bad;
    place += chunk.count;
    // No chunk reaches over the end of a class.
    if (place - 1 > size_ || std::bit_width(place - 1) != std::bit_width(chunk.place)) return bad;
    chunks_.push_back(chunk);
  }
  return place - 1 == size_ ? Result<void>() : bad;
}

std::span<const std::byte> PeerDictionary::steps(const Chunk& chunk) const {
  return std::as_bytes(std::span(bytes_))
      .subspan(chunk.offset, bytes_for_bits(std::uint64_t{chunk.width} * (chunk.count - 1U)));
}

IpAddress PeerDictionary::at(std::uint32_t place) const {
  const auto chunk = std::prev(
      std::upper_bound(chunks_.begin(), chunks_.end(), place,
                       [](std::uint32_t wanted, const Chunk& each) { return wanted < each.place; }));
  Halves halves = halves_of(chunk->first);
  BitReader bits(steps(*chunk));
  for (std::uint32_t i = chunk->place; i < place; ++i) halves.low += bits.get(chunk->width);
  return address_of(halves);
}

void PeerDictionary::mark(std::span<const IpAddress> addresses, std::span<std::uint8_t> marks) const {
  const auto follows = [](const Chunk& before, const Chunk& chunk) {
    return before.v4 == chunk.v4 && std::bit_width(before.place) == std::bit_width(chunk.place);
  };
  std::vector<Halves> wanted;
  wanted.reserve(addresses.size());
  for (const IpAddress& address : addresses) wanted.push_back(halves_of(address));
  // Which of two addresses is next nobody can foretell, and a processor that guesses wrong waits. So a hash
  // tells of nearly all that they are not among those.
  std::vector<std::uint64_t> likely(std::bit_ceil(wanted.size()), 0);
  const auto bit_of = [&](std::uint64_t low) {
    return static_cast<std::size_t>(low * 0x9e37'79b9'7f4a'7c15U >> 32) & (64 * likely.size() - 1);
  };
  for (const Halves& each : wanted)
    likely[bit_of(each.low) / 64] |= std::uint64_t{1} << (bit_of(each.low) % 64);
  auto from = wanted.begin();
  for (std::size_t i = 0; i < chunks_.size(); ++i) {
    const Chunk& chunk = chunks_[i];
    Halves halves = halves_of(chunk.first);
    // Of one class and family they ascend, so that each goes on where the one before ended.
    if (i == 0 || !follows(chunks_[i - 1], chunk)) from = wanted.begin();
    from = std::lower_bound(from, wanted.end(), halves);
    if (from == wanted.end()) continue;
    if (i + 1 < chunks_.size() && follows(chunk, chunks_[i + 1]) &&
        *from >= halves_of(chunks_[i + 1].first)) {
      continue;
    }
    BitReader bits(steps(chunk));
    for (std::uint32_t place = chunk.place;; ++place) {
      const std::size_t bit = bit_of(halves.low);
      if ((likely[bit / 64] >> (bit % 64) & 1) != 0 &&
          std::binary_search(wanted.begin(), wanted.end(), halves))
        marks[place] = 1;
      if (place + 1 == chunk.place + chunk.count) break;
      halves.low += bits.get(chunk.width);
    }
  }
}

std::span<const IpAddress> PeerDictionary::all() const {
  std::call_once(expanded_, [this] {
    all_.reserve(size_);
    for (const Chunk& chunk : chunks_) {
      Halves halves = halves_of(chunk.first);
      BitReader bits(steps(chunk));
      for (std::uint32_t i = 0; i < chunk.count; ++i) {
        all_.push_back(address_of(halves));
        if (i + 1 < chunk.count) halves.low += bits.get(chunk.width);
      }
    }
  });
  return all_;
}

std::uint32_t PeerDictionary::place_of(const IpAddress& address) const {
  const auto peers = all();
  std::call_once(tabled_, [&] {
    table_.assign(std::bit_ceil(2 * peers.size() + 2), 0);
    for (std::uint32_t place = 1; place <= peers.size(); ++place) {
      std::size_t slot = AddressHash()(peers[place - 1]) & (table_.size() - 1);
      while (table_[slot] != 0) slot = (slot + 1) & (table_.size() - 1);
      table_[slot] = place;
    }
  });
  std::size_t slot = AddressHash()(address) & (table_.size() - 1);
  while (table_[slot] != 0 && peers[table_[slot] - 1] != address) slot = (slot + 1) & (table_.size() - 1);
  return table_[slot];
}

void PeerCounter::add(const IpAddress& address, Service service) {
  if (peers_.size() >= kMaxPeers && !peers_.contains(address)) return;
  Peer& peer = peers_[address];
  ++peer.records;
  if (peer.ahead == 0) peer.service = service;
  peer.ahead += peer.service == service ? 1 : -1;
}

std::string PeerCounter::finish() const {
  struct Place {
    std::uint64_t records;
    IpAddress second;
    Service service;
    bool usual;
  };
  std::vector<Place> peers;
  std::map<Service, std::uint64_t> popular;
  for (const auto& [address, peer] : peers_) {
    if (peer.records < kWorthAPlace) continue;
    peers.push_back({peer.records, address, peer.service, peer.ahead > 0});
    popular[peer.service] += peer.records;
  }
  if (peers.empty()) return {};
  std::vector<std::pair<std::uint64_t, Service>> services;
  for (const auto& [service, records] : popular) services.emplace_back(records, service);
  std::sort(services.rbegin(), services.rend());
  if (services.size() > kMaxServices) services.resize(kMaxServices);
  std::map<Service, std::uint8_t> number;
  for (std::size_t i = 0; i < services.size(); ++i)
    number[services[i].second] = static_cast<std::uint8_t>(i + 1);
  std::sort(peers.begin(), peers.end(), [](const auto& a, const auto& b) {
    return a.records != b.records ? a.records > b.records : a.second < b.second;
  });
  std::string chunks;
  std::string of_places;
  BitSink bits;
  for (std::size_t begin = 0; begin < peers.size();) {
    const std::size_t end = std::min(peers.size(), begin * 2 + 1);  // places begin + 1 up to 2 * (begin + 1)
    std::sort(peers.begin() + static_cast<std::ptrdiff_t>(begin),
              peers.begin() + static_cast<std::ptrdiff_t>(end), [](const auto& a, const auto& b) {
                const bool v4 = a.second.is_v4();
                return v4 != b.second.is_v4() ? v4 : a.second < b.second;
              });
    for (std::size_t i = begin; i < end; ++i) {
      const auto known = peers[i].usual ? number.find(peers[i].service) : number.end();
      of_places.push_back(static_cast<char>(known == number.end() ? 0 : known->second));
    }
    while (begin < end) {
      const IpAddress& first = peers[begin].second;
      const bool v4 = first.is_v4();
      const Halves base = halves_of(first);
      std::uint64_t steps = 0;
      std::size_t to = begin + 1;
      for (; to < end && to - begin < kChunk; ++to) {
        const Halves next = halves_of(peers[to].second);
        if (peers[to].second.is_v4() != v4 || next.high != base.high) break;
        steps |= next.low - halves_of(peers[to - 1].second).low;
      }
      const auto width = static_cast<unsigned>(std::bit_width(steps));
      chunks.push_back(static_cast<char>(to - begin));
      chunks.push_back(static_cast<char>(v4 ? 4 : 6));
      chunks.push_back(static_cast<char>(width));
      chunks.append(reinterpret_cast<const char*>(first.bytes().data()) + (v4 ? 12 : 0), v4 ? 4 : 16);
      bits.reserve((to - begin) * 64);
      for (std::size_t i = begin + 1; i < to; ++i) {
        bits.put(halves_of(peers[i].second).low - halves_of(peers[i - 1].second).low, width);
      }
      bits.finish(chunks);
      begin = to;
    }
  }
  std::string out;
  append_little_endian(static_cast<std::uint32_t>(peers.size()), out);
  out.push_back(static_cast<char>(services.size()));
  for (const auto& [records, service] : services) {
    out.push_back(static_cast<char>(service.protocol));
    append_little_endian(service.pub_port, out);
  }
  return out + of_places + chunks;
}

}  // namespace natsession
