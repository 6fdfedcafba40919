#include "identity/identity_merge.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <tuple>

#include <fcntl.h>
#include <unistd.h>

namespace natsession {

Result<void> OpenFileStream::add(const IdentityDirectory& directory, const IdentityFileName& name,
                                 bool growing, std::vector<IdentityDamage>& damage,
                                 const TakeBlock& instead) {
  const std::string path = directory.path_of(name.text());
  const auto fd = directory.open_file(name.text(), O_RDONLY);
  if (!fd) return fd.error();
  struct stat status {};
  if (::fstat(fd->get(), &status) != 0) return system_error("identity: stat " + path, errno);
  bytes_ = static_cast<std::uint64_t>(status.st_size);
  whole_until_ = 0;
  std::array<std::byte, kIdentityHeaderBytes> header{};
  const ssize_t count = ::pread(fd->get(), header.data(), header.size(), 0);
  if (count < 0 && errno != EIO) return system_error("identity: read " + path, errno);
  const auto checked = check_identity_header(
      std::span(header).first(static_cast<std::size_t>(std::max<ssize_t>(count, 0))), name, path);
  if (!checked && checked.error().kind == ErrorKind::kUnavailable) return checked.error();
  if (bytes_ < kIdentityHeaderBytes) return {};  // its writer had only begun
  if (!checked) add_damage(damage, {checked.error().message});

  BlockWalker walker(fd->get(), kIdentityHeaderBytes, bytes_);
  UnixMs before = UnixMs::min();  // the latest time of the block before
  bool pending = false;           // damage, of which the time it ends is not known yet
  const auto tell = [&](const std::string& what, UnixMs until) {
    ++lost_;
    add_damage(damage, {path + ": " + what, before, until});
  };
  std::string what;
  for (;;) {
    const auto step = walker.next();
    if (step == BlockWalker::Step::kEnd) break;
    if (step == BlockWalker::Step::kNewer) {
      tell("a block at byte " + std::to_string(walker.offset()) + " was written by a newer program",
           walker.header()->latest);
      continue;
    }
    if (step == BlockWalker::Step::kDamage) {
      what = "what stands at byte " + std::to_string(walker.offset()) + " cannot be read";
      pending = true;
      continue;
    }
    auto block = std::make_unique<AssignmentBlock>();
    if (instead) {
      instead(*walker.header(), walker.body());
    } else if (const auto decoded = block->decode(*walker.header(), walker.body()); !decoded) {
      tell(decoded.error().message, walker.header()->latest);
      continue;
    }
    // What was told before is known later at the latest.
    if (pending) tell(what, std::max(before, walker.header()->latest));
    pending = false;
    before = std::max(before, walker.header()->latest);
    latest_ = std::max(latest_, walker.header()->latest);
    put_ += walker.header()->assignments;
    if (instead) continue;
    spans_.insert(spans_.end(), block->spans().begin(), block->spans().end());
    for (const AssignmentView& one : block->assignments()) order_.push_back(&one);
    blocks_.push_back(std::move(block));
  }
  whole_until_ = walker.whole_until();
  if (walker.torn() && !growing) tell("its end is torn", UnixMs::max());
  return {};
}

void OpenFileStream::put_in_order() {
  std::stable_sort(order_.begin(), order_.end(), [](const AssignmentView* a, const AssignmentView* b) {
    return compare_names(*a, *b) < 0;
  });
  // The last of the same name counts.
  std::size_t kept = 0;
  for (std::size_t i = 0; i < order_.size(); ++i) {
    if (i + 1 < order_.size() && compare_names(*order_[i], *order_[i + 1]) == 0) continue;
    order_[kept++] = order_[i];
  }
  order_.resize(kept);
  at_ = 0;
}

const AssignmentView* AssignmentMerge::next() {
  for (const std::size_t i : taken_) streams_[i]->next();
  taken_.clear();
  const AssignmentView* found = nullptr;
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    const AssignmentView* const one = streams_[i]->get();
    if (one == nullptr) continue;
    const auto order = found == nullptr ? std::strong_ordering::less : compare_names(*one, *found);
    if (order > 0) continue;
    if (order < 0) taken_.clear();
    taken_.push_back(i);
    found = one;
  }
  return found;
}

std::uint32_t AssignmentMerge::lost() const {
  std::uint32_t lost = 0;
  for (const auto& stream : streams_) lost += stream->lost();
  return lost;
}

std::vector<SourceSpan> joined_spans(std::vector<SourceSpan> spans, std::size_t limit) {
  std::sort(spans.begin(), spans.end(), [](const SourceSpan& a, const SourceSpan& b) {
    return std::tie(a.source, a.from, a.until) < std::tie(b.source, b.from, b.until);
  });
  std::vector<SourceSpan> joined;
  for (SourceSpan& span : spans) {
    // One that begins within another, or at its end, goes on with it.
    if (!joined.empty() && joined.back().source == span.source && span.from <= joined.back().until) {
      joined.back().until = std::max(joined.back().until, span.until);
    } else {
      joined.push_back(std::move(span));
    }
  }
  if (joined.size() > limit) {
    std::vector<UnixMs> begun;
    for (const SourceSpan& span : joined) begun.push_back(span.from);
    std::nth_element(begun.begin(), begun.end() - static_cast<std::ptrdiff_t>(limit), begun.end());
    const UnixMs oldest = begun[begun.size() - limit];
    std::erase_if(joined, [&](const SourceSpan& span) { return span.from < oldest; });
  }
  return joined;
}

}  // namespace natsession
