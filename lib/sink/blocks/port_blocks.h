// PortBlocks: where a private host has blocks of ports of its own outside (RFC 7422: deterministic or block
// allocation), one record says so when a block's first session begins and one when its last has ended, in
// place of the sessions.
//
// What is said is true whatever the rules of the box are:
// - Where a session of another host is seen in a block that is held, that session is told one by one:
// whatever of the block is
//   not told so is the holder's.
// - A block is free when none of its sessions is open and none was for `idle`. Which sessions are open is
// known of those that have had a
//   record since the start of the program, or since records were lost for this sink; an open session has one
//   within a day and a window. So nothing is free before `settle` has passed; what is free then is told with
//   the time when it became so.
// - Records come as sessions end. Where one began before the time that a block was told from, the block is
// told again, from then on. What began before a
//   block was free of another host is told one by one.
// - Begun anew, it says of each block again that it is allocated, when it sees a session of it.
// Time is that of the records: end_time, the latest so far.
// Memory: about 60 bytes an open session, 250 for each block that ever was.
// Threads: one.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "net/ip_address.h"
#include "record/session_record.h"

namespace natsession {

struct PortBlockSettings {
  std::vector<Prefix> prefixes;  // hosts that have blocks; none: nobody has
  std::uint16_t size = 512;      // ports of a block
  std::uint16_t from = 0;        // the first port of the first block; what is below is in none
  std::chrono::milliseconds idle = std::chrono::minutes(10);
  // kLongestSilence, and the longest window that there can be.
  std::chrono::milliseconds settle = kLongestSilence + std::chrono::hours(24);
};

class PortBlocks {
 public:
  explicit PortBlocks(PortBlockSettings settings);

  // Appends to `out` what is told when `record` comes: blocks that are free by then, and the record, or the
  // block that is allocated to its host, or nothing of it.
  void put(const SessionRecord& record, std::vector<SessionRecord>& out);
  // Of the records since the last call the first `count` have been put; the others will come again, or never:
  // what they did is undone.
  void keep(std::size_t count);

  struct Shared {
    IpAddress nat_ip;
    std::uint16_t port = 0;
    IpAddress holder;
    IpAddress other;
  };
  // The first session that was found in another host's block; none so far, or told already.
  [[nodiscard]] std::optional<Shared> take_shared();

  [[nodiscard]] std::size_t blocks() const { return state_.blocks.size(); }
  [[nodiscard]] std::size_t open_sessions() const { return state_.sessions.size(); }

 private:
  struct Key {
    IpAddress nat_ip;
    const Origin* origin = nullptr;
    std::uint16_t zone = 0;
    std::uint16_t first = 0;  // port
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };
  struct Block {
    IpAddress pri_ip;  // whose it is
    std::string_view vpc_id;
    UnixMs start;            // start_time of the record that it was allocated by
    UnixMs last;             // end_time of its sessions' records
    std::uint32_t open = 0;  // sessions
    bool waits = false;      // stands in `idle`
  };
  // Of a block that was free once: whose it was, and until when.
  struct Freed {
    IpAddress pri_ip;
    UnixMs last;
  };
  struct Idle {
    Key key;
    UnixMs due;
  };
  struct State {
    std::unordered_map<Key, Block, KeyHash> blocks;
    std::unordered_map<Key, Freed, KeyHash> freed;
    std::unordered_set<std::uint64_t> sessions;  // open ones, by session_id
    std::deque<Idle> idle;
    std::optional<UnixMs> now;
    UnixMs settled;  // before it nothing is free
  };
  // What was before, to be put back.
  struct Change {
    enum class Kind { kBegan, kEnded, kBlock, kFreed, kWaits, kDue, kMoment, kForgot };
    std::size_t record = 0;
    Kind kind{};
    std::uint64_t session = 0;
    Key key = {};
    std::optional<Block> block = {};
    std::optional<Freed> freed = {};
    UnixMs due = {};
    std::optional<UnixMs> now = {};
  };

  [[nodiscard]] bool covers(const SessionRecord& record) const;
  [[nodiscard]] SessionRecord told(const Key& key, const Block& block, RecordEvent event) const;
  [[nodiscard]] Key key_of(const SessionRecord& record) const;
  void advance(UnixMs time, std::vector<SessionRecord>& out);
  void forget();
  void remember(const Key& key);
  void remember_freed(const Key& key);
  [[nodiscard]] bool is_anothers(const SessionRecord& record, const Key& key);
  void wait(const Key& key, Block& block);
  Change& note(Change::Kind kind);
  void undo(Change& change);

  const PortBlockSettings settings_;
  State state_;
  std::vector<Change> changes_;
  std::vector<State> forgotten_;  // of kForgot, in their order
  std::size_t put_ = 0;           // records since keep()
  std::optional<Shared> shared_;
  bool shared_told_ = false;
};

}  // namespace natsession
