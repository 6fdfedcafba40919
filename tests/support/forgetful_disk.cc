// A disk that a power cut leaves with what was synced, and no more: to be preloaded (LD_PRELOAD). Files below
// $FORGETFUL_DISK are kept a second time in $FORGETFUL_SHADOW as they would be found after the cut: a file's
// bytes as of its last fsync() or fdatasync(), under a name as of its folder's last fsync(). A name whose
// file was never synced is an empty file, as on ext4. Shape of the shadow: files/INODE, the bytes; tree/PATH,
// links to these.
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace {

namespace fs = std::filesystem;

std::mutex guard;

// Below the folder that is watched, relative to it; empty: elsewhere, or removed.
std::string place_of(int fd) {
  const char* const watched = std::getenv("FORGETFUL_DISK");
  std::error_code error;
  const std::string path = fs::read_symlink("/proc/self/fd/" + std::to_string(fd), error).string();
  if (watched == nullptr || error || !(path + "/").starts_with(std::string(watched) + "/")) return {};
  if (path.ends_with(" (deleted)")) return {};
  return path.substr(std::string(watched).size()) + "/.";
}

fs::path bytes_of(const struct stat& status) {
  return fs::path(std::getenv("FORGETFUL_SHADOW")) / "files" / std::to_string(status.st_ino);
}

// In place, so that names that link to it have the new bytes as well.
void keep_file(int fd, const struct stat& status) {
  const fs::path kept = bytes_of(status);
  fs::create_directories(kept.parent_path());
  std::ifstream from("/proc/self/fd/" + std::to_string(fd), std::ios::binary);
  std::ofstream to(kept, std::ios::binary | std::ios::trunc);
  if (status.st_size > 0) to << from.rdbuf();
}

void keep_folder(const std::string& place) {
  const fs::path here = fs::path(std::getenv("FORGETFUL_DISK")) / place.substr(1);
  const fs::path there = fs::path(std::getenv("FORGETFUL_SHADOW")) / "tree" / place.substr(1);
  fs::create_directories(there);
  for (const fs::directory_entry& old : fs::directory_iterator(there)) {
    if (!fs::exists(here / old.path().filename())) fs::remove_all(old.path());
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(here)) {
    const fs::path name = there / entry.path().filename();
    struct stat status {};
    if (::stat(entry.path().c_str(), &status) != 0) continue;
    if (S_ISDIR(status.st_mode)) {
      fs::create_directories(name);
      continue;
    }
    const fs::path kept = bytes_of(status);
    fs::create_directories(kept.parent_path());
    if (!fs::exists(kept)) std::ofstream(kept).flush();
    fs::remove(name);
    fs::create_hard_link(kept, name);
  }
}

int synced(int fd, long call) {
  const long result = ::syscall(call, fd);
  struct stat status {};
  if (result != 0 || ::fstat(fd, &status) != 0) return static_cast<int>(result);
  const int error = errno;
  try {
    const std::lock_guard lock(guard);
    const std::string place = place_of(fd);
    if (!place.empty() && S_ISDIR(status.st_mode)) keep_folder(place);
    if (!place.empty() && S_ISREG(status.st_mode)) keep_file(fd, status);
  } catch (const fs::filesystem_error&) {  // what another thread removes meanwhile
  }
  errno = error;
  return 0;
}

}  // namespace

extern "C" {
int fsync(int fd) {
  return synced(fd, SYS_fsync);
}
int fdatasync(int fd) {
  return synced(fd, SYS_fdatasync);
}
}
