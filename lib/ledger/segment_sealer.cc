#include "ledger/segment_sealer.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace natsession {
namespace {

constexpr std::uint64_t kCopyStep = std::uint64_t{4} << 20;
// Groups are merged as long as what they were is no larger: so the frame they become cannot be too large.
constexpr std::uint64_t kMaxGatheredBytes = kMaxFrameBytes / 2;

// Sealing may wait; the writer may not. It leaves the disk as much room as it takes.
Result<void> check_room(const LedgerDirectory& directory, std::uint64_t bytes) {
  struct statvfs disk {};
  if (::fstatvfs(directory.segments_fd(), &disk) != 0) {
    return system_error("ledger: statvfs " + directory.path(), errno);
  }
  const std::uint64_t room = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  if (room / 2 >= bytes) return {};
  return Error{ErrorKind::kUnavailable, "ledger: seal in " + directory.path() +
                                            ": the disk has no room for it: " + std::to_string(room) +
                                            " bytes are free, " + std::to_string(2 * bytes) + " would do"};
}

std::uint64_t records_in(const std::vector<FrameGroup>& groups) {
  std::uint64_t records = 0;
  for (const FrameGroup& group : groups) records += group.records();
  return records;
}

}  // namespace

Result<std::unique_ptr<SegmentSealer>> SegmentSealer::begin(const LedgerDirectory& directory,
                                                            const SegmentName& name, Ordinal limit) {
  auto file = SegmentFile::open(directory, name);
  if (!file) return file.error();
  const auto header = (*file)->header();
  if (!header) {
    return Error{header.error().kind, "ledger: seal " + (*file)->path() + ": " + header.error().message};
  }
  const auto size = (*file)->size();
  if (!size) return size.error();
  if (auto room = check_room(directory, *size); !room) return room.error();
  const auto bounds = bounds_of(*file);
  if (!bounds) return bounds.error();

  const std::string temporary = SegmentName{name.first, true}.temporary();
  if (auto removed = directory.remove(temporary); !removed) return removed.error();
  auto out = directory.open_file(temporary, O_RDWR | O_CREAT | O_EXCL);
  if (!out) return out.error();
  std::unique_ptr<SegmentSealer> sealer(
      new SegmentSealer(directory, std::move(*file), std::move(*out), *header, limit, bounds->records));
  // To be written again, when the dictionary is there. That the disk takes nothing shows at once.
  const auto bytes = encode_segment_header(*header);
  if (auto written = sealer->write({reinterpret_cast<const char*>(bytes.data()), bytes.size()}); !written) {
    return written.error();
  }
  return sealer;
}

SegmentSealer::SegmentSealer(const LedgerDirectory& directory, std::shared_ptr<const SegmentFile> file,
                             UniqueFd out, const SegmentHeader& header, Ordinal limit, std::uint64_t records)
    : directory_(directory),
      file_(std::move(file)),
      sealed_{file_->name().first, true},
      out_(std::move(out)),
      header_(header),
      counted_(walk_segment(file_, limit)),
      groups_(walk_segment(file_, limit)),
      summer_(records) {}

SegmentSealer::~SegmentSealer() {
  if (phase_ <= Phase::kRename) static_cast<void>(directory_.remove(sealed_.temporary()));
}

Result<SegmentSealer::Progress> SegmentSealer::step() {
  Result<void> done;
  switch (phase_) {
    case Phase::kCount:
      done = count();
      break;
    case Phase::kBegin:
      done = begin_file();
      if (done) phase_ = Phase::kMerge;
      break;
    case Phase::kMerge:
      done = copy_left_ > 0 ? copy_some() : merge();
      break;
    case Phase::kTail:
      done = copy_some();
      if (done && copy_left_ == 0) phase_ = Phase::kFinish;
      break;
    case Phase::kFinish:
      done = finish();
      if (done) phase_ = Phase::kSum;
      break;
    case Phase::kSum:
      // The compactor makes the sums that are not there.
      static_cast<void>(write_sums(directory_, sealed_.first, summer_.finish({sealed_.first, seal_})));
      phase_ = Phase::kRename;
      break;
    case Phase::kRename:
      done = directory_.rename(sealed_.temporary(), sealed_.text());
      if (!done) break;
      phase_ = Phase::kRemove;
      done = directory_.sync();
      break;
    case Phase::kRemove:
      done = directory_.remove(file_->name().text());
      if (done) phase_ = Phase::kDone;
      break;
    case Phase::kDone:
      break;
  }
  if (!done) return done.error();
  return phase_ == Phase::kDone ? Progress::kDone : Progress::kMore;
}

