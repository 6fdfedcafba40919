#include "record/labels.h"

namespace natsession {
namespace {

LabelTable& process_labels() {
  static auto* const table = new LabelTable;  // never destroyed: records may outlive all else
  return *table;
}

}  // namespace

Result<std::string_view> intern_label(std::string_view text) {
  return process_labels().intern(text);
}

Result<const Origin*> intern_origin(std::string_view instance, std::string_view netns) {
  return process_labels().intern(instance, netns);
}

Result<void> LabelTable::take(std::string_view text, std::size_t count, std::size_t bytes,
                              std::size_t& total) const {
  if (count < max_labels_ && bytes <= max_bytes_ - total) {
    total += bytes;
    return {};
  }
  constexpr std::size_t kShown = 64;
  return Error{ErrorKind::kUsage,
               "the label '" + std::string(text.substr(0, kShown)) + (text.size() > kShown ? "…" : "") +
                   "' is one too many: a process keeps " + std::to_string(max_labels_) +
                   " labels (instance, netns, vpc_id) and " + std::to_string(max_bytes_) + " bytes of them"};
}

Result<std::string_view> LabelTable::intern(std::string_view text) {
  const std::lock_guard lock(mutex_);
  if (const auto found = labels_.find(text); found != labels_.end()) return std::string_view(*found);
  if (auto taken = take(text, labels_.size(), text.size(), label_bytes_); !taken) return taken.error();
  return std::string_view(*labels_.emplace(text).first);
}

Result<const Origin*> LabelTable::intern(std::string_view instance, std::string_view netns) {
  const std::lock_guard lock(mutex_);
  // The length goes in front, so that no two origins have the same key.
  key_ = std::to_string(instance.size());
  key_ += ' ';
  key_ += instance;
  key_ += netns;
  if (const auto found = origins_.find(key_); found != origins_.end()) return found->second.get();
  if (auto taken = take(instance, origins_.size(), instance.size() + netns.size(), origin_bytes_); !taken) {
    return taken.error();
  }
  auto origin = std::make_unique<const Origin>(Origin{std::string(instance), std::string(netns)});
  return origins_.emplace(key_, std::move(origin)).first->second.get();
}

}  // namespace natsession
