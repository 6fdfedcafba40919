// FrameEncoder: records as one frame. GroupEncoder: as a group of frames, as they arrive.
// Threads: one for each object.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "ledger/column_writer.h"
#include "ledger/frame.h"
#include "ledger/record_columns.h"

namespace natsession {

class FrameEncoder {
 public:
  explicit FrameEncoder(Effort effort) : effort_(effort), writer_(effort) {}

  // Appends one frame to `out` and returns what its header says.
  // Shape: 1 to kMaxFrameRecords records; `ordinals` is as long, and ascending. Records point to origins and
  //        texts of any bytes; a text beyond 64 KiB is cut.
  FrameInfo encode(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals,
                   bool long_sessions, std::string& out);

 private:
  using Choice = ColumnWriter::Choice;
  struct Entry {
    ColumnId column;
    ColumnCoding coding;
    std::uint8_t context;
    std::uint32_t length;
    std::uint32_t checksum;
  };

  void make_contexts();
  void put_columns();
  void put_texts();
  void put_addresses(ColumnId column, AddressIndexer& indexer, const AddressIndexer* key);
  void put_numbers(ColumnId column, Numbers numbers, const Choice& choice, const std::string& before = {});
  void put_quotients(ColumnId column, Numbers bytes, Numbers packets,
                     std::span<const ColumnContext> contexts);

  Effort effort_;
  ColumnWriter writer_;
  RecordColumns columns_;
  std::vector<Entry> entries_;
  std::string body_;

  std::vector<std::uint64_t> scratch_;
  std::vector<std::uint64_t> remainders_;
  std::string packed_remainders_;
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
