// FrameEncoder: records as one frame. GroupEncoder: as a group of frames, as they arrive.
// Threads: one for each object.
#pragma once

#include <array>
#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "ledger/frame.h"
#include "ledger/number_model.h"
#include "ledger/record_columns.h"

namespace natsession {

class FrameEncoder {
 public:
  explicit FrameEncoder(Effort effort) : effort_(effort) {}

  // Appends one frame to `out` and returns what its header says.
  // Shape: 1 to kMaxSealedRecords records; `ordinals` is as long, and ascending, and of at most kMaxSealedRecords. Records
  //        point to origins and texts of any bytes; a text beyond 64 KiB is cut. `peers`: the segment's, or
  //        null.
  FrameInfo encode(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals,
                   bool long_sessions, std::string& out, const PeerDictionary* peers = nullptr);

  // Where the bytes of the last frame went: all of them.
  struct Sizes {
    std::array<std::uint64_t, kColumnIds> columns{};  // in blocks, and in models
    std::uint64_t front = 0;                          // header and directory
    std::uint64_t head = 0;
    std::uint64_t hosts = 0;  // nat_ip and pri_ip
    std::uint64_t keys = 0;   // of the contexts
    std::uint64_t nat_ports = 0;
  };
  [[nodiscard]] const Sizes& sizes() const { return sizes_; }

 private:
  struct Listed {
    std::vector<std::uint16_t> keys;   // of group 0, 1, 2 …; the last group has all others
    std::vector<std::uint8_t> groups;  // of each row
    std::size_t count = 1;
  };
  void code_columns(std::span<std::string> parts);
  void make_context(Context context);
  void list(Context context, std::span<const std::uint16_t> keys);
  [[nodiscard]] const std::vector<std::uint8_t>& symbols(ColumnId column) const {
    return symbols_[static_cast<std::size_t>(column)];
  }
  [[nodiscard]] std::string head() const;
  void divide(std::span<std::uint64_t> bytes, NumberSpan packets);

  Effort effort_;
  const PeerDictionary* peers_ = nullptr;
  Sizes sizes_;
  RecordColumns numbers_;
  NumberEncoder model_;                                        // of one column after another
  std::array<std::vector<std::uint8_t>, kColumnIds> symbols_;  // of those that contexts go by
  std::array<Listed, kContexts> contexts_;
  std::vector<std::uint64_t> remainders_;  // of bytes by packets
};

// GroupEncoder: records that follow one another as a group of frames: those that last longer than a window
// stand in a frame of their own.
class GroupEncoder {
 public:
  // Appends one frame, or two, of which the one with the lower ordinal goes first.
  // Shape: 1 to kMaxFrameRecords records; `first` is the first one's ordinal.
  void encode(std::span<const SessionRecord> records, Ordinal first, std::chrono::milliseconds window,
              std::string& out);

 private:
  FrameEncoder encoder_{Effort::kFast};
  std::vector<SessionRecord> apart_[2];  // short and long ones
  std::vector<Ordinal> ordinals_[2];
};

}  // namespace natsession
