#include "identity/sources/networkd_source.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include <dirent.h>
#include <fcntl.h>

#include "base/files.h"
#include "identity/sources/networkd_leases.h"

namespace natsession {
namespace {

constexpr ByteCount kMaxLeases{32 << 20};
constexpr std::size_t kMostFiles = 1024;

}  // namespace

NetworkdSource::NetworkdSource(std::string name, std::vector<std::string> folders)
    : name_(std::move(name)), folders_(std::move(folders)) {}

std::vector<std::string> NetworkdSource::usual_folders() {
  return {"/var/lib/systemd/network/dhcp-server-lease", "/run/systemd/netif/dhcp-server-lease"};
}

std::optional<NetworkdSource::State> NetworkdSource::State::of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return State{status.st_ino, status.st_size,
               std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
}

Result<void> NetworkdSource::open() {
  return watch_.open();
}

void NetworkdSource::complain(const std::string& why, IdentityOutput& output) {
  if (why == complaint_) return;
  complaint_ = why;
  output.lost(why);
}

NetworkdSource::Files NetworkdSource::list(IdentityOutput& output, bool& readable) {
  Files files;
  std::size_t folders = 0;
  for (const std::string& folder : folders_) {
    watch_.watch(folder);  // networkd makes it with the first lease of all
    watch_.watch(folder + "/.");
    const std::unique_ptr<DIR, int (*)(DIR*)> opened(::opendir(folder.c_str()), ::closedir);
    if (!opened) {
      if (errno == ENOENT) continue;
      complain(folder + ": " + std::strerror(errno), output);
      readable = false;
      continue;
    }
    ++folders;
    while (const dirent* const entry = ::readdir(opened.get())) {
      const std::string name = entry->d_name;
      if (name.starts_with('.') || files.size() >= kMostFiles)
        continue;  // networkd's temporary files begin so
      const std::string path = folder + "/" + name;
      if (const auto state = State::of(path)) files[path] = *state;
    }
  }
  if (folders == 0 && readable) {
    complain("systemd-networkd keeps no leases here (" + folders_.front() +
                 " is not there): it has given none yet, or is older than systemd 256; waiting for it",
             output);
    readable = false;
  }
  return files;
}

std::chrono::milliseconds NetworkdSource::turn(UnixMs now, IdentityOutput& output) {
  constexpr std::chrono::milliseconds kLook{1000}, kSoon{10};
  watch_.drain();
  bool readable = true;
  Files files = list(output, readable);
  if (!readable) {
    read_ = known_ = false;
    return kLook;
  }
  if (read_ && files == files_) {
    output.followed(now);
    return kLook;
  }
  // All of them are the whole: one that is gone has no leases any more.
  UnixMs latest{};
  std::vector<std::pair<std::string, UnixMs>> texts;
  for (const auto& [path, state] : files) {
    auto text = read_file(path, kMaxLeases, ErrorKind::kIo, O_NONBLOCK);
    if (!text || text->size() > kMaxLeases.bytes) {
      // It may be gone already; the next look tells.
      if (text) complain(path + ": is too large", output);
      read_ = known_ = false;
      return kLook;
    }
    // Replaced since: what was read is not of that time.
    if (State::of(path) != state) {
      read_ = false;
      return kSoon;
    }
    const UnixMs written = std::min(now, UnixMs(std::chrono::milliseconds(state.modified_ns / 1'000'000)));
    latest = std::max(latest, written);
    texts.emplace_back(std::move(*text), written);
  }
  bool understood = true;
  output.begin_whole();
  for (const auto& [text, written] : texts) {
    if (tell_networkd_leases(text, written, output)) continue;
    output.refused("a file of systemd-networkd's leases is not the JSON that is known");
    understood = false;
  }
  if (understood) {
    // What is in none of them ended when one was written, or when one that had it went, which was some time
    // up to now.
    const bool all_there = known_ && std::all_of(files_.begin(), files_.end(), [&](const auto& file) {
                             return files.contains(file.first);
                           });
    output.end_whole(all_there && !files.empty() ? latest : now);
    complaint_.clear();
    output.followed(now);
  } else {
    complain("a file of systemd-networkd's leases could not be read", output);
  }
  files_ = std::move(files);
  read_ = known_ = understood;
  return kLook;
}

}  // namespace natsession
