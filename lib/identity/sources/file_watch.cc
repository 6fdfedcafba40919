#include "identity/sources/file_watch.h"

#include <sys/inotify.h>

#include <array>
#include <cerrno>
#include <utility>

namespace natsession {

Result<void> FileWatch::open() {
  fd_.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!fd_) {
    return system_error("watch files (inotify; see fs.inotify.max_user_instances)", errno,
                        ErrorKind::kUnavailable);
  }
  return {};
}

void FileWatch::watch(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  // Both may be the same inode, of which there is one watch: to each is added what the other looks for.
  (void)::inotify_add_watch(fd_.get(), folder.c_str(),
                            IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR | IN_MASK_ADD);
  const int now = ::inotify_add_watch(fd_.get(), path.c_str(),
                                      IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF | IN_MASK_ADD);
  if (now < 0) return;
  // What was there before is watched no more: files that are moved away for years would be many.
  const auto [place, is_new] = watched_.try_emplace(path, now);
  if (is_new || place->second == now) return;
  (void)::inotify_rm_watch(fd_.get(), std::exchange(place->second, now));
}

void FileWatch::drain() {
  std::array<char, 4096> events{};
  // Not for ever: somebody may write faster than this reads.
  for (int i = 0; i < 64 && ::read(fd_.get(), events.data(), events.size()) > 0; ++i) {
  }
}

}  // namespace natsession
