#include "identity/identity_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "ledger/bytes.h"
#include "ledger/crc32c.h"

namespace natsession {
namespace {

constexpr std::string_view kIdentityEnd = "NSIEND\r\n";
constexpr std::uint16_t kIdentityTrailerVersion = 1;
constexpr std::size_t kIdentityTrailerBytes = 160;
constexpr std::size_t kTrailerFirstAt = 16;
constexpr std::size_t kTrailerLastAt = 24;
constexpr std::size_t kTrailerSpansEndAt = 32;
constexpr std::size_t kTrailerBlocksEndAt = 40;
constexpr std::size_t kTrailerRootAt = 48;
constexpr std::size_t kTrailerPagesAt = 56;
constexpr std::size_t kTrailerRootChecksumAt = 60;
constexpr std::size_t kTrailerAssignmentsAt = 64;
constexpr std::size_t kTrailerBlocksAt = 72;
constexpr std::size_t kTrailerEarliestAt = 80;
constexpr std::size_t kTrailerLatestAt = 88;
constexpr std::size_t kTrailerOldestEndAt = 96;
constexpr std::size_t kTrailerLostUntilAt = 104;
constexpr std::size_t kTrailerLostAt = 112;
constexpr std::size_t kTrailerLengthsV4At = 120;
constexpr std::size_t kTrailerLengthsV6At = 128;
constexpr std::size_t kTrailerSumAt = 156;

constexpr std::size_t kEntryBytes = 32;
constexpr std::size_t kPageEntries = 128;
constexpr std::uint32_t kMaxPages = 1U << 22;  // 128 MiB of root: more than any file of this log has

constexpr std::size_t kWindowBytes = std::size_t{256} << 10;
constexpr std::size_t kAssignmentsOfBlock = 512;
constexpr std::size_t kBytesOfBlock = std::size_t{256} << 10;
constexpr std::size_t kSpansOfBlock = 4096;
constexpr int kSealLevel = 3;

// Up to `count` bytes; fewer at the end of the file, or where the disk cannot read them.
std::size_t read_some(int fd, std::byte* to, std::size_t count, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < count) {
    const ssize_t got = ::pread(fd, to + done, count - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

std::span<const std::byte> identity_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

void append_entry(const IpAddress& address, std::uint64_t offset, std::uint32_t length,
                  std::uint32_t checksum, std::string& out) {
  out.append(reinterpret_cast<const char*>(address.bytes().data()), 16);
  append_little_endian(offset, out);
  append_little_endian(length, out);
  append_little_endian(checksum, out);
}

}  // namespace

void add_damage(std::vector<IdentityDamage>& all, IdentityDamage one) {
  if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(std::move(one));
}

Result<void> write_identity(int fd, std::string_view bytes, std::uint64_t offset, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return system_error("identity: write " + path, count < 0 ? errno : ENOSPC);
    bytes.remove_prefix(static_cast<std::size_t>(count));
    offset += static_cast<std::size_t>(count);
  }
  return {};
}

std::span<const std::byte> BlockWalker::bytes(std::uint64_t at, std::size_t count) {
  count = static_cast<std::size_t>(std::min<std::uint64_t>(count, at < end_ ? end_ - at : 0));
  if (at < window_at_ || at + count > window_at_ + window_.size()) {
    window_.resize(
        static_cast<std::size_t>(std::min<std::uint64_t>(std::max(count, kWindowBytes), end_ - at)));
    window_at_ = at;
    window_.resize(read_some(fd_, window_.data(), window_.size(), at));
  }
  const std::size_t begin = static_cast<std::size_t>(at - window_at_);
  return std::span(window_).subspan(begin, std::min(count, window_.size() - begin));
}

std::uint64_t BlockWalker::next_header(std::uint64_t from) {
  for (std::uint64_t at = from; at + kBlockHeaderBytes <= end_;) {
    const auto part = bytes(at, kWindowBytes);
    if (part.size() < kBlockHeaderBytes) {
      // A sector that cannot be read: what is behind it may be.
      constexpr std::uint64_t kSector = 4096;
      at = (at / kSector + 1) * kSector;
      continue;
    }
    const std::size_t last = part.size() - kBlockHeaderBytes;
    for (std::size_t i = 0; i <= last; ++i) {
      if (part[i] == std::byte{'N'} && read_block_header(part.subspan(i))) return at + i;
    }
    at += last + 1;
  }
  return end_;
}

BlockWalker::Step BlockWalker::next() {
  header_.reset();
  body_ = {};
  offset_ = at_;
  if (at_ >= end_) return Step::kEnd;
  header_ = read_block_header(bytes(at_, kBlockHeaderBytes));
  if (header_) {
    const std::uint64_t behind = at_ + kBlockHeaderBytes + header_->bytes;
    const auto whole = bytes(at_, kBlockHeaderBytes + header_->bytes);
    const bool all = whole.size() == kBlockHeaderBytes + header_->bytes;
    if (all && crc32c(whole.subspan(kBlockHeaderBytes)) == header_->checksum) {
      body_ = whole.subspan(kBlockHeaderBytes);
      at_ = whole_ = behind;
      return header_->newer ? Step::kNewer : Step::kBlock;
    }
  }
  const std::uint64_t found = next_header(at_ + 1);
  if (found >= end_) {  // nothing whole stands behind it
    at_ = end_;
    return Step::kEnd;
  }
  at_ = found;
  return Step::kDamage;
}

std::vector<SealedFile::Entry> SealedFile::entries_of(std::span<const std::byte> bytes) {
  std::vector<Entry> entries(bytes.size() / kEntryBytes);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto one = bytes.subspan(i * kEntryBytes, kEntryBytes);
    std::array<std::uint8_t, 16> address{};
    std::memcpy(address.data(), one.data(), address.size());
    entries[i] = {IpAddress::from_v6(address), get_le<std::uint64_t>(one, 16), get_le<std::uint32_t>(one, 24),
                  get_le<std::uint32_t>(one, 28)};
  }
  return entries;
}

bool SealedFile::read_index() {
  spans_end_ = kIdentityHeaderBytes;
  blocks_end_ = size_;
  if (size_ < kIdentityHeaderBytes + kIdentityTrailerBytes) return false;
  std::array<std::byte, kIdentityTrailerBytes> bytes{};
  if (read_some(fd_.get(), bytes.data(), bytes.size(), size_ - kIdentityTrailerBytes) != bytes.size())
    return false;
  const std::span<const std::byte> trailer(bytes);
  if (std::memcmp(bytes.data(), kIdentityEnd.data(), kIdentityEnd.size()) != 0 ||
      get_le<std::uint32_t>(trailer, kTrailerSumAt) != crc32c(trailer.first(kTrailerSumAt)) ||
      get_le<std::uint16_t>(trailer, kVersionAt) > kIdentityTrailerVersion ||
      get_le<std::uint32_t>(trailer, kRequiredAt) != 0) {
    return false;
  }
  const auto spans_end = get_le<std::uint64_t>(trailer, kTrailerSpansEndAt);
  const auto blocks_end = get_le<std::uint64_t>(trailer, kTrailerBlocksEndAt);
  const auto root_at = get_le<std::uint64_t>(trailer, kTrailerRootAt);
  const auto pages = get_le<std::uint32_t>(trailer, kTrailerPagesAt);
  const std::uint64_t root_bytes = std::uint64_t{pages} * kEntryBytes;
  if (get_le<std::uint64_t>(trailer, kTrailerFirstAt) != name_.first ||
      get_le<std::uint64_t>(trailer, kTrailerLastAt) != name_.last || pages > kMaxPages ||
      spans_end < kIdentityHeaderBytes || spans_end > blocks_end || blocks_end > root_at ||
      root_at > size_ - kIdentityTrailerBytes || root_bytes != size_ - kIdentityTrailerBytes - root_at) {
    return false;
  }
  std::vector<std::byte> root(static_cast<std::size_t>(root_bytes));
  if (read_some(fd_.get(), root.data(), root.size(), root_at) != root.size() ||
      crc32c(root) != get_le<std::uint32_t>(trailer, kTrailerRootChecksumAt)) {
    return false;
  }
  root_ = entries_of(root);
  spans_end_ = spans_end;
  blocks_end_ = blocks_end;
  bounds_.assignments = get_le<std::uint64_t>(trailer, kTrailerAssignmentsAt);
  bounds_.blocks = get_le<std::uint64_t>(trailer, kTrailerBlocksAt);
  bounds_.earliest = get_time(trailer, kTrailerEarliestAt);
  bounds_.latest = get_time(trailer, kTrailerLatestAt);
  bounds_.oldest_end = get_time(trailer, kTrailerOldestEndAt);
  bounds_.lost = get_le<std::uint32_t>(trailer, kTrailerLostAt);
  bounds_.lost_until = get_time(trailer, kTrailerLostUntilAt);
  bounds_.lengths_v4 = get_le<std::uint64_t>(trailer, kTrailerLengthsV4At);
  for (std::size_t i = 0; i < bounds_.lengths_v6.size(); ++i)
    bounds_.lengths_v6[i] = get_le<std::uint64_t>(trailer, kTrailerLengthsV6At + 8 * i);
  return true;
}

Result<std::unique_ptr<SealedFile>> SealedFile::open(const IdentityDirectory& directory,
                                                     const IdentityFileName& name) {
  auto fd = directory.open_file(name.text(), O_RDONLY);
  if (!fd) return fd.error();
  std::unique_ptr<SealedFile> file(new SealedFile);
  file->fd_ = std::move(*fd);
  file->path_ = directory.path_of(name.text());
  file->name_ = name;
  struct stat status {};
  if (::fstat(file->fd_.get(), &status) != 0) return system_error("identity: stat " + file->path_, errno);
  file->size_ = static_cast<std::uint64_t>(status.st_size);
  std::array<std::byte, kIdentityHeaderBytes> header{};
  const std::size_t count = read_some(file->fd_.get(), header.data(), header.size(), 0);
  // A header that is damaged says nothing that the name does not.
  if (const auto checked = check_identity_header(std::span(header).first(count), name, file->path_);
      !checked && checked.error().kind == ErrorKind::kUnavailable) {
    return checked.error();
  }
  file->indexed_ = file->read_index();
  return file;
}

void SealedFile::tell_damage(std::vector<IdentityDamage>& damage) const {
  if (!indexed_) {
    add_damage(damage,
               {path_ + ": its index is damaged: something may be missing", UnixMs::min(), UnixMs::max()});
  }
  if (bounds_.lost > 0) {
    add_damage(damage,
               {path_ + ": " + std::to_string(bounds_.lost) + " blocks could not be read when it was written",
                UnixMs::min(), bounds_.lost_until});
  }
}

std::vector<SourceSpan> SealedFile::spans(std::vector<IdentityDamage>& damage) const {
  std::vector<SourceSpan> spans;
  BlockWalker walker(fd_.get(), kIdentityHeaderBytes, indexed_ ? spans_end_ : size_);
  AssignmentBlock block;
  for (;;) {
    const auto step = walker.next();
    if (step == BlockWalker::Step::kEnd) break;
    if (step != BlockWalker::Step::kBlock || !block.decode(*walker.header(), walker.body())) continue;
    spans.insert(spans.end(), block.spans().begin(), block.spans().end());
  }
  // Less is claimed then, not more; it is told all the same.
  if (indexed_ && walker.torn()) add_damage(damage, {path_ + ": what was followed cannot be read"});
  return spans;
}

const std::vector<SealedFile::Entry>* SealedFile::page(std::size_t number) {
  if (number == page_number_) return &page_;
  const Entry& entry = root_[number];
  if (entry.length > kPageEntries) return nullptr;
  std::vector<std::byte> bytes(entry.length * kEntryBytes);
  if (read_some(fd_.get(), bytes.data(), bytes.size(), entry.offset) != bytes.size() ||
      crc32c(bytes) != entry.checksum) {
    return nullptr;
  }
  page_ = entries_of(bytes);
  page_number_ = number;
  return &page_;
}

const AssignmentBlock* SealedFile::block(const Entry& entry, std::vector<IdentityDamage>& damage) {
  if (entry.offset == block_offset_) return &block_;
  block_offset_ = 0;
  std::string why = "cannot be read";
  UnixMs from = UnixMs::min(), until = UnixMs::max();
  if (entry.length >= kBlockHeaderBytes && entry.length <= kBlockHeaderBytes + kMaxBlockBytes) {
    std::vector<std::byte> bytes(entry.length);
    bytes.resize(read_some(fd_.get(), bytes.data(), bytes.size(), entry.offset));
    const auto header = read_block_header(bytes);
    if (header) {
      if (name_.kind == IdentityFileKind::kEnded) from = header->earliest, until = header->latest;
      const auto decoded =
          block_.decode(*header, std::span<const std::byte>(bytes).subspan(kBlockHeaderBytes));
      if (decoded) {
        block_offset_ = entry.offset;
        return &block_;
      }
      if (header->newer) why = "was written by a newer program";
    }
  }
  add_damage(damage, {path_ + ": a block at byte " + std::to_string(entry.offset) + " " + why, from, until});
  return nullptr;
}

void SealedFile::find(const Prefix& prefix, const std::function<void(const AssignmentView&)>& take,
                      std::vector<IdentityDamage>& damage) {
  if (!indexed_)
    return find_by_walk([&](const AssignmentView& one) { return one.prefix == prefix; }, take, damage);
  const IpAddress key = prefix.lowest();
  const auto before = [](const Entry& entry, const IpAddress& address) { return entry.address < address; };
  // The last that begins before it may have it at its end.
  const auto first_of = [&](const std::vector<Entry>& entries) {
    const auto at = std::lower_bound(entries.begin(), entries.end(), key, before) - entries.begin();
    return static_cast<std::size_t>(at > 0 ? at - 1 : 0);
  };
  for (std::size_t i = first_of(root_); i < root_.size() && root_[i].address <= key; ++i) {
    const std::vector<Entry>* const entries = page(i);
    if (entries == nullptr) {
      add_damage(damage, {path_ + ": a part of its index is damaged: something may be missing"});
      return find_by_walk([&](const AssignmentView& one) { return one.prefix == prefix; }, take, damage);
    }
    for (std::size_t k = first_of(*entries); k < entries->size() && (*entries)[k].address <= key; ++k) {
      const AssignmentBlock* const found = block((*entries)[k], damage);
      if (found == nullptr) continue;
      const auto& all = found->assignments();
      auto at =
          std::lower_bound(all.begin(), all.end(), prefix,
                           [](const AssignmentView& one, const Prefix& key) { return one.prefix < key; });
      for (; at != all.end() && at->prefix == prefix; ++at) take(*at);
    }
  }
}

void SealedFile::find(const IpAddress& address, const std::function<void(const AssignmentView&)>& take,
                      std::vector<IdentityDamage>& damage) {
  if (!indexed_)
    return find_by_walk([&](const AssignmentView& one) { return one.prefix.contains(address); }, take,
                        damage);
  for (unsigned length = address.is_v4() ? 33 : 129; length-- > 0;) {
    const bool there = address.is_v4() ? (bounds_.lengths_v4 >> length & 1U) != 0
                                       : (bounds_.lengths_v6[length / 64] >> length % 64 & 1U) != 0;
    if (there) find(Prefix::of(address, length), take, damage);
  }
}

void SealedFile::find_by_walk(const std::function<bool(const AssignmentView&)>& wanted,
                              const std::function<void(const AssignmentView&)>& take,
                              std::vector<IdentityDamage>& damage) const {
  const auto all = stream();
  for (; all->get() != nullptr; all->next()) {
    if (wanted(*all->get())) take(*all->get());
  }
  if (all->lost() > 0) {
    add_damage(damage, {path_ + ": " + std::to_string(all->lost()) + " blocks cannot be read"});
  }
}

namespace {

class SealedStream final : public AssignmentStream {
 public:
  SealedStream(int fd, std::uint64_t begin, std::uint64_t end, std::string having)
      : walker_(fd, begin, end), having_(std::move(having)) {
    read_block();
  }
  [[nodiscard]] const AssignmentView* get() const override {
    return at_ < block_.assignments().size() ? &block_.assignments()[at_] : nullptr;
  }
  void next() override {
    if (++at_ >= block_.assignments().size()) read_block();
  }
  [[nodiscard]] std::uint32_t lost() const override { return lost_; }

