#include "conntrack/sysctls.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include <fcntl.h>
#include <unistd.h>

namespace natsession {
namespace {

std::string file_of(std::string_view name, std::string_view proc) {
  std::string relative(name);
  std::replace(relative.begin(), relative.end(), '.', '/');
  return std::string(proc) + "/sys/" + relative;
}

// EROFS is a matter of permission too: a container's /proc/sys is mounted so on purpose.
Error cannot_write(std::string_view name, int error_number) {
  const std::string operation = "set " + std::string(name) + "=1";
  if (error_number != EROFS) return system_error(operation, error_number);
  return {
      ErrorKind::kPermission,
      operation +
          ": /proc/sys is read-only here, as in a container; set it on the host, in the network namespace "
          "of the NAT"};
}

// Sets one; nullopt if it was 1 already.
Result<std::optional<SysctlChange>> tune_one(std::string_view name, std::string_view proc) {
  auto before = read_sysctl(name, proc);
  if (!before) return before.error();
  if (!*before) {
    return Error{ErrorKind::kUnavailable,
                 "set " + std::string(name) +
                     "=1: it does not exist; is nf_conntrack loaded (modprobe nf_conntrack)?"};
  }
  if (**before == "1") return std::optional<SysctlChange>();
  const UniqueFd file(::open(file_of(name, proc).c_str(), O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), "1\n", 2) != 2) return cannot_write(name, errno);
  return std::optional(SysctlChange{std::string(name), **std::move(before), "1"});
}

// In the order of TableGauge::File.
constexpr std::array<const char*, std::tuple_size_v<TableGauge::Descriptors>> kGaugeFiles{
    "/proc/sys/net/netfilter/nf_conntrack_count", "/proc/sys/net/netfilter/nf_conntrack_max",
    "/proc/sys/net/netfilter/nf_conntrack_events", "/proc/sys/net/netfilter/nf_conntrack_acct",
    "/proc/sys/net/netfilter/nf_conntrack_timestamp"};

// One that is hidden is something that holds no number: a gauge's descriptors are handed on, all of them.
Result<UniqueFd> open_sysctl(const char* path) {
  UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) fd.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!fd) return system_error(std::string("open ") + path, errno, ErrorKind::kUnavailable);
  return fd;
}

bool is_first_namespace() {
  struct stat first {};
  struct stat own {};
  // Whoever may not look at process 1 is taken to be where it is.
  return ::stat("/proc/1/ns/net", &first) != 0 || ::stat("/proc/thread-self/ns/net", &own) != 0 ||
         (first.st_dev == own.st_dev && first.st_ino == own.st_ino);
}

std::string enter_command(std::string_view netns) {
  if (netns.empty()) return {};
  if (netns.starts_with("pid:")) return "nsenter --net=/proc/" + std::string(netns.substr(4)) + "/ns/net ";
  if (netns.starts_with('/')) return "nsenter --net=" + std::string(netns) + " ";
  return "ip netns exec " + std::string(netns) + " ";
}

Result<std::uint64_t> read_number(const UniqueFd& fd, const char* path) {
  std::array<char, 32> text{};
  const ssize_t length = ::pread(fd.get(), text.data(), text.size(), 0);
  if (length < 0) return system_error(std::string("read ") + path, errno);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + length, number);
  if (error != std::errc()) return Error{ErrorKind::kIo, std::string("read ") + path + ": not a number"};
  return number;
}

}  // namespace

Result<std::optional<std::string>> read_sysctl(std::string_view name, std::string_view proc) {
  const UniqueFd file(::open(file_of(name, proc).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    if (errno == ENOENT) return std::optional<std::string>();
    return system_error("read " + std::string(name), errno);
  }
  std::array<char, 64> text{};  // longer than any number
  const ssize_t length = ::read(file.get(), text.data(), text.size());
  if (length < 0) return system_error("read " + std::string(name), errno);
  std::string value(text.data(), static_cast<std::size_t>(length));
  while (!value.empty() && value.back() == '\n') value.pop_back();
  return std::optional(std::move(value));
}

std::string sysctl_remedy(std::string_view name, std::string_view value, std::string_view netns,
                          std::string_view proc) {
  constexpr std::string_view kDropIn = "/etc/sysctl.d/90-natsession.conf";
  struct stat status {};
  const bool of_first = ::stat(file_of(name, proc).c_str(), &status) == 0 &&
                        (status.st_mode & (S_IWUSR | S_IWGRP | S_IWOTH)) == 0;
  std::string text = of_first ? "nsenter --net=/proc/1/ns/net " : enter_command(netns);
  text.append("sysctl -w ").append(name).append("=").append(value);
  if (!of_first && (!netns.empty() || !is_first_namespace())) return text;
  text.append("\necho '").append(name).append(" = ").append(value).append("' >>").append(kDropIn);
  return text;
}

Result<std::vector<SysctlChange>> tune_sysctls(std::string_view proc) {
  std::vector<SysctlChange> changes;
  for (const WantedSysctl& wanted : kWantedSysctls) {
    auto change = tune_one(wanted.name, proc);
    if (!change) {
      Error error = change.error();
      for (const SysctlChange& done : changes) {
        error.message += "; already changed: " + done.name + " from " + done.before + " to " + done.after;
      }
      return error;
    }
    if (*change) changes.push_back(**std::move(change));
  }
  return changes;
}

Result<TableGauge> TableGauge::open() {
  Descriptors files;
  for (std::size_t i = 0; i < files.size(); ++i) {
    auto file = open_sysctl(kGaugeFiles[i]);
    if (!file) return file.error();
    files[i] = *std::move(file);
  }
  return TableGauge(std::move(files));
}

std::array<int, std::tuple_size_v<TableGauge::Descriptors>> TableGauge::descriptors() const {
  std::array<int, std::tuple_size_v<Descriptors>> numbers{};
  std::transform(files_.begin(), files_.end(), numbers.begin(),
                 [](const UniqueFd& file) { return file.get(); });
  return numbers;
}

Result<TableUsage> TableGauge::read() const {
  const auto count = read_number(files_[kCount], kGaugeFiles[kCount]);
  if (!count) return count.error();
  const auto max = read_number(files_[kMax], kGaugeFiles[kMax]);
  if (!max) return max.error();
  return TableUsage{*count, *max};
}

ConntrackSysctls TableGauge::sysctls() const {
  const auto is_on = [&](File file) -> std::optional<bool> {
    const auto value = read_number(files_[file], kGaugeFiles[file]);
    return value ? std::optional(*value != 0) : std::nullopt;
  };
  return {.events = is_on(kEvents), .acct = is_on(kAcct), .timestamp = is_on(kTimestamp)};
}

}  // namespace natsession
