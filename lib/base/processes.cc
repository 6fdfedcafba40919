#include "base/processes.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace natsession {
namespace {

namespace fs = std::filesystem;

bool holds(const fs::path& process, const std::string& socket) {
  std::error_code error;
  for (fs::directory_iterator at(process / "fd", error), end; !error && at != end; at.increment(error)) {
    std::error_code unreadable;
    if (fs::read_symlink(at->path(), unreadable).string() == socket) return true;
  }
  return false;
}

}  // namespace

std::string ProcessName::text() const {
  if (pid == 0) return "another process";
  return (name.empty() ? "" : name + ", ") + "process " + std::to_string(pid);
}

ProcessName process_name(pid_t pid) {
  ProcessName process{pid, {}};
  std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
  std::getline(file, process.name);
  return process;
}

std::optional<ProcessName> owner_of_socket(std::uint64_t inode) {
  const std::string socket = "socket:[" + std::to_string(inode) + "]";
  std::error_code error;
  for (fs::directory_iterator at("/proc", error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    pid_t pid = 0;
    const auto [rest, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad != std::errc() || rest != name.data() + name.size()) continue;
    if (holds(at->path(), socket)) return process_name(pid);
  }
  return std::nullopt;
}

}  // namespace natsession
