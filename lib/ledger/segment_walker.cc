#include "ledger/segment_walker.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "ledger/frame_layout.h"

namespace natsession {
namespace {

constexpr std::size_t kSearchBytes = std::size_t{256} << 10;

std::string cut_off(std::uint64_t left) {
  return "a frame is cut off after " + std::to_string(left) + " bytes";
}

void cut_back(RecordBlock& block, std::size_t records) {
  block.records.resize(records);
  block.ordinals.resize(records);
}

}  // namespace

Ordinal FrameGroup::last() const {
  return count == 2 ? std::max(frames[0].info.last, frames[1].info.last) : frames[0].info.last;
}

std::uint64_t FrameGroup::records() const {
  return frames[0].info.records + (count == 2 ? std::uint64_t{frames[1].info.records} : 0);
}

UnixMs FrameGroup::min_end() const {
  return count == 2 ? std::min(frames[0].info.min_end, frames[1].info.min_end) : frames[0].info.min_end;
}

UnixMs FrameGroup::max_end() const {
  return count == 2 ? std::max(frames[0].info.max_end, frames[1].info.max_end) : frames[0].info.max_end;
}

SegmentWalker::SegmentWalker(std::shared_ptr<const SegmentFile> file, Ordinal limit)
    : file_(std::move(file)), limit_(limit) {}

void SegmentWalker::move_to(std::uint64_t offset) {
  offset_ = offset;
  searched_ = 0;
}

Result<FrameInfo> SegmentWalker::check(std::span<const std::byte> header) const {
  auto info = read_frame_header(header);
  if (!info) return info.error();
  const bool possible = info->records > 0 && info->records <= kMaxSealedRecords &&
                        info->first <= info->last && info->last - info->first < kMaxSealedRecords &&
                        info->records <= info->last - info->first + 1 && info->bytes >= kFrameHeaderBytes &&
                        info->bytes <= kMaxFrameBytes;
  if (!possible) return Error{ErrorKind::kMalformed, "the frame header is impossible"};
  if (info->first < file_->name().first || info->last >= limit_) {
    return Error{ErrorKind::kMalformed, "the frame's ordinals belong to another segment"};
  }
  return info;
}

Result<SegmentWalker::Step> SegmentWalker::next() {
  // The size goes first: what is read after it is at least as new.
  const auto file_size = file_->size();
  if (!file_size) return file_size.error();
  const std::uint64_t size = std::min(*file_size, end_);
  Step step;
  step.offset = offset_;
  if (size <= offset_) {
    overtaken_ = overtaken_ || (size < offset_ && offset_ > kSegmentHeaderBytes);
    return step;
  }
  step.bytes = size - offset_;

  std::array<std::byte, kFrameHeaderBytes> header;
  const auto count = file_->read_at(offset_, std::span(header).first(std::min(step.bytes, header.size())));
  if (!count) return count.error();
  if (*count < header.size()) {
    step.why = cut_off(step.bytes);
    return step;
  }
  const auto info = check(header);
  if (info && info->bytes <= step.bytes) {
    step.kind = StepKind::kFrames;
    step.frames = {*info, offset_};
    move_to(offset_ + info->bytes);
    return step;
  }
  step.why = info ? cut_off(step.bytes) : info.error().message;
  const auto found = find_frame(size);
  if (!found) return found.error();
  if (*found) {
    step.kind = StepKind::kDamage;
    step.bytes = **found - offset_;
    move_to(**found);
  }
  return step;
}

// The next place behind offset_ where a frame's header stands.
Result<std::optional<std::uint64_t>> SegmentWalker::find_frame(std::uint64_t size) {
  std::vector<std::byte> bytes;
  std::uint64_t from = std::max(offset_ + 1, searched_);
  while (from + kFrameHeaderBytes <= size) {
    bytes.resize(std::min<std::uint64_t>(kSearchBytes, size - from));
    const auto count = file_->read_at(from, bytes);
    if (!count) return count.error();
    if (*count < kFrameHeaderBytes) break;
    const std::size_t places = *count - kFrameHeaderBytes + 1;
    const std::span<const std::byte> read = std::span(bytes).first(*count);
    for (std::size_t at = 0; at < places; ++at) {
      const void* const found = ::memmem(read.data() + at, places - at + kFrameMagic.size() - 1,
                                         kFrameMagic.data(), kFrameMagic.size());
      if (found == nullptr) break;
      at = static_cast<std::size_t>(static_cast<const std::byte*>(found) - read.data());
      if (check(read.subspan(at, kFrameHeaderBytes))) return std::optional(from + at);
    }
    from += places;
    searched_ = from;
  }
  return std::optional<std::uint64_t>();
}

Result<SegmentWalker::Step> GroupWalker::take() {
  if (!ahead_) return frames_.next();
  SegmentWalker::Step step = std::move(*ahead_);
  ahead_.reset();
  return step;
}

Result<GroupWalker::Step> GroupWalker::next(bool final) {
  auto taken = take();
  if (!taken) return taken.error();
  Step step;
  step.kind = taken->kind;
  step.offset = taken->offset;
  step.bytes = taken->bytes;
  step.why = taken->why;
  if (taken->kind != StepKind::kFrames) return step;

  const FrameInfo& first = taken->frames.info;
  step.frames = {{taken->frames, {}}, 1};
  if (step.frames.whole()) return step;

  auto second = frames_.next();
  if (!second) {
    ahead_ = std::move(*taken);
    return second.error();
  }
  if (second->kind == StepKind::kEnd) {
    if (final) return step;
    ahead_ = std::move(*taken);
    step = Step{};
    step.offset = second->offset;
    step.bytes = second->bytes;
    step.why = second->why;
    return step;
  }
  const FrameInfo& other = second->frames.info;
  const bool between = second->kind == StepKind::kFrames && other.first > first.first &&
                       other.first < first.last && other.long_sessions != first.long_sessions;
  if (between) {
    step.frames = {{taken->frames, second->frames}, 2};
  } else {
    if (second->kind == StepKind::kDamage) {
      step.offset = second->offset;
      step.bytes = second->bytes;
      step.why = second->why;
    }
    ahead_ = std::move(*second);
  }
  return step;
}

SegmentWalker walk_segment(std::shared_ptr<const SegmentFile> file, Ordinal limit) {
  SegmentWalker walker(file, limit);
  if (file->name().sealed) {
    walker.move_to(file->frames_begin());
    if (const auto trailer = file->trailer()) walker.set_end(trailer->frames_end());
  }
  return walker;
}

Result<SegmentBounds> bounds_of(const std::shared_ptr<const SegmentFile>& file) {
  if (const auto header = file->header(); !header && header.error().kind != ErrorKind::kMalformed) {
    return header.error();
  }
  if (file->name().sealed) {
    if (const auto trailer = file->trailer(); trailer && trailer->first == file->name().first) {
      return trailer->bounds;
    }
  }
  SegmentBounds bounds;
  bounds.end = file->name().first;
  for (SegmentWalker walker = walk_segment(file, kMaxOrdinal + 1);;) {
    const auto step = walker.next();
    if (!step) return step.error();
    if (step->kind == StepKind::kEnd) return bounds;
    if (step->kind == StepKind::kFrames) bounds.add(step->frames.info);
  }
}

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
  if (auto decoded = decoder_.decode(bytes_, out, file.peers()); !decoded) return decoded.error().message;

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