// The addresses of one group. What cannot be read here is not counted.
Result<void> SegmentSealer::count() {
  const auto step = counted_.next(/*final=*/true);
  if (!step) return step.error();
  if (step->kind == StepKind::kEnd) phase_ = Phase::kBegin;
  if (step->kind != StepKind::kFrames) return {};
  std::vector<std::byte> bytes;
  for (std::size_t index = 0; index < step->frames.count; ++index) {
    const FramePlace& frame = step->frames.frames[index];
    bytes.resize(frame.info.bytes);
    const auto read = file_->read_at(frame.offset, bytes);
    if (!read) return read.error();
    FrameColumns& columns = columns_[0];
    if (*read < bytes.size() || !columns.open(bytes)) continue;
    const auto peers = columns.addresses(Field::kPubIp);
    const auto protocols = columns.small(Field::kProtocol);
    const auto ports = columns.ports(Field::kPubPort);
    if (!peers || !protocols || !ports) continue;
    for (std::size_t row = 0; row < columns.info().records; ++row) {
      counter_.add(peers->distinct[peers->index[row]], {(*protocols)[row], (*ports)[row]});
    }
  }
  return {};
}

Result<void> SegmentSealer::begin_file() {
  std::string dictionary = counter_.finish();
  counter_ = PeerCounter();
  dictionary_ = encode_peers(dictionary);
  if (!dictionary.empty()) {
    auto read = PeerDictionary::read(std::move(dictionary));
    if (!read) return read.error();
    peers_ = *read;
  }
  header_.peers = static_cast<std::uint32_t>(dictionary_.size());
  const auto bytes = encode_segment_header(header_);
  size_ = 0;
  if (auto written = write({reinterpret_cast<const char*>(bytes.data()), bytes.size()}); !written)
    return written;
  return write(dictionary_);
}

// Takes groups until some are written.
Result<void> SegmentSealer::merge() {
  const std::size_t before = index_.size();
  while (index_.size() == before && copy_left_ == 0) {
    const auto step = groups_.next(/*final=*/true);
    if (!step) return step.error();
    if (step->kind == StepKind::kFrames) {
      if (auto taken = take(step->frames); !taken) return taken;
      continue;
    }
    if (auto written = write_gathered(); !written) return written;
    copy_later(step->offset, step->bytes);
    if (step->bytes > 0) summer_.spoil();
    if (step->kind == StepKind::kDamage) {
      ++damaged_;
    } else {
      phase_ = Phase::kTail;
      return {};
    }
  }
  return {};
}

Result<void> SegmentSealer::take(const FrameGroup& group) {
  std::uint64_t bytes = 0;
  for (std::size_t index = 0; index < group.count; ++index) bytes += group.frames[index].info.bytes;

  const bool follows = gathered_.empty() || group.first() == gathered_.back().last() + 1;
  const bool fits = records_in(gathered_) + group.records() <= kMaxSealedRecords &&
                    gathered_bytes_ + bytes <= kMaxGatheredBytes;
  if (!follows || !fits || !group.whole()) {
    if (auto written = write_gathered(); !written) return written;
  }
  if (!group.whole()) return copy_frames(group);

  const std::size_t sizes[2] = {parts_[0].records.size(), parts_[1].records.size()};
  for (std::size_t index = 0; index < group.count; ++index) {
    const FramePlace& frame = group.frames[index];
    const auto why = decoder_.add(*file_, frame, parts_[frame.info.long_sessions ? 1 : 0]);
    if (!why) return why.error();
    if (why->empty()) continue;
    ++damaged_;
    for (std::size_t part = 0; part < 2; ++part) {
      parts_[part].records.resize(sizes[part]);
      parts_[part].ordinals.resize(sizes[part]);
    }
    if (auto written = write_gathered(); !written) return written;
    return copy_frames(group);
  }
  gathered_.push_back(group);
  gathered_bytes_ += bytes;
  return {};
}

