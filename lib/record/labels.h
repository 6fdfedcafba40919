// Labels: the texts that stand in records (instance, netns, vpc_id), each kept once until the process ends.
// So a record is copied and kept by value, and nobody has to ask how long its texts live.
//
// A symbol table of the whole process, which only grows, within limits: kMaxLabels texts and kMaxLabelBytes,
// and as many origins. Who runs a gateway has a handful; a ledger or a configuration that has more than that
// many is hostile or broken. What does not fit is an error that says so, and never another label: a
// configuration is refused, and of a ledger the frames with such labels cannot be read, which their reader
// tells like damage. kMaxLabelBytes is what a frame has room for (ledger/frame_layout.h), so no frame has
// to cut a label.
//
// Threads: any. A call takes a lock: intern each entry of a dictionary, not each record's.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "base/result.h"
#include "record/session_record.h"

namespace natsession {

inline constexpr std::size_t kMaxLabels = 65'536;
inline constexpr std::size_t kMaxLabelBytes = std::size_t{2} << 20;

// Equal texts have the same address.
// Errors: kUsage if the text is one too many; it names the text.
[[nodiscard]] Result<std::string_view> intern_label(std::string_view text);
[[nodiscard]] Result<const Origin*> intern_origin(std::string_view instance, std::string_view netns);

// What is behind these.
class LabelTable {
 public:
  explicit LabelTable(std::size_t max_labels = kMaxLabels, std::size_t max_bytes = kMaxLabelBytes)
      : max_labels_(max_labels), max_bytes_(max_bytes) {}
  LabelTable(const LabelTable&) = delete;
  LabelTable& operator=(const LabelTable&) = delete;

  // As above; valid as long as the table.
  [[nodiscard]] Result<std::string_view> intern(std::string_view text);
  [[nodiscard]] Result<const Origin*> intern(std::string_view instance, std::string_view netns);

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  // Counts one more text among `count`, with its bytes among `total`.
  [[nodiscard]] Result<void> take(std::string_view text, std::size_t count, std::size_t bytes,
                                  std::size_t& total) const;

  const std::size_t max_labels_;
  const std::size_t max_bytes_;
  std::mutex mutex_;  // of what follows
  std::unordered_set<std::string, Hash, std::equal_to<>> labels_;
  std::size_t label_bytes_ = 0;
  std::unordered_map<std::string, std::unique_ptr<const Origin>, Hash, std::equal_to<>> origins_;
  std::size_t origin_bytes_ = 0;
  std::string key_;  // of an origin: the length of instance, instance, netns
};

}  // namespace natsession
