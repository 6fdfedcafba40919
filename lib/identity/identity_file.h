// The bytes of the log's files: blocks one behind the other, of one that is put in order with an index.
// FORMAT.md has them.
// Threads: one for each object.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "identity/assignment_block.h"
#include "identity/identity_directory.h"

namespace natsession {

// Something that the log cannot tell any more: an answer about that time may lack something.
struct IdentityDamage {
  std::string what;  // with the file
  UnixMs from = UnixMs::min(), until = UnixMs::max();
  friend bool operator==(const IdentityDamage&, const IdentityDamage&) = default;
};
// Takes it once.
void add_damage(std::vector<IdentityDamage>& all, IdentityDamage one);

// Walks over blocks. Where none stands it goes on at the next whole one.
class BlockWalker {
 public:
  BlockWalker(int fd, std::uint64_t begin, std::uint64_t end)
      : fd_(fd), at_(begin), end_(end), whole_(begin) {}

  enum class Step : std::uint8_t {
    kBlock,   // header() and body(), whose checksum holds
    kNewer,   // header(): a newer program wrote it
    kDamage,  // something that is no block; header() where that is known
    kEnd,     // whole_until(): behind the last block; what is between there and the end is none
  };
  Step next();
  [[nodiscard]] const BlockHeader* header() const { return header_ ? &*header_ : nullptr; }
  [[nodiscard]] std::span<const std::byte> body() const { return body_; }
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  [[nodiscard]] std::uint64_t whole_until() const { return whole_; }
  [[nodiscard]] bool torn() const { return whole_ < end_; }

 private:
  std::span<const std::byte> bytes(std::uint64_t at, std::size_t count);
  [[nodiscard]] std::uint64_t next_header(std::uint64_t from);

  int fd_;
  std::uint64_t at_, end_, whole_, offset_ = 0;
  std::optional<BlockHeader> header_;
  std::span<const std::byte> body_;
  std::vector<std::byte> window_;
  std::uint64_t window_at_ = 0;
};

// What a file of the log that is put in order says of itself.
struct SealedBounds {
  std::uint64_t assignments = 0, blocks = 0;
  UnixMs earliest = UnixMs::max(), latest = UnixMs::min();  // of its assignments
  UnixMs oldest_end = UnixMs::max();                        // the least until_latest
  std::uint32_t lost = 0;                                   // blocks that could not be read when it was made
  UnixMs lost_until = UnixMs::min();                        // what these told was before
  std::uint64_t lengths_v4 = 0;                             // bit n: it has a prefix of n bits
  std::array<std::uint64_t, 3> lengths_v6{};
};

// Assignments in the order of compare_names().
class AssignmentStream {
 public:
  virtual ~AssignmentStream() = default;
  // Null at the end. Good until the next call of next().
  [[nodiscard]] virtual const AssignmentView* get() const = 0;
  virtual void next() = 0;
  [[nodiscard]] virtual std::uint32_t lost() const { return 0; }  // blocks, so far
};

class SealedFile {
 public:
  // Errors: kUnavailable: it is not there, or a newer program wrote it; kPermission, kIo.
  [[nodiscard]] static Result<std::unique_ptr<SealedFile>> open(const IdentityDirectory& directory,
                                                                const IdentityFileName& name);

  [[nodiscard]] const IdentityFileName& name() const { return name_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const SealedBounds& bounds() const { return bounds_; }
  // Its index can be read; else all of it is read for every question, and bounds() say nothing.
  [[nodiscard]] bool indexed() const { return indexed_; }
  [[nodiscard]] std::uint64_t bytes() const { return size_; }

  // In the order in which they stand.
  [[nodiscard]] std::vector<SourceSpan> spans(std::vector<IdentityDamage>& damage) const;
  // All of exactly this prefix.
  void find(const Prefix& prefix, const std::function<void(const AssignmentView&)>& take,
            std::vector<IdentityDamage>& damage);
  // All whose prefix has the address.
  void find(const IpAddress& address, const std::function<void(const AssignmentView&)>& take,
            std::vector<IdentityDamage>& damage);
  // All that there is; `having`: blocks without that text are passed over. The file must outlive it.
  [[nodiscard]] std::unique_ptr<AssignmentStream> stream(std::string having = {}) const;
  // What was lost when it was made, and that it has no index: once for each file.
  void tell_damage(std::vector<IdentityDamage>& damage) const;

 private:
  struct Entry {
    IpAddress address;
    std::uint64_t offset = 0;
    std::uint32_t length = 0;    // of a block with its header; of a page: its entries
    std::uint32_t checksum = 0;  // of a page
  };
  SealedFile() = default;
  bool read_index();
  const std::vector<Entry>* page(std::size_t number);
  const AssignmentBlock* block(const Entry& entry, std::vector<IdentityDamage>& damage);
  void find_by_walk(const std::function<bool(const AssignmentView&)>& wanted,
                    const std::function<void(const AssignmentView&)>& take,
                    std::vector<IdentityDamage>& damage) const;
  static std::vector<Entry> entries_of(std::span<const std::byte> bytes);

  UniqueFd fd_;
  std::string path_;
  IdentityFileName name_;
  std::uint64_t size_ = 0, spans_end_ = 0, blocks_end_ = 0;
  bool indexed_ = false;
  SealedBounds bounds_;
  std::vector<Entry> root_;
  // The last page and the last block that were read: questions come in the order of addresses.
  std::size_t page_number_ = SIZE_MAX;
  std::vector<Entry> page_;
  std::uint64_t block_offset_ = 0;  // 0: none
  AssignmentBlock block_;
};

// Writes a file that is put in order: under another name until it is whole and on the disk.
class SealedWriter {
 public:
  [[nodiscard]] static Result<std::unique_ptr<SealedWriter>> make(const IdentityDirectory& directory,
                                                                  const IdentityFileName& name);
  ~SealedWriter();  // removes what was not finished
  SealedWriter(const SealedWriter&) = delete;
  SealedWriter& operator=(const SealedWriter&) = delete;

  // Before all assignments.
  void add(const SourceSpan& span);
  // In the order of compare_names().
  // Errors: kIo with the path.
  Result<void> add(const AssignmentView& assignment);
  // Renames it; the directory is not flushed.
  // Errors: kIo.
  Result<void> finish(std::uint32_t lost, UnixMs lost_until);
  [[nodiscard]] std::uint64_t assignments() const { return bounds_.assignments; }

 private:
  SealedWriter(const IdentityDirectory& directory, const IdentityFileName& name, UniqueFd fd)
      : directory_(directory), name_(name), fd_(std::move(fd)) {}
  Result<void> end_block();
  Result<void> flush();

  const IdentityDirectory& directory_;
  IdentityFileName name_;
  UniqueFd fd_;
  BlockEncoder encoder_;
  std::string buffer_;         // what is not written yet
  std::uint64_t written_ = 0;  // before it
  std::uint64_t spans_end_ = 0;
  IpAddress first_;  // of the block
  std::string entries_;
  std::size_t spans_ = 0;
  SealedBounds bounds_;
  bool done_ = false;
};

// Errors: kIo with the path; a part may have been written.
[[nodiscard]] Result<void> write_identity(int fd, std::string_view bytes, std::uint64_t offset,
                                          const std::string& path);

}  // namespace natsession
