// A block of the log of assignments: what is written, read, damaged and counted as one. FORMAT.md has the
// bytes. An AssignmentView is an AddressAssignment whose texts are somebody else's: the block's, mostly.
// Threads: one for each object.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "identity/assignment.h"

namespace natsession {

inline constexpr std::size_t kBlockHeaderBytes = 64;
inline constexpr std::size_t kMaxBlockBytes = std::size_t{16} << 20;  // behind its header; and unpacked
inline constexpr std::size_t kMaxBlockText = 4096;                    // a source is a path with a few words

// No time in a block is further from 1970: 142,000 years. So their differences are times as well.
inline constexpr std::int64_t kMaxBlockMs = std::int64_t{1} << 52;
[[nodiscard]] constexpr UnixMs within_block(UnixMs time) {
  constexpr UnixMs kLatest{std::chrono::milliseconds(kMaxBlockMs)};
  constexpr UnixMs kEarliest{std::chrono::milliseconds(-kMaxBlockMs)};
  return time > kLatest ? kLatest : time < kEarliest ? kEarliest : time;
}

struct AssignmentView {
  std::string_view source, netns;
  Prefix prefix;
  AssignmentKind kind = AssignmentKind::kOther;
  std::string_view subscriber, mac, host, id, group;
  UnixMs from, from_earliest;
  std::optional<UnixMs> until, until_latest;

  [[nodiscard]] AddressAssignment copy() const;
};
[[nodiscard]] AssignmentView view_of(const AddressAssignment& assignment);

// By what names an assignment: by address and length of the prefix, then by time.
[[nodiscard]] std::strong_ordering compare_names(const AssignmentView& a, const AssignmentView& b);

// Of a prefix, for a block of the log that is being written: so a look for one passes over blocks without it.
[[nodiscard]] std::uint32_t prefix_hash(const Prefix& prefix);

struct BlockHeader {
  std::uint32_t bytes = 0;  // of what follows
  std::uint32_t assignments = 0, spans = 0;
  std::uint32_t hashes = 0;
  std::uint32_t unpacked = 0;
  UnixMs earliest, latest;  // no time in it is outside
  std::uint32_t checksum = 0;
  bool newer = false;  // a newer program wrote it, in a way that this one does not know
};
// Nothing where no whole header stands.
[[nodiscard]] std::optional<BlockHeader> read_block_header(std::span<const std::byte> bytes);

class BlockEncoder {
 public:
  void add(const AssignmentView& assignment);
  void add(const SourceSpan& span);
  [[nodiscard]] std::size_t assignments() const { return assignments_; }
  [[nodiscard]] bool empty() const { return assignments_ == 0 && spans_ == 0; }
  // What it takes unpacked, about.
  [[nodiscard]] std::size_t size() const { return texts_.size() + rows_.size() + span_rows_.size(); }

  // Appends header and body, and is empty again. `hashed`: with a hash of each prefix.
  void finish(bool hashed, int level, std::string& out);

 private:
  [[nodiscard]] std::uint32_t text(std::string_view text);
  void grow();
  void take_time(UnixMs time);

  struct Text {
    std::uint32_t at = 0, length = 0;
  };
  std::string texts_;  // one behind the other
  std::vector<Text> known_;
  std::vector<std::uint32_t> slots_;  // of known_, by hash; one more than the place, 0: none
  std::string rows_, span_rows_;      // times from 1970 on
  std::vector<std::uint32_t> hashes_;
  std::size_t assignments_ = 0, spans_ = 0;
  UnixMs earliest_ = UnixMs::max(), latest_ = UnixMs::min();
};

// What a block says. Views point into it.
class AssignmentBlock {
 public:
  // `body`: the bytes behind the header. Unchanged on error. Of a block in which the text `having` is nowhere
  // the assignments are left out: that is known before they are read.
  // Errors: kMalformed.
  [[nodiscard]] Result<void> decode(const BlockHeader& header, std::span<const std::byte> body,
                                    std::string_view having = {});

  [[nodiscard]] const std::vector<AssignmentView>& assignments() const { return assignments_; }
  [[nodiscard]] const std::vector<SourceSpan>& spans() const { return spans_; }

 private:
  std::vector<char> bytes_;
  std::vector<AssignmentView> assignments_;
  std::vector<SourceSpan> spans_;
};

// The hashes of a block that has them.
[[nodiscard]] std::uint32_t block_hash_at(std::span<const std::byte> body, std::size_t index);

}  // namespace natsession
