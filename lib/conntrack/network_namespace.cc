#include "conntrack/network_namespace.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <filesystem>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sched.h>

namespace natsession {
namespace {

constexpr std::string_view kNamedNamespaces = "/run/netns";
constexpr std::string_view kPidPrefix = "pid:";

Error bad_name(std::string_view name) {
  return {ErrorKind::kUsage, "network namespace \"" + std::string(name) +
                                 "\": neither a name under /run/netns, nor an absolute path, nor pid:NUMBER"};
}

Result<std::string> path_of(std::string_view name) {
  if (name.starts_with('/')) return std::string(name);
  if (name.starts_with(kPidPrefix)) {
    const std::string_view pid = name.substr(kPidPrefix.size());
    if (pid.empty() || pid.find_first_not_of("0123456789") != std::string_view::npos) return bad_name(name);
    return "/proc/" + std::string(pid) + "/ns/net";
  }
  if (name == "." || name == ".." || name.find('/') != std::string_view::npos) return bad_name(name);
  return std::string(kNamedNamespaces) + "/" + std::string(name);
}

std::string existing_names() {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator at(kNamedNamespaces, error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  if (names.empty()) return "there are none under /run/netns";
  std::sort(names.begin(), names.end());
  std::string text = "under /run/netns there are:";
  for (const std::string& name : names) text += " " + name;
  return text;
}

Error cannot_open(std::string_view name, const std::string& path, int error_number) {
  std::string operation = "open network namespace \"" + std::string(name) + "\" (" + path + ")";
  if (error_number != ENOENT) return system_error(std::move(operation), error_number, ErrorKind::kUsage);
  if (name.starts_with(kPidPrefix)) return {ErrorKind::kUsage, operation + ": no such process"};
  if (name.starts_with('/')) return {ErrorKind::kUsage, operation + ": no such file"};
  return {ErrorKind::kUsage, operation + ": no such namespace; " + existing_names()};
}

}  // namespace

Result<NamespaceIdentity> NetworkNamespace::identify(std::string_view name) {
  const auto path = name.empty() ? Result<std::string>("/proc/thread-self/ns/net") : path_of(name);
  if (!path) return path.error();
  struct stat status {};
  if (::stat(path->c_str(), &status) != 0) return cannot_open(name, *path, errno);
  return NamespaceIdentity{status.st_dev, status.st_ino};
}

bool NetworkNamespace::outlives(std::string_view name) {
  return !name.starts_with(kPidPrefix) && !name.starts_with("/proc/");
}

Result<NetworkNamespace> NetworkNamespace::enter(std::string_view name) {
  if (name.empty()) return NetworkNamespace(UniqueFd());
  const auto path = path_of(name);
  if (!path) return path.error();
  UniqueFd home(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!home) return system_error("open this thread's network namespace", errno, ErrorKind::kUnavailable);
  const UniqueFd target(::open(path->c_str(), O_RDONLY | O_CLOEXEC));
  if (!target) return cannot_open(name, *path, errno);
  if (::setns(target.get(), CLONE_NEWNET) != 0) {
    const int error_number = errno;
    const std::string operation = "enter network namespace \"" + std::string(name) + "\" (" + *path + ")";
    if (error_number == EINVAL) return Error{ErrorKind::kUsage, operation + ": not a network namespace"};
    return system_error(operation, error_number);
  }
  return NetworkNamespace(std::move(home));
}

Result<void> NetworkNamespace::leave() {
  if (!home_) return {};
  if (::setns(home_.get(), CLONE_NEWNET) != 0) {
    return system_error("go back to the network namespace that this program started in", errno);
  }
  home_.reset();
  return {};
}

NetworkNamespace::~NetworkNamespace() {
  if (!leave()) std::terminate();
}

}  // namespace natsession