 private:
  void read_block() {
    at_ = 0;
    for (;;) {
      const auto step = walker_.next();
      if (step == BlockWalker::Step::kBlock && block_.decode(*walker_.header(), walker_.body(), having_)) {
        if (!block_.assignments().empty()) return;
        continue;
      }
      if (step == BlockWalker::Step::kEnd) {
        if (walker_.torn() && !ended_) ++lost_;
        ended_ = true;
        at_ = SIZE_MAX;
        return;
      }
      ++lost_;
    }
  }

  BlockWalker walker_;
  std::string having_;
  AssignmentBlock block_;
  std::size_t at_ = 0;
  std::uint32_t lost_ = 0;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<AssignmentStream> SealedFile::stream(std::string having) const {
  return std::make_unique<SealedStream>(fd_.get(), spans_end_, blocks_end_, std::move(having));
}

Result<std::unique_ptr<SealedWriter>> SealedWriter::make(const IdentityDirectory& directory,
                                                         const IdentityFileName& name) {
  auto fd = directory.make_file(name.text() + ".tmp");
  if (!fd) return fd.error();
  std::unique_ptr<SealedWriter> writer(new SealedWriter(directory, name, std::move(*fd)));
  writer->buffer_ = identity_header(name);
  return writer;
}

SealedWriter::~SealedWriter() {
  if (!done_) static_cast<void>(directory_.remove(name_.text() + ".tmp"));
}

Result<void> SealedWriter::flush() {
  auto written = write_identity(fd_.get(), buffer_, written_, directory_.path_of(name_.text() + ".tmp"));
  if (!written) return written;
  written_ += buffer_.size();
  buffer_.clear();
  return {};
}

Result<void> SealedWriter::end_block() {
  if (encoder_.empty()) return {};
  const std::uint64_t at = written_ + buffer_.size();
  const bool indexed = encoder_.assignments() > 0;
  encoder_.finish(/*hashed=*/false, kSealLevel, buffer_);
  if (indexed) {
    append_entry(first_, at, static_cast<std::uint32_t>(written_ + buffer_.size() - at), 0, entries_);
    ++bounds_.blocks;
  }
  return buffer_.size() >= kWindowBytes ? flush() : Result<void>();
}

void SealedWriter::add(const SourceSpan& span) {
  encoder_.add(span);
  if (++spans_ % kSpansOfBlock == 0) encoder_.finish(false, kSealLevel, buffer_);
}

Result<void> SealedWriter::add(const AssignmentView& a) {
  if (spans_end_ == 0) {
    if (auto ended = end_block(); !ended) return ended;
    spans_end_ = written_ + buffer_.size();
  }
  if (encoder_.assignments() >= kAssignmentsOfBlock || encoder_.size() >= kBytesOfBlock) {
    if (auto ended = end_block(); !ended) return ended;
  }
  if (encoder_.empty()) first_ = a.prefix.lowest();
  encoder_.add(a);
  ++bounds_.assignments;
  bounds_.earliest = std::min(bounds_.earliest, std::min(a.from_earliest, a.from));
  const UnixMs end = a.until ? std::max(a.until_latest.value_or(*a.until), *a.until) : a.from;
  bounds_.latest = std::max(bounds_.latest, end);
  if (a.until) bounds_.oldest_end = std::min(bounds_.oldest_end, end);
  const unsigned length = a.prefix.length();
  if (a.prefix.lowest().is_v4())
    bounds_.lengths_v4 |= std::uint64_t{1} << length;
  else
    bounds_.lengths_v6[length / 64] |= std::uint64_t{1} << length % 64;
  return {};
}

Result<void> SealedWriter::finish(std::uint32_t lost, UnixMs lost_until) {
  if (auto ended = end_block(); !ended) return ended;
  const std::uint64_t blocks_end = written_ + buffer_.size();
  if (spans_end_ == 0) spans_end_ = blocks_end;
  std::string root;
  for (std::size_t at = 0; at < entries_.size(); at += kPageEntries * kEntryBytes) {
    const std::string_view page = std::string_view(entries_).substr(at, kPageEntries * kEntryBytes);
    root.append(page.substr(0, 16));
    append_little_endian(std::uint64_t{blocks_end + at}, root);
    append_little_endian(static_cast<std::uint32_t>(page.size() / kEntryBytes), root);
    append_little_endian(crc32c(identity_bytes(page)), root);
  }
  std::string text(kIdentityTrailerBytes, '\0');
  const std::span<std::byte> trailer(reinterpret_cast<std::byte*>(text.data()), text.size());
  std::memcpy(trailer.data(), kIdentityEnd.data(), kIdentityEnd.size());
  put_le(trailer, kVersionAt, kIdentityTrailerVersion);
  put_le(trailer, kLengthAt, static_cast<std::uint16_t>(kIdentityTrailerBytes));
  put_le(trailer, kTrailerFirstAt, name_.first);
  put_le(trailer, kTrailerLastAt, name_.last);
  put_le(trailer, kTrailerSpansEndAt, spans_end_);
  put_le(trailer, kTrailerBlocksEndAt, blocks_end);
  put_le(trailer, kTrailerRootAt, std::uint64_t{blocks_end + entries_.size()});
  put_le(trailer, kTrailerPagesAt, static_cast<std::uint32_t>(root.size() / kEntryBytes));
  put_le(trailer, kTrailerRootChecksumAt, crc32c(identity_bytes(root)));
  put_le(trailer, kTrailerAssignmentsAt, bounds_.assignments);
  put_le(trailer, kTrailerBlocksAt, bounds_.blocks);
  put_time(trailer, kTrailerEarliestAt, bounds_.earliest);
  put_time(trailer, kTrailerLatestAt, bounds_.latest);
  put_time(trailer, kTrailerOldestEndAt, bounds_.oldest_end);
  put_time(trailer, kTrailerLostUntilAt, lost_until);
  put_le(trailer, kTrailerLostAt, lost);
  put_le(trailer, kTrailerLengthsV4At, bounds_.lengths_v4);
  for (std::size_t i = 0; i < bounds_.lengths_v6.size(); ++i)
    put_le(trailer, kTrailerLengthsV6At + 8 * i, bounds_.lengths_v6[i]);
  put_le(trailer, kTrailerSumAt, crc32c(trailer.first(kTrailerSumAt)));
  buffer_ += entries_;
  buffer_ += root;
  buffer_ += text;
  if (auto flushed = flush(); !flushed) return flushed;
  const std::string temporary = name_.text() + ".tmp";
  if (::fsync(fd_.get()) != 0) return system_error("identity: fsync " + directory_.path_of(temporary), errno);
  if (auto renamed = directory_.rename(temporary, name_.text()); !renamed) return renamed;
  done_ = true;
  return {};
}

}  // namespace natsession
