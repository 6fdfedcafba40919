// SegmentSealer: writes a closed segment anew: small frames merged into full ones, compressed for years on
// disk, and an index behind them. Ordinals stay what they are, so a reader goes on at its place, whichever of
// the two files it has.
//
// At every moment a reader finds the segment's records once: X.sealed.tmp is written and flushed, renamed to
// X.sealed (the directory flushed), and X.open removed; of a segment that is there in both forms readers take
// the sealed one. What is damaged is copied as it is. X.sums, what the records add up to (segment_sums.h), is
// there before X.sealed is; where there is no room for it, it is made later.
//
// Threads: one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/frame_encoder.h"
#include "ledger/segment_summer.h"
#include "ledger/segment_walker.h"

namespace natsession {

class SegmentSealer {
 public:
  // Begins with the open segment `name`. `limit`: the first ordinal of the next one. `directory` outlives the
  // sealer.
  // Errors: kUnavailable if it is not there, a newer program wrote it, or the disk has no room for two;
  // kMalformed if
  //         its header is damaged; kPermission, kIo.
  [[nodiscard]] static Result<std::unique_ptr<SegmentSealer>> begin(const LedgerDirectory& directory,
                                                                    const SegmentName& name, Ordinal limit);
  SegmentSealer(const SegmentSealer&) = delete;
  SegmentSealer& operator=(const SegmentSealer&) = delete;
  // If it is not done, the segment is as it was.
  ~SegmentSealer();

  enum class Progress { kMore, kDone };
  // At most a frame's worth of records, or a few MiB. After an error it is of no more use.
  // Errors: kIo, kPermission; kMalformed if the segment has too many frames that cannot be merged.
  [[nodiscard]] Result<Progress> step();

  [[nodiscard]] std::uint64_t damaged_frames() const { return damaged_; }

 private:
  enum class Phase { kCount, kBegin, kMerge, kTail, kFinish, kSum, kRename, kRemove, kDone };

  SegmentSealer(const LedgerDirectory& directory, std::shared_ptr<const SegmentFile> file, UniqueFd out,
                const SegmentHeader& header, Ordinal limit, std::uint64_t records);
  Result<void> count();
  Result<void> begin_file();
  Result<void> merge();
  Result<void> take(const FrameGroup& group);
  Result<void> write_gathered();
  Result<bool> encode_gathered();
  Result<void> copy_frames(const FrameGroup& group);
  void copy_later(std::uint64_t offset, std::uint64_t bytes);
  Result<void> copy_some();
  Result<void> write(std::string_view bytes);
  Result<void> finish();

  const LedgerDirectory& directory_;
  std::shared_ptr<const SegmentFile> file_;
  const SegmentName sealed_;
  UniqueFd out_;
  std::uint64_t size_ = 0;  // of out_
  Phase phase_ = Phase::kCount;
  SegmentHeader header_;
  GroupWalker counted_;  // goes over the segment first, to see which addresses it has
  PeerCounter counter_;
  std::string dictionary_;  // with its checksum
  Peers peers_;
  GroupWalker groups_;
  GroupDecoder decoder_;
  FrameEncoder encoder_{Effort::kSmall};
  std::uint64_t damaged_ = 0;
  std::vector<FramePlace> index_;
  FrameColumns columns_[2];  // of the frames that are written; short and long sessions
  SegmentSummer summer_;
  std::uint32_t seal_ = 0;  // the trailer's checksum

  // Groups that follow one another, to be written as one.
  std::vector<FrameGroup> gathered_;
  RecordBlock parts_[2];  // short and long sessions
  std::uint64_t gathered_bytes_ = 0;

  // Bytes to be copied before anything else, in pieces.
  std::uint64_t copy_from_ = 0;
  std::uint64_t copy_left_ = 0;
};

}  // namespace natsession
