// ColumnWriter: the numbers of one column in the coding, and by the context, that make them small.
// Threads: one for each object.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ledger/column_numbers.h"
#include "ledger/dictionaries.h"
#include "ledger/frame_layout.h"
#include "ledger/number_costs.h"

namespace natsession {

class ColumnWriter {
 public:
  explicit ColumnWriter(Effort effort) : effort_(effort), writer_(effort) {}

  // What there is to choose from. With Effort::kFast nothing is tried: the numbers go by `key` if there is
  // one, else by `fast`.
  struct Choice {
    NumberShape shape = NumberShape::kTailed;
    std::span<const ColumnContext> contexts = {};  // none is ColumnContext::kNone
    ColumnContext fast = ColumnContext::kNone;
    const AddressIndexer* key = nullptr;
    std::uint8_t key_name = kByPubIp;
  };
  struct Written {
    ColumnCoding coding;
    std::uint8_t context;
    const std::string& bytes;  // until the next call
  };

  // To be called before the columns of a frame: each context's group of each record.
  void begin_frame(std::array<std::vector<std::uint8_t>, kContexts> groups_of_records);
  // Takes the memory back, to be filled again.
  std::array<std::vector<std::uint8_t>, kContexts> take_groups() { return std::exchange(groups_, {}); }

  // The numbers, behind `before`.
  Written write(ColumnId column, Numbers numbers, const Choice& choice, const std::string& before);

  [[nodiscard]] NumberWriter& numbers() { return writer_; }

 private:
  void append_grouped(Numbers numbers, NumberShape shape, ColumnContext context, std::string& to);
  void append_keyed(Numbers numbers, const AddressIndexer& key, std::string& to);
  void find_usual(Numbers numbers, const AddressIndexer& key);

  // What was smallest in the frame before will be again, mostly.
  struct Remembered {
    bool known = false;
    ColumnCoding coding = ColumnCoding::kNumbers;
    std::uint8_t context = 0;
  };

  Effort effort_;
  NumberWriter writer_;
  std::array<std::vector<std::uint8_t>, kContexts> groups_;
  std::array<GroupEnds, kContexts> group_ends_;
  std::array<Remembered, kColumnIds> remembered_;
  std::uint64_t frames_ = 0;

  std::vector<std::uint64_t> grouped_;
  std::vector<std::uint64_t> usual_;
  std::vector<std::uint64_t> gaps_;
  std::vector<std::uint64_t> values_;
  std::string attempt_;
  std::string smallest_;
};

}  // namespace natsession