Result<void> SegmentSealer::write_gathered() {
  if (gathered_.empty()) return {};
  const auto encoded = encode_gathered();
  if (!encoded) return encoded.error();
  if (!*encoded) {
    for (const FrameGroup& group : gathered_) {
      if (auto copied = copy_frames(group); !copied) return copied;
    }
  }
  gathered_.clear();
  gathered_bytes_ = 0;
  for (RecordBlock& part : parts_) part.clear();
  return {};
}

// False if the result is not as it should be: too large, or it does not read back. The records are about to
// be deleted where they stand; nothing is believed that was not seen.
Result<bool> SegmentSealer::encode_gathered() {
  std::string bytes;
  std::vector<FramePlace> frames;
  const bool long_first =
      parts_[0].ordinals.empty() ||
      (!parts_[1].ordinals.empty() && parts_[1].ordinals.front() < parts_[0].ordinals.front());
  for (const bool is_long : {long_first, !long_first}) {
    const RecordBlock& part = parts_[is_long ? 1 : 0];
    if (part.records.empty()) continue;
    const std::size_t begin = bytes.size();
    const FrameInfo info = encoder_.encode(part.records, part.ordinals, is_long, bytes, peers_.get());
    RecordBlock back;
    const auto frame = std::as_bytes(std::span(bytes)).subspan(begin);
    FrameColumns& columns = columns_[is_long ? 1 : 0];
    const bool good = info.bytes <= kMaxFrameBytes && columns.open(frame, peers_) &&
                      columns.materialise_all(back) && back.ordinals == part.ordinals &&
                      back.records == part.records;
    if (!good) return false;
    frames.push_back({info, size_ + begin});
  }
  if (auto written = write(bytes); !written) return written.error();
  for (const FramePlace& frame : frames) summer_.add(columns_[frame.info.long_sessions ? 1 : 0]);
  index_.insert(index_.end(), frames.begin(), frames.end());
  return true;
}

Result<void> SegmentSealer::copy_frames(const FrameGroup& group) {
  std::string bytes;
  for (std::size_t index = 0; index < group.count; ++index) {
    const FramePlace& frame = group.frames[index];
    bytes.resize(frame.info.bytes);
    const auto count = file_->read_at(frame.offset, std::as_writable_bytes(std::span(bytes)));
    if (!count) return count.error();
    index_.push_back({frame.info, size_});
    bytes.resize(*count);
    if (auto written = write(bytes); !written) return written;
    if (columns_[0].open(std::as_bytes(std::span(bytes)))) {
      summer_.add(columns_[0]);
    } else {
      summer_.spoil();
    }
  }
  return {};
}

void SegmentSealer::copy_later(std::uint64_t offset, std::uint64_t bytes) {
  copy_from_ = offset;
  copy_left_ = bytes;
}

Result<void> SegmentSealer::copy_some() {
  std::string bytes(std::min(copy_left_, kCopyStep), '\0');
  const auto count = file_->read_at(copy_from_, std::as_writable_bytes(std::span(bytes)));
  if (!count) return count.error();
  bytes.resize(*count);
  if (auto written = write(bytes); !written) return written;
  copy_from_ += *count;
  copy_left_ = bytes.empty() ? 0 : copy_left_ - *count;
  return {};
}

Result<void> SegmentSealer::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(out_.get(), bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      return system_error("ledger: write " + directory_.path_of(sealed_.temporary()),
                          count < 0 ? errno : ENOSPC);
    }
    bytes.remove_prefix(static_cast<std::size_t>(count));
    size_ += static_cast<std::uint64_t>(count);
  }
  return {};
}

Result<void> SegmentSealer::finish() {
  if (index_.size() > kMaxIndexEntries) {
    return Error{ErrorKind::kMalformed, "ledger: seal " + file_->path() + ": it has too many frames"};
  }
  const std::string footer = encode_footer(sealed_.first, size_, dictionary_, index_);
  if (auto written = write(footer); !written) return written;
  seal_ = seal_of(footer);
  if (::fdatasync(out_.get()) != 0) {
    return system_error("ledger: fdatasync " + directory_.path_of(sealed_.temporary()), errno);
  }
  return {};
}

}  // namespace natsession
