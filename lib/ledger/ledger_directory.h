// LedgerDirectory: the names in a ledger's directory, and its files opened with care: what stands there may
// have been prepared by somebody else, so nothing but a regular file is opened, and no symbolic link is
// followed below the directory itself.
// Threads: one for each object.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "ledger/frame.h"

namespace natsession {

// No frame holds an ordinal beyond, and no cursor stands behind kMaxCursor: so what a writer takes up after a
// damaged ledger can go on for longer than any machine lives.
inline constexpr Ordinal kMaxOrdinal = Ordinal{1} << 62;
inline constexpr Ordinal kMaxCursor = Ordinal{1} << 61;

// A segment is called after its first ordinal: 16 hexadecimal digits and ".open" or ".sealed".
struct SegmentName {
  Ordinal first = 0;
  bool sealed = false;
  friend bool operator==(const SegmentName&, const SegmentName&) = default;

  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string temporary() const { return text() + ".tmp"; }
  // The file beside the sealed one that has the sums of its records.
  [[nodiscard]] std::string sums() const;
  [[nodiscard]] static std::optional<SegmentName> parse(std::string_view text);
};

// Why a ledger is not written to, where a file in `directory` is `newer` than what this program knows: with
// what can be done about it. Nothing of it is damaged, so nothing is to be removed.
[[nodiscard]] Error refused_as_newer(Error newer, const std::string& directory);

class LedgerDirectory {
 public:
  // No more names are looked at in one directory.
  static constexpr std::size_t kMaxNames = std::size_t{1} << 20;

  // Errors: kUnavailable if there is no ledger at `path`; kPermission, kIo.
  [[nodiscard]] static Result<LedgerDirectory> open(const std::string& path);
  // Makes what is absent: `path` itself (not its parents), 0750, and the directories in it.
  // Errors: kPermission, kIo.
  [[nodiscard]] static Result<LedgerDirectory> make(const std::string& path);

  // By first ordinal. Of a segment that is there open and sealed, only the sealed file. If the directory was
  // removed, the one is taken that is at its path by now.
  // Errors: kIo, kUnavailable if there is none.
  [[nodiscard]] Result<std::vector<SegmentName>> segments();
  // As before, but looks at the disk only if the directory changed since the last call.
  [[nodiscard]] Result<const std::vector<SegmentName>*> known_segments();
  void forget() { listed_ = false; }

  // What a crash left: files that were being written, open ones that are there sealed too, and sums without a
  // segment. File names.
  [[nodiscard]] Result<std::vector<std::string>> leftovers();

  // Opens a file in segments/. `flags` as open(2) takes them.
  // Errors: kUnavailable if it is not there (or there already, with O_EXCL), kMalformed if it is no regular
  // file;
  //         kPermission, kIo.
  [[nodiscard]] Result<UniqueFd> open_file(const std::string& name, int flags, mode_t mode = 0640) const;
  [[nodiscard]] Result<void> rename(const std::string& from, const std::string& to) const;
  // No error if it is not there.
  [[nodiscard]] Result<void> remove(const std::string& name) const;
  // Names that were made, renamed or removed are on the disk then.
  [[nodiscard]] Result<void> sync() const;

  // Somebody removed it: what is made in it, nobody can ever read.
  [[nodiscard]] bool removed() const;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string path_of(const std::string& name) const { return path_ + "/segments/" + name; }
  [[nodiscard]] int segments_fd() const { return segments_.get(); }

 private:
  LedgerDirectory() = default;

  std::string path_;
  UniqueFd segments_;
  bool listed_ = false;
  std::int64_t listed_mtime_ns_ = 0;
  std::vector<SegmentName> names_;
};

// Opens a directory below the ledger's: not through a symbolic link.
// Errors: kUnavailable if there is none.
[[nodiscard]] Result<UniqueFd> open_directory(const std::string& path, bool follow_link);

// The names in a directory, at most LedgerDirectory::kMaxNames, in no order.
[[nodiscard]] Result<std::vector<std::string>> names_in(int directory_fd, const std::string& path);

// Opens a regular file by its name in a directory; errors as LedgerDirectory::open_file().
[[nodiscard]] Result<UniqueFd> open_regular(int directory_fd, const std::string& name,
                                            const std::string& path, int flags, mode_t mode);

// LedgerLock: that there is one writer, and whether and when the one before it closed the ledger in order. It
// stands in the file LOCK: the kernel's lock on it, and lines of text: "pid 4711", "state open" or "state
// closed", and behind the latter "until 1795263662108", until when there are records of all that happened, in
// ms, and "boot 1795260000000 ID", when that boot began by the clock of then, and which it was.
// Threads: one.
class LedgerLock {
 public:
  // Errors: kUnavailable if another writer has it, naming its pid; kMalformed if LOCK is no regular file;
  // kPermission, kIo.
  [[nodiscard]] static Result<LedgerLock> take(const std::string& directory);

  // Who has it, without taking it; nullopt if nobody does, or there is no LOCK yet. 0: it does not say who.
  // Errors: kPermission, kIo.
  [[nodiscard]] static Result<std::optional<pid_t>> holder(const std::string& directory);

  // How the last writer left the ledger; not closed also when there was none.
  [[nodiscard]] bool was_closed() const { return was_closed_; }
  // Until when it logged, if it closed the ledger and said so.
  [[nodiscard]] std::optional<UnixMs> closed_until() const { return closed_until_; }
  [[nodiscard]] const Booted& closed_booted() const { return closed_booted_; }  // not known: without an id

  // Somebody removed the file: another writer would not see that it is held.
  [[nodiscard]] bool removed() const;

  // On the disk when it returns. Held: names this process; the state stays as it was found.
  [[nodiscard]] Result<void> mark_held();
  [[nodiscard]] Result<void> mark_open() { return mark("open"); }
  [[nodiscard]] Result<void> mark_closed(UnixMs until, const Booted& booted);

 private:
  LedgerLock(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  [[nodiscard]] Result<void> mark(std::string_view state);

  UniqueFd fd_;
  std::string path_;
  bool was_closed_ = false;
  std::optional<UnixMs> closed_until_;
  Booted closed_booted_;
};

}  // namespace natsession
