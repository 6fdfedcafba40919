#include "ledger/verify_ledger.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "ledger/coverage.h"
#include "ledger/segment_list.h"
#include "ledger/segment_walker.h"

namespace natsession {
namespace {

class Verifier {
 public:
  explicit Verifier(LedgerDirectory directory) : list_(std::move(directory)) {}

  Result<VerifyReport> run(const VerifyProgress& progress);

 private:
  Result<void> verify(const SegmentEntry& entry);
  Result<void> verify_group(const SegmentFile& file, const FrameGroup& group, bool settled);
  void compare_index(const SegmentFile& file, const std::vector<FramePlace>& walked);
  void add_damage(VerifyReport::Damage damage);
  void expect(Ordinal first);
  void unreadable(std::string why);

  SegmentList list_;
  GroupDecoder decoder_;
  RecordBlock block_;
  VerifyReport report_;
  std::optional<Ordinal> next_;  // the ordinal that is to come
};

Result<VerifyReport> Verifier::run(const VerifyProgress& progress) {
  if (auto fresh = list_.refresh(); !fresh) return fresh.error();
  std::uint64_t total = 0;
  for (const SegmentEntry& entry : list_.entries()) total += entry.bytes;
  for (const SegmentEntry& entry : list_.entries()) {
    if (progress) progress(list_.directory().path_of(entry.name.text()), report_.bytes, total);
    report_.bytes += entry.bytes;
    ++report_.segments;
    if (entry.name.sealed) ++report_.sealed_segments;
    if (auto verified = verify(entry); !verified) return verified.error();
  }
  if (const auto coverage = read_coverage(list_.directory().path()); !coverage)
    unreadable(coverage.error().message);
  report_.end = next_.value_or(0);
  for (NamedCursor& cursor : list_cursors(list_.directory().path())) {
    if (cursor.state.next <= report_.end || report_.lost_cursors.size() >= VerifyReport::kMaxListed) continue;
    report_.lost_cursors.push_back(std::move(cursor));
  }
  return std::move(report_);
}

Result<void> Verifier::verify(const SegmentEntry& entry) {
  const auto file = open_segment(list_.directory(), entry.name);
  if (!file && file.error().kind == ErrorKind::kUnavailable) {
    // Retention took it meanwhile: nothing is missing, the ledger begins behind it.
    if (report_.records == 0) next_.reset();
    return {};
  }
  if (!file) {
    unreadable(file.error().message);
    return {};
  }
  if (!next_) {
    next_ = entry.name.first;
    report_.begin = entry.name.first;
  }
  expect(entry.name.first);
  if (const auto header = (*file)->header(); !header || header->first != entry.name.first) {
    unreadable(
        (*file)->path() + ": " +
        (header ? std::string("the segment header tells of another segment") : header.error().message));
    if (!header && header.error().kind == ErrorKind::kUnavailable) return {};
  }

  GroupWalker groups(walk_segment(*file, entry.limit));
  std::vector<FramePlace> walked;
  while (true) {
    const auto step = groups.next(/*final=*/!entry.last);
    if (!step) return step.error();
    if (step->kind == StepKind::kFrames) {
      bool settled = !entry.last;
      if (!settled) {
        GroupWalker further = groups;
        const auto behind = further.next(/*final=*/false);
        settled = behind && behind->kind != StepKind::kEnd;
      }
      if (auto verified = verify_group(**file, step->frames, settled); !verified) return verified;
      if (walked.size() <= kMaxIndexEntries) {
        walked.insert(walked.end(), step->frames.frames.begin(),
                      step->frames.frames.begin() + static_cast<std::ptrdiff_t>(step->frames.count));
      }
      continue;
    }
    if (step->kind == StepKind::kEnd && entry.last) {
      report_.unfinished_bytes += step->bytes;
    } else if (step->bytes > 0) {
      add_damage({(*file)->path(), step->offset, step->bytes, false, 0, 0, step->why});
    }
    if (step->kind == StepKind::kEnd) break;
  }
  if ((*file)->name().sealed) {
    compare_index(**file, walked);
    if (const auto peers = (*file)->verify_peers(); !peers) unreadable(peers.error().message);
  }
  return {};
}

Result<void> Verifier::verify_group(const SegmentFile& file, const FrameGroup& group, bool settled) {
  std::uint64_t damaged = 0;
  std::uint64_t good_frames = 0;
  const std::size_t listed = report_.damaged.size();
  RecordBlock frame_records;
  for (std::size_t index = 0; index < group.count; ++index) {
    const FramePlace& frame = group.frames[index];
    frame_records.clear();
    const auto why = decoder_.add(file, frame, frame_records);
    if (!why) return why.error();
    if (why->empty()) {
      ++good_frames;
      continue;
    }
    ++damaged;
    if (!settled) {
      report_.unfinished_bytes += frame.info.bytes;
      continue;
    }
    add_damage({file.path(), frame.offset, frame.info.bytes, true, frame.info.first, frame.info.last, *why});
  }
  if (damaged > 0 && !settled && report_.damaged.size() == listed) return {};
  report_.frames += good_frames;
  if (group.count == 1) {
    std::swap(block_, frame_records);
  } else if (const auto decoded = decoder_.decode(file, group, block_); !decoded) {
    return decoded.error();
  }
  for (const Ordinal ordinal : block_.ordinals) {
    if (ordinal < *next_) continue;
    expect(ordinal);
    ++report_.records;
    next_ = ordinal + 1;
  }
  expect(group.last() + 1);
  return {};
}

// What lies between the ordinal that was to come and this one is missing.
void Verifier::expect(Ordinal first) {
  if (first <= *next_) return;
  report_.missing_records += first - *next_;
  if (report_.missing.size() < VerifyReport::kMaxListed) report_.missing.push_back({*next_, first - 1});
  next_ = first;
}

void Verifier::compare_index(const SegmentFile& file, const std::vector<FramePlace>& walked) {
  const auto trailer = file.trailer();
  if (!trailer) {
    unreadable(file.path() + ": " + trailer.error().message);
    return;
  }
  const auto index = file.index(*trailer);
  if (!index) {
    unreadable(file.path() + ": " + index.error().message);
    return;
  }
  const auto same = [](const FramePlace& a, const FramePlace& b) {
    return a.offset == b.offset && a.info.first == b.info.first && a.info.last == b.info.last &&
           a.info.records == b.info.records && a.info.bytes == b.info.bytes &&
           a.info.min_end == b.info.min_end && a.info.max_end == b.info.max_end &&
           a.info.min_start == b.info.min_start && a.info.max_start == b.info.max_start &&
           a.info.long_sessions == b.info.long_sessions;
  };
  // A frame whose header was damaged since stands in the index alone, and is listed as damage already.
  const bool known = std::all_of(walked.begin(), walked.end(), [&](const FramePlace& frame) {
    const auto found =
        std::lower_bound(index->begin(), index->end(), frame.offset,
                         [](const FramePlace& a, std::uint64_t offset) { return a.offset < offset; });
    return found != index->end() && same(*found, frame);
  });
  if (!known) unreadable(file.path() + ": the index does not tell of the frames that are there");
}

void Verifier::add_damage(VerifyReport::Damage damage) {
  ++report_.damaged_frames;
  if (report_.damaged.size() < VerifyReport::kMaxListed) report_.damaged.push_back(std::move(damage));
}

void Verifier::unreadable(std::string why) {
  if (report_.unreadable.size() < VerifyReport::kMaxListed) report_.unreadable.push_back(std::move(why));
}

}  // namespace

Result<VerifyReport> verify_ledger(const std::string& directory, const VerifyProgress& progress) {
  auto opened = LedgerDirectory::open(directory);
  if (!opened) return opened.error();
  return Verifier(std::move(*opened)).run(progress);
}

}  // namespace natsession
