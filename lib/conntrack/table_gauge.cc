#include "conntrack/table_gauge.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace natsession {
namespace {

constexpr const char* kCount = "/proc/sys/net/netfilter/nf_conntrack_count";
constexpr const char* kMax = "/proc/sys/net/netfilter/nf_conntrack_max";

Result<UniqueFd> open_sysctl(const char* path) {
  UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return system_error(std::string("open ") + path, errno, ErrorKind::kUnavailable);
  return fd;
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

Result<TableGauge> TableGauge::open() {
  auto count = open_sysctl(kCount);
  if (!count) return count.error();
  auto max = open_sysctl(kMax);
  if (!max) return max.error();
  return TableGauge(*std::move(count), *std::move(max));
}

Result<TableUsage> TableGauge::read() const {
  const auto count = read_number(count_, kCount);
  if (!count) return count.error();
  const auto max = read_number(max_, kMax);
  if (!max) return max.error();
  return TableUsage{*count, *max};
}

}  // namespace natsession
