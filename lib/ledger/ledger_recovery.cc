#include "ledger/ledger_recovery.h"

#include <algorithm>
#include <numeric>

#include <fcntl.h>

#include "base/files.h"
#include "ledger/cursor.h"
#include "ledger/frame_encoder.h"
#include "ledger/segment_walker.h"

namespace natsession {
namespace {

// So many bad groups at the end are cut; if there are more, it is no torn tail, and they stay and are
// skipped.
constexpr int kMaxCuts = 256;

struct WalkedEnd {
  SegmentBounds bounds;
  std::uint64_t bytes = kSegmentHeaderBytes;  // where the last frame before `until` ends
  std::optional<FrameGroup> last;
};

Result<WalkedEnd> walk_to_end(const std::shared_ptr<const SegmentFile>& file, std::uint64_t until) {
  SegmentWalker frames(file);
  frames.set_end(until);
  GroupWalker groups(std::move(frames));
  WalkedEnd end;
  end.bounds.end = file->name().first;
  while (true) {
    const auto step = groups.next(/*final=*/true);
    if (!step) return step.error();
    if (step->kind == StepKind::kEnd) return end;
    if (step->kind == StepKind::kDamage) continue;
    for (std::size_t index = 0; index < step->frames.count; ++index) {
      const FramePlace& frame = step->frames.frames[index];
      end.bounds.add(frame.info);
      end.bytes = frame.offset + frame.info.bytes;
    }
    end.last = step->frames;
  }
}

Result<WalkedEnd> find_good_end(const std::shared_ptr<const SegmentFile>& file, bool crashed,
                                RecordBlock& rescued) {
  auto end = walk_to_end(file, UINT64_MAX);
  GroupDecoder decoder;
  RecordBlock records;
  for (int cuts = 0; end && crashed && end->last && cuts < kMaxCuts; ++cuts) {
    // A newer program's frames cannot be judged.
    if (!end->last->readable()) break;
    const auto damage = decoder.decode(*file, *end->last, records);
    if (!damage) return damage.error();
    if (damage->frames == 0 && end->last->whole()) break;
    // Of groups before the last some readers may have been given records already.
    if (cuts == 0) std::swap(rescued, records);
    end = walk_to_end(file, end->last->frames[0].offset);
  }
  return end;
}

Result<LedgerTail> look_at(LedgerDirectory& directory, const SegmentName& name, bool crashed) {
  LedgerTail tail;
  tail.next = name.first;
  auto file = SegmentFile::open(directory, name);
  if (!file) return file.error();
  const auto header = (*file)->header();
  if (!header && header.error().kind != ErrorKind::kMalformed) {
    Error error = header.error();
    error.message = "ledger: open " + (*file)->path() + ": " + error.message;
    return error.kind == ErrorKind::kUnavailable ? refused_as_newer(error, directory.path()) : error;
  }
  if (name.sealed) {
    const auto bounds = bounds_of(*file);
    if (!bounds) return bounds.error();
    tail.next = std::max(name.first + 1, bounds->end);  // its name is taken, whatever is in it
    if (bounds->records > 0) tail.last_record = bounds->max_end;
    return tail;
  }
  const auto end = find_good_end(*file, crashed, tail.rescued);
  if (!end) return end.error();
  tail.next = std::max(tail.next, end->bounds.end);
  if (end->last) tail.last_record = end->bounds.max_end;
  if (header && header->first == name.first) {
    tail.segment = name;
    tail.bytes = end->bytes;
    tail.header = *header;
    return tail;
  }
  const auto size = (*file)->size();
  if (!size) return size.error();
  if (*size > kSegmentHeaderBytes) {
    tail.next = std::max(tail.next, name.first + 1);  // it keeps its name
  } else if (auto removed = directory.remove(name.text()); !removed) {
    return removed.error();  // it was just being made, and is in the way of the one to be made
  }
  return tail;
}

// When the newest record in the segments before the last one ended.
std::optional<UnixMs> last_record_before(const LedgerDirectory& directory,
                                         std::span<const SegmentName> names) {
  constexpr std::size_t kLook = 3;  // an empty one is rare, two in a row are not to be expected
  for (std::size_t back = 2; back <= names.size() && back < 2 + kLook; ++back) {
    const auto file = SegmentFile::open(directory, names[names.size() - back]);
    if (!file) continue;
    const auto bounds = bounds_of(*file);
    if (bounds && bounds->records > 0) return bounds->max_end;
  }
  return std::nullopt;
}

constexpr const char* kName = "open";

Error about(const std::string& path, Error error) {
  error.message = "ledger: " + path + ": " + error.message;
  return error;
}

}  // namespace

Result<LedgerTail> find_tail(LedgerDirectory& directory, bool crashed) {
  const auto names = directory.segments();
  if (!names) return names.error();
  LedgerTail tail;
  if (!names->empty()) {
    auto found = look_at(directory, names->back(), crashed);
    if (!found) return found.error();
    tail = std::move(*found);
    if (!tail.last_record) tail.last_record = last_record_before(directory, *names);
  }
  for (const NamedCursor& cursor : list_cursors(directory.path())) {
    tail.next = std::max(tail.next, cursor.state.next);
  }
  if (tail.next > kMaxOrdinal) {
    return Error{ErrorKind::kMalformed,
                 "ledger " + directory.path() + ": its last frame leaves no ordinal free"};
  }
  directory.forget();
  return tail;
}

Result<void> write_checkpoint(const std::string& directory, Ordinal place, UnixMs now,
                              std::span<const SessionRecord> totals) {
  const auto header = encode_segment_header({place, now, {}});
  std::vector<std::string> frames;
  FrameEncoder encoder(Effort::kFast);
  std::vector<Ordinal> ordinals;
  for (std::size_t done = 0; done < totals.size();) {
    const auto part = totals.subspan(done, std::min(totals.size() - done, kMaxFrameRecords));
    ordinals.resize(part.size());
    std::iota(ordinals.begin(), ordinals.end(), place + done);
    encoder.encode(part, ordinals, /*long_sessions=*/false, frames.emplace_back());
    done += part.size();
  }
  std::vector<std::string_view> parts{{reinterpret_cast<const char*>(header.data()), header.size()}};
  parts.insert(parts.end(), frames.begin(), frames.end());
  return replace_file(directory, kName, parts);
}

Result<std::optional<Ordinal>> read_checkpoint(const std::string& directory,
                                               const std::function<void(const RecordBlock&)>& take) {
  const std::string path = directory + "/" + kName;
  auto folder = open_directory(directory, /*follow_link=*/true);
  if (!folder) return folder.error();
  auto fd = open_regular(folder->get(), kName, path, O_RDONLY, 0);
  if (!fd && fd.error().kind == ErrorKind::kUnavailable) return std::optional<Ordinal>();
  if (!fd) return fd.error();
  const SegmentFile file(std::move(*fd), {}, path);
  const auto header = file.header();
  if (!header) return about(path, header.error());
  FrameDecoder decoder;
  RecordBlock block;
  std::vector<std::byte> bytes;
  for (std::uint64_t offset = kSegmentHeaderBytes;;) {
    bytes.resize(kFrameHeaderBytes);
    const auto count = file.read_at(offset, bytes);
    if (!count) return count.error();
    if (*count == 0) return std::optional(header->first);
    const auto info = read_frame_header(std::span(bytes).first(*count));
    if (!info) return about(path, info.error());
    bytes.resize(info->bytes);
    const auto whole = file.read_at(offset, bytes);
    if (!whole) return whole.error();
    block.clear();
    if (auto decoded = decoder.decode(std::span(bytes).first(*whole), block); !decoded) {
      return about(path, decoded.error());
    }
    take(block);
    offset += info->bytes;
  }
}

}  // namespace natsession
