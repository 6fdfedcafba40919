// PendingRecords: what a writer holds until it is in a frame: copies of records, and of the texts they point
// to. Bounded by records and by bytes of text.
// Threads: one.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ledger/frame.h"
#include "ledger/text_dictionary.h"
#include "record/session_record.h"

namespace natsession {

class PendingRecords {
 public:
  // A longer text is cut. All together are no more than a frame takes: else the frame would cut them.
  static constexpr std::size_t kMaxText = kMaxTextBytes;
  static constexpr std::size_t kMaxAllTexts = kMaxTextBytesOfColumn;

  PendingRecords() = default;
  PendingRecords(const PendingRecords&) = delete;
  PendingRecords& operator=(const PendingRecords&) = delete;

  // To be called before the records of another caller's span are added: addresses may mean other texts now.
  void begin_span();
  // False, and nothing is added, if its texts do not fit any more; they do when the records have been
  // dropped.
  [[nodiscard]] bool add(const SessionRecord& record);

  [[nodiscard]] std::span<const SessionRecord> records() const {
    return std::span(records_).subspan(dropped_);
  }
  [[nodiscard]] std::size_t size() const { return records_.size() - dropped_; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  // Forgets the oldest.
  void drop(std::size_t count);

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using Texts = std::unordered_set<std::string, Hash, std::equal_to<>>;
  using Origins = std::unordered_map<std::string, Origin, Hash, std::equal_to<>>;

  // nullptr if there is no room.
  const Origin* keep(const Origin& origin);
  const std::string* keep(std::string_view text);

  std::vector<SessionRecord> records_;
  std::size_t dropped_ = 0;
  Texts texts_;
  Origins origins_;  // by the length of instance, instance, netns
  std::size_t text_bytes_ = 0;
  std::string key_;

  // Of this span: what an address meant the last time. Looking texts up costs more than all the rest.
  struct KnownText {
    const char* from = nullptr;
    std::size_t size = 0;
    std::string_view kept;
  };
  const Origin* known_origin_ = nullptr;
  const Origin* kept_origin_ = nullptr;
  std::array<KnownText, 16> known_texts_{};
};

}  // namespace natsession
