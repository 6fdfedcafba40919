// RecordColumns: records turned into the columns of a frame, as numbers; what the encoder begins with.
// Threads: one for each object.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "ledger/dictionaries.h"
#include "ledger/frame_layout.h"

namespace natsession {

struct RecordColumns {
  // Takes records apart. Texts are not copied: they must live until the frame is made.
  void load(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals);

  [[nodiscard]] std::vector<std::uint64_t>& operator[](ColumnId column) {
    return numbers[static_cast<std::size_t>(column)];
  }
  [[nodiscard]] const std::vector<std::uint64_t>& operator[](ColumnId column) const {
    return numbers[static_cast<std::size_t>(column)];
  }

  // As frame_layout.h says, or empty where all are zero; but for kBytesFromVpc and kBytesFromPub, which are
  // counts here; for addresses nothing, and for texts, indexes.
  std::array<std::vector<std::uint64_t>, kColumnIds> numbers;
  AddressIndexer pri_ip;
  AddressIndexer pub_ip;
  AddressIndexer nat_ip;
  AddressIndexer orig_dst_ip;
  std::vector<std::string_view> origin_texts;  // instance, netns; instance, netns …
  TextIndexer vpc_ids;
  FrameInfo info;  // all but bytes and long_sessions

 private:
  // Whether there is any of what most frames have none of.
  struct Rare {
    std::array<std::uint64_t, kFieldCount> plain{};
    bool reason = false;
    bool orig_dst = false;
    bool no_session_start = false;
    bool texts = false;  // not all the same
  };
  struct LastTexts {
    const Origin* origin = nullptr;
    std::uint64_t origin_index = 0;
    std::string_view vpc_id;
    std::uint64_t vpc_index = 0;
    bool any = false;
  };
  template <typename ValueOf>
  void fill(ColumnId id, std::span<const SessionRecord> records, bool any, ValueOf value_of);
  void load_rare(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals, const Rare& rare);
  void find_texts(const SessionRecord& record, LastTexts& last);
  [[nodiscard]] std::uint64_t origin_index(const Origin& origin);
};

}  // namespace natsession
