#include "ledger/segment_group.h"

#include <algorithm>
#include <numeric>

namespace natsession {
namespace {

void cut_back(RecordBlock& block, std::size_t records) {
  block.records.resize(records);
  block.ordinals.resize(records);
}

}  // namespace

Result<GroupDecoder::Damage> GroupDecoder::decode(const SegmentFile& file, const FrameGroup& group,
                                                  RecordBlock& out) {
  out.clear();
  Damage damage;
  for (std::size_t index = 0; index < group.count; ++index) {
    auto why = add(file, group.frames[index], out);
    if (!why) {
      out.clear();
      return why.error();
    }
    if (why->empty()) continue;
    const FrameInfo& info = group.frames[index].info;
    damage.min_start = damage.frames == 0 ? info.min_start : std::min(damage.min_start, info.min_start);
    damage.max_end = damage.frames == 0 ? info.max_end : std::max(damage.max_end, info.max_end);
    ++damage.frames;
    damage.why = file.path() + ", offset " + std::to_string(group.frames[index].offset) + ": " + *why;
  }
  if (group.count > 1 && damage.frames == 0) merge(out);
  return damage;
}

Result<std::string> GroupDecoder::add(const SegmentFile& file, const FramePlace& frame, RecordBlock& out) {
  bytes_.resize(frame.info.bytes);
  const auto count = file.read_at(frame.offset, bytes_);
  if (!count) return count.error();
  if (*count < bytes_.size()) return std::string("the frame is cut off");
  const std::size_t before = out.records.size();
  if (auto decoded = decoder_.decode(bytes_, out); !decoded) return decoded.error().message;

  // Its checksums hold; but who makes them can make any.
  const auto added = std::span(out.ordinals).subspan(before);
  const bool as_told = added.size() == frame.info.records && out.records.size() == out.ordinals.size() &&
                       added.front() == frame.info.first && added.back() == frame.info.last &&
                       std::adjacent_find(added.begin(), added.end(), std::greater_equal()) == added.end();
  if (as_told) return std::string();
  cut_back(out, before);
  return std::string("the frame's ordinals are not what its header says");
}

void GroupDecoder::merge(RecordBlock& block) {
  order_.resize(block.records.size());
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  const auto middle =
      std::is_sorted_until(block.ordinals.begin(), block.ordinals.end()) - block.ordinals.begin();
  std::inplace_merge(order_.begin(), order_.begin() + middle, order_.end(),
                     [&](std::size_t a, std::size_t b) { return block.ordinals[a] < block.ordinals[b]; });
  std::vector<SessionRecord> records;
  std::vector<Ordinal> ordinals;
  records.reserve(order_.size());
  ordinals.reserve(order_.size());
  for (const std::size_t index : order_) {
    if (!ordinals.empty() && ordinals.back() == block.ordinals[index]) continue;
    records.push_back(block.records[index]);
    ordinals.push_back(block.ordinals[index]);
  }
  block.records = std::move(records);
  block.ordinals = std::move(ordinals);
}

}  // namespace natsession
