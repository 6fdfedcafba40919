#include "identity/identity_directory.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "ledger/crc32c.h"
#include "ledger/ledger_directory.h"

namespace natsession {
namespace {

constexpr std::string_view kIdentityMagic = "NSIDNT\r\n";
constexpr std::uint16_t kIdentityVersion = 1;
constexpr std::size_t kIdentityKindAt = 16;
constexpr std::size_t kIdentityFirstAt = 24;
constexpr std::size_t kIdentityLastAt = 32;
constexpr std::size_t kIdentityChecksumAt = 60;
constexpr std::size_t kNameDigits = 16;
constexpr std::string_view kUnfinished = ".tmp";

std::string_view suffix_of(IdentityFileKind kind) {
  return kind == IdentityFileKind::kOpen      ? ".open"
         : kind == IdentityFileKind::kCurrent ? ".current"
                                              : ".ended";
}

std::string name_digits(std::uint64_t number) {
  char text[kNameDigits + 1];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(number));
  return text;
}

bool take_digits(std::string_view& text, std::uint64_t& number) {
  if (text.size() < kNameDigits) return false;
  const char* const end = text.data() + kNameDigits;
  const auto [rest, error] = std::from_chars(text.data(), end, number, 16);
  if (error != std::errc() || rest != end || number > kMaxOrdinal) return false;
  text.remove_prefix(kNameDigits);
  return true;
}

}  // namespace

std::string IdentityFileName::text() const {
  return name_digits(first) + (kind == IdentityFileKind::kEnded ? "-" + name_digits(last) : "") +
         std::string(suffix_of(kind));
}

std::optional<IdentityFileName> IdentityFileName::parse(std::string_view text) {
  IdentityFileName name;
  std::string_view rest = text;
  if (!take_digits(rest, name.first)) return std::nullopt;
  name.last = name.first;
  if (rest.starts_with('-')) {
    rest.remove_prefix(1);
    name.kind = IdentityFileKind::kEnded;
    if (!take_digits(rest, name.last) || name.last < name.first) return std::nullopt;
  } else if (rest == suffix_of(IdentityFileKind::kCurrent)) {
    name.kind = IdentityFileKind::kCurrent;
  }
  // What does not read back to the same text (upper case) is not ours.
  return name.text() == text ? std::optional(name) : std::nullopt;
}

std::string identity_header(const IdentityFileName& name) {
  std::string header(kIdentityHeaderBytes, '\0');
  const std::span<std::byte> bytes(reinterpret_cast<std::byte*>(header.data()), header.size());
  std::memcpy(bytes.data(), kIdentityMagic.data(), kIdentityMagic.size());
  put_le(bytes, kVersionAt, kIdentityVersion);
  put_le(bytes, kLengthAt, static_cast<std::uint16_t>(kIdentityHeaderBytes));
  put_le(bytes, kIdentityKindAt, static_cast<std::uint32_t>(name.kind));
  put_le(bytes, kIdentityFirstAt, name.first);
  put_le(bytes, kIdentityLastAt, name.last);
  put_le(bytes, kIdentityChecksumAt, crc32c(bytes.first(kIdentityChecksumAt)));
  return header;
}

Result<void> check_identity_header(std::span<const std::byte> bytes, const IdentityFileName& name,
                                   const std::string& path) {
  const auto damaged = [&](const char* what) {
    return Error{ErrorKind::kMalformed, "identity: read " + path + ": " + what};
  };
  if (bytes.size() < kIdentityHeaderBytes) return damaged("its header is cut off");
  if (std::memcmp(bytes.data(), kIdentityMagic.data(), kIdentityMagic.size()) != 0)
    return damaged("it has no header");
  if (get_le<std::uint32_t>(bytes, kIdentityChecksumAt) != crc32c(bytes.first(kIdentityChecksumAt)))
    return damaged("its header's checksum is wrong");
  if (get_le<std::uint16_t>(bytes, kVersionAt) > kIdentityVersion ||
      get_le<std::uint32_t>(bytes, kRequiredAt) != 0) {
    return Error{ErrorKind::kUnavailable, "identity: read " + path + ": a newer program wrote it"};
  }
  if (get_le<std::uint32_t>(bytes, kIdentityKindAt) != static_cast<std::uint32_t>(name.kind) ||
      get_le<std::uint64_t>(bytes, kIdentityFirstAt) != name.first ||
      get_le<std::uint64_t>(bytes, kIdentityLastAt) != name.last) {
    return damaged("its header is another file's");
  }
  return {};
}

Result<IdentityDirectory> IdentityDirectory::open(const std::string& ledger) {
  IdentityDirectory directory;
  directory.path_ = ledger + "/" + std::string(kIdentityFolder);
  auto fd = open_directory(directory.path_, /*follow_link=*/false);
  if (!fd) return fd.error();
  directory.fd_ = std::move(*fd);
  return directory;
}

