#include "ledger/ledger_pending.h"

#include <cstdint>

namespace natsession {

void PendingRecords::begin_span() {
  known_origin_ = nullptr;
  known_texts_.fill({});
}

bool PendingRecords::add(const SessionRecord& record) {
  if (record.origin != known_origin_ || known_origin_ == nullptr) {
    static const Origin kNone;
    const Origin* const kept = keep(record.origin != nullptr ? *record.origin : kNone);
    if (kept == nullptr) return false;
    known_origin_ = record.origin;
    kept_origin_ = kept;
  }
  std::string_view vpc_id;
  if (!record.vpc_id.empty()) {
    const auto address = reinterpret_cast<std::uintptr_t>(record.vpc_id.data());
    KnownText& known = known_texts_[(address ^ (address >> 5)) % known_texts_.size()];
    if (known.from != record.vpc_id.data() || known.size != record.vpc_id.size()) {
      const std::string* const kept = keep(record.vpc_id.substr(0, kMaxText));
      if (kept == nullptr) return false;
      known = {record.vpc_id.data(), record.vpc_id.size(), *kept};
    }
    vpc_id = known.kept;
  }
  SessionRecord& added = records_.emplace_back(record);
  added.origin = kept_origin_;
  added.vpc_id = vpc_id;
  return true;
}

void PendingRecords::drop(std::size_t count) {
  dropped_ += count;
  if (dropped_ < records_.size()) {
    if (dropped_ < kMaxFrameRecords) return;
    records_.erase(records_.begin(), records_.begin() + static_cast<std::ptrdiff_t>(dropped_));
    dropped_ = 0;
    return;
  }
  records_.clear();
  dropped_ = 0;
  // Few texts come again and again: they stay. Many, or long ones, are let go now that nothing points to
  // them.
  constexpr std::size_t kWorthKeeping = std::size_t{1} << 20;
  if (text_bytes_ < kWorthKeeping) return;
  texts_.clear();
  origins_.clear();
  text_bytes_ = 0;
  begin_span();
}

const Origin* PendingRecords::keep(const Origin& origin) {
  const auto instance = std::string_view(origin.instance).substr(0, kMaxText);
  const auto netns = std::string_view(origin.netns).substr(0, kMaxText);
  // The length goes in front, so that no two origins have the same key.
  key_ = std::to_string(instance.size());
  key_ += ' ';
  key_ += instance;
  key_ += netns;
  if (const auto found = origins_.find(key_); found != origins_.end()) return &found->second;
  if (text_bytes_ + 2 * key_.size() > kMaxAllTexts && text_bytes_ > 0) return nullptr;
  text_bytes_ += 2 * key_.size() + sizeof(Origins::value_type);
  return &origins_.emplace(key_, Origin{std::string(instance), std::string(netns)}).first->second;
}

const std::string* PendingRecords::keep(std::string_view text) {
  if (const auto found = texts_.find(text); found != texts_.end()) return &*found;
  if (text_bytes_ + text.size() > kMaxAllTexts && text_bytes_ > 0) return nullptr;
  text_bytes_ += text.size() + sizeof(Texts::value_type);
  return &*texts_.emplace(text).first;
}

}  // namespace natsession
