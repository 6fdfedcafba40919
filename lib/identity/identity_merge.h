// Streams of assignments, merged: of what one name says several times the later counts.
// Threads: one for each object.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "identity/identity_file.h"

namespace natsession {

// What NUMBER.open files say, put in order: all in memory.
class OpenFileStream final : public AssignmentStream {
 public:
  // Reads one more, told later than those before. What is torn at its end is left out, without a word where
  // `growing`: a writer is at it.
  // `instead`: is given the blocks, whose checksums hold, and nothing is kept.
  // Errors: kUnavailable: it is not there, or a newer program wrote it; kPermission, kIo.
  using TakeBlock = std::function<void(const BlockHeader&, std::span<const std::byte> body)>;
  Result<void> add(const IdentityDirectory& directory, const IdentityFileName& name, bool growing,
                   std::vector<IdentityDamage>& damage, const TakeBlock& instead = {});
  // To be called once, behind the last add().
  void put_in_order();

  [[nodiscard]] const std::vector<SourceSpan>& spans() const { return spans_; }
  [[nodiscard]] UnixMs latest() const { return latest_; }
  // Where the last file's last whole block ends, and how long that file is.
  [[nodiscard]] std::uint64_t whole_until() const { return whole_until_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::size_t put() const { return put_; }  // assignments, with those told again

  [[nodiscard]] const AssignmentView* get() const override {
    return at_ < order_.size() ? order_[at_] : nullptr;
  }
  void next() override { ++at_; }
  [[nodiscard]] std::uint32_t lost() const override { return lost_; }

 private:
  std::vector<std::unique_ptr<AssignmentBlock>> blocks_;
  std::vector<const AssignmentView*> order_;
  std::vector<SourceSpan> spans_;
  std::size_t at_ = 0, put_ = 0;
  std::uint32_t lost_ = 0;
  UnixMs latest_ = UnixMs::min();
  std::uint64_t whole_until_ = 0, bytes_ = 0;
};

class AssignmentMerge {
 public:
  // What is told later stands later.
  explicit AssignmentMerge(std::vector<std::unique_ptr<AssignmentStream>> streams)
      : streams_(std::move(streams)) {}

  // Null at the end. Good until the next call.
  const AssignmentView* next();
  [[nodiscard]] std::uint32_t lost() const;

 private:
  std::vector<std::unique_ptr<AssignmentStream>> streams_;
  std::vector<std::size_t> taken_;  // those that said what was returned last
};

// Spans of the same source and beginning are one, up to the later end; in order. At most `limit`: what began
// earliest is left out.
[[nodiscard]] std::vector<SourceSpan> joined_spans(std::vector<SourceSpan> spans, std::size_t limit);
inline constexpr std::size_t kMaxSourceSpans = 65'536;

}  // namespace natsession