Result<IdentityDirectory> IdentityDirectory::make(const std::string& ledger) {
  const std::string path = ledger + "/" + std::string(kIdentityFolder);
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return system_error("identity: make directory " + path, errno);
  return open(ledger);
}

Result<std::vector<std::string>> IdentityDirectory::names() const {
  return names_in(fd_.get(), path_);
}

Result<IdentityFiles> IdentityDirectory::list() const {
  auto found = names();
  if (!found) return found.error();
  IdentityFiles files;
  std::vector<IdentityFileName> ended, open, currents;
  for (const std::string& text : *found) {
    const auto name = IdentityFileName::parse(text);
    if (!name) {
      if (text.ends_with(kUnfinished) &&
          IdentityFileName::parse(std::string_view(text).substr(0, text.size() - kUnfinished.size())))
        files.leftovers.push_back(text);
      continue;
    }
    if (name->kind == IdentityFileKind::kOpen) open.push_back(*name);
    if (name->kind == IdentityFileKind::kEnded) ended.push_back(*name);
    if (name->kind == IdentityFileKind::kCurrent) currents.push_back(*name);
  }
  std::sort(currents.begin(), currents.end());
  if (!currents.empty()) files.current = currents.back();
  for (const IdentityFileName& one : currents) {
    if (one != *files.current) files.leftovers.push_back(one.text());
  }
  std::sort(open.begin(), open.end());
  for (const IdentityFileName& one : open) {
    const bool counts = !files.current || one.first > files.current->last;
    if (counts)
      files.open.push_back(one);
    else
      files.leftovers.push_back(one.text());
  }
  // The wider first: what lies within one was merged into it.
  std::sort(ended.begin(), ended.end(), [](const IdentityFileName& a, const IdentityFileName& b) {
    return a.first != b.first ? a.first < b.first : a.last > b.last;
  });
  for (const IdentityFileName& one : ended) {
    const bool merged = !files.ended.empty() && one.last <= files.ended.back().last;
    // What it was made of counts still, where its .current was not made any more.
    const bool early = std::binary_search(files.open.begin(), files.open.end(),
                                          IdentityFileName{IdentityFileKind::kOpen, one.first, one.first});
    if (merged || early)
      files.leftovers.push_back(one.text());
    else
      files.ended.push_back(one);
  }
  files.current_lost = !files.current && !files.ended.empty();
  return files;
}

Result<UniqueFd> IdentityDirectory::open_file(const std::string& name, int flags) const {
  return open_regular(fd_.get(), name, path_of(name), flags, 0640);
}

Result<UniqueFd> IdentityDirectory::make_file(const std::string& name) const {
  auto fd = open_regular(fd_.get(), name, path_of(name), O_RDWR | O_CREAT | O_TRUNC, 0640);
  if (!fd || ::geteuid() != 0) return fd;
  // Root writes here for somebody else, who is to go on with it.
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0 || ::fchown(fd->get(), status.st_uid, status.st_gid) != 0)
    return system_error("identity: make " + path_of(name), errno);
  return fd;
}

Result<void> IdentityDirectory::replace(const std::string& name, std::string_view text) const {
  const std::string temporary = name + std::string(kUnfinished);
  const auto fd = make_file(temporary);
  if (!fd) return fd.error();
  if (::write(fd->get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::fsync(fd->get()) != 0) {
    const int cause = errno;
    static_cast<void>(remove(temporary));
    return system_error("identity: write " + path_of(temporary), cause);
  }
  if (auto renamed = rename(temporary, name); !renamed) return renamed;
  return sync();
}

Result<std::string> IdentityDirectory::read(const std::string& name, std::size_t limit) const {
  const auto fd = open_file(name, O_RDONLY);
  if (!fd) return fd.error();
  std::string text(limit, '\0');
  const ssize_t count = ::pread(fd->get(), text.data(), text.size(), 0);
  if (count < 0) return system_error("identity: read " + path_of(name), errno);
  text.resize(static_cast<std::size_t>(count));
  return text;
}

Result<void> IdentityDirectory::rename(const std::string& from, const std::string& to) const {
  if (::renameat(fd_.get(), from.c_str(), fd_.get(), to.c_str()) == 0) return {};
  return system_error("identity: rename " + path_of(from) + " to " + to, errno);
}

Result<void> IdentityDirectory::remove(const std::string& name) const {
  if (::unlinkat(fd_.get(), name.c_str(), 0) == 0 || errno == ENOENT) return {};
  return system_error("identity: remove " + path_of(name), errno);
}

Result<void> IdentityDirectory::sync() const {
  if (::fsync(fd_.get()) == 0) return {};
  return system_error("identity: fsync " + path_, errno);
}

}  // namespace natsession
