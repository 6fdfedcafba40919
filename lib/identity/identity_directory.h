// The files of the log of assignments, `identity` in a ledger's directory, by name, and opened with care.
// Errors: kUnavailable: it is not there; kPermission; kIo; kMalformed: it is no regular file.
// Threads: one for each object.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "ledger/bytes.h"

namespace natsession {

inline constexpr std::size_t kIdentityHeaderBytes = 64;
inline constexpr std::string_view kIdentityFolder = "identity";

enum class IdentityFileKind : std::uint32_t {
  kOpen = 0,     // NUMBER.open: as it was told
  kCurrent = 1,  // NUMBER.current: what was open behind NUMBER.open, and what was followed until then
  kEnded = 2,    // FIRST-LAST.ended: what ended in FIRST.open to LAST.open
};

struct IdentityFileName {
  IdentityFileKind kind = IdentityFileKind::kOpen;
  std::uint64_t first = 0, last = 0;  // the same but for kEnded
  friend auto operator<=>(const IdentityFileName&, const IdentityFileName&) = default;

  [[nodiscard]] std::string text() const;
  [[nodiscard]] static std::optional<IdentityFileName> parse(std::string_view text);
};

// The header of every file of these.
[[nodiscard]] std::string identity_header(const IdentityFileName& name);
// Errors: kMalformed; kUnavailable if a newer program wrote it.
[[nodiscard]] Result<void> check_identity_header(std::span<const std::byte> bytes,
                                                 const IdentityFileName& name, const std::string& path);

// The files that count, in the order in which what they say was told.
struct IdentityFiles {
  std::optional<IdentityFileName> current;
  std::vector<IdentityFileName> ended;
  std::vector<IdentityFileName> open;  // behind `current`
  std::vector<std::string> leftovers;  // names of what no longer counts, or never did
  bool current_lost = false;           // there must be one, and there is none
};

class IdentityDirectory {
 public:
  [[nodiscard]] static Result<IdentityDirectory> open(const std::string& ledger);
  // Makes it, 0700, if it is absent: who else may read it, its mode and group say, which are left alone.
  [[nodiscard]] static Result<IdentityDirectory> make(const std::string& ledger);

  [[nodiscard]] Result<IdentityFiles> list() const;
  [[nodiscard]] Result<UniqueFd> open_file(const std::string& name, int flags) const;
  // A new one under this name, empty, which belongs to whom the directory does.
  [[nodiscard]] Result<UniqueFd> make_file(const std::string& name) const;
  // A small text, replaced as a whole; on the disk when it returns.
  [[nodiscard]] Result<void> replace(const std::string& name, std::string_view text) const;
  // Of a text that is longer than `limit`, no more than that.
  [[nodiscard]] Result<std::string> read(const std::string& name, std::size_t limit) const;
  [[nodiscard]] Result<void> rename(const std::string& from, const std::string& to) const;
  [[nodiscard]] Result<void> remove(const std::string& name) const;  // no error if it is not there
  [[nodiscard]] Result<void> sync() const;
  [[nodiscard]] Result<std::vector<std::string>> names() const;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string path_of(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
  UniqueFd fd_;
};

}  // namespace natsession
