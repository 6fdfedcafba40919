// Namespaces, sysctls and the kernel's probe, against the kernel.
#include <sys/mount.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

#include "conntrack/kernel_check.h"
#include "conntrack/network_namespace.h"
#include "support/conntrack_table.h"
#include "support/private_network.h"
#include "support/temp_dir.h"

namespace natsession::testing {
namespace {

std::string current_namespace() {
  return std::filesystem::read_symlink("/proc/thread-self/ns/net").string();
}

// A file that holds the namespace that the thread is in, as `ip netns add` makes it.
class NamespaceFile {
 public:
  explicit NamespaceFile(std::filesystem::path path) : path_(std::move(path)) {
    std::filesystem::create_directories(path_.parent_path());
    std::ofstream{path_}.flush();
    REQUIRE(::mount("/proc/thread-self/ns/net", path_.c_str(), nullptr, MS_BIND, nullptr) == 0);
  }
  NamespaceFile(const NamespaceFile&) = delete;
  NamespaceFile& operator=(const NamespaceFile&) = delete;
  ~NamespaceFile() {
    ::umount2(path_.c_str(), MNT_DETACH);
    std::filesystem::remove(path_);
  }

 private:
  std::filesystem::path path_;
};

// A process that stays in the namespace that it was made in.
class Sleeper {
 public:
  Sleeper() : pid_(::fork()) {
    if (pid_ == 0) {
      ::pause();
      ::_exit(0);
    }
    REQUIRE(pid_ > 0);
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  ~Sleeper() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] std::string name() const { return "pid:" + std::to_string(pid_); }

 private:
  pid_t pid_;
};

std::string message_of(const Result<NetworkNamespace>& entered) {
  REQUIRE_FALSE(entered);
  CHECK(entered.error().kind == ErrorKind::kUsage);
  return entered.error().message;
}

}  // namespace

TEST_CASE("a namespace is entered by name, path or process, and left again", "[conntrack][lab]") {
  const std::string home = current_namespace();
  const std::string name = "natsession-test-" + std::to_string(::getpid());
  const TempDir directory;
  std::string inside;
  std::optional<NamespaceFile> by_name;
  std::optional<NamespaceFile> by_path;
  {
    const PrivateNetwork network;
    if (!network.entered()) return;
    inside = current_namespace();
    by_name.emplace("/run/netns/" + name);
    by_path.emplace(directory.file("net"));
  }
  REQUIRE(inside != home);
  for (const std::string& way : {name, directory.file("net")}) {
    INFO(way);
    {
      const auto entered = NetworkNamespace::enter(way);
      if (!entered) FAIL(entered.error().message);
      CHECK(current_namespace() == inside);
    }
    CHECK(current_namespace() == home);
  }
  {
    auto entered = NetworkNamespace::enter(name);
    REQUIRE(entered);
    REQUIRE(entered->leave());
    CHECK(current_namespace() == home);
    REQUIRE(entered->leave());  // already
  }
  {
    const Sleeper at_home;
    const PrivateNetwork network;
    const auto entered = NetworkNamespace::enter(at_home.name());
    if (!entered) FAIL(entered.error().message);
    CHECK(current_namespace() == home);
  }
  const auto stayed = NetworkNamespace::enter("");
  REQUIRE(stayed);
  CHECK(current_namespace() == home);
  CHECK_THAT(message_of(NetworkNamespace::enter("no-such")),
             Catch::Contains("no such namespace") && Catch::Contains(name));
}

TEST_CASE("a namespace is known by what it is, whatever it is called", "[conntrack][lab]") {
  const TempDir directory;
  std::optional<NamespaceFile> by_path;
  const Sleeper at_home;
  {
    const PrivateNetwork network;
    if (!network.entered()) return;
    by_path.emplace(directory.file("net"));
    const Sleeper inside;
    const auto by_process = NetworkNamespace::identify(inside.name());
    REQUIRE(by_process);
    CHECK(*by_process == *NetworkNamespace::identify(directory.file("net")));
    CHECK(*by_process == *NetworkNamespace::identify(""));
    CHECK_FALSE(*by_process == *NetworkNamespace::identify(at_home.name()));
  }
  CHECK(*NetworkNamespace::identify("") == *NetworkNamespace::identify(at_home.name()));
  const auto nowhere = NetworkNamespace::identify("no-such");
  REQUIRE_FALSE(nowhere);
  CHECK(nowhere.error().kind == ErrorKind::kUsage);
}

TEST_CASE("sysctls are read and tuned in the thread's own namespace", "[conntrack][lab]") {
  const auto outside = read_sysctl("net.netfilter.nf_conntrack_acct");
  {
    const PrivateNetwork network;
    if (!network.entered()) return;
    network.set_sysctl("nf_conntrack_acct", "0");
    network.set_sysctl("nf_conntrack_events", "2");
    const auto changed = tune_sysctls();
    if (!changed) FAIL(changed.error().message);
    CHECK(changed->size() >= 2);
    for (const WantedSysctl& wanted : kWantedSysctls) CHECK(*read_sysctl(wanted.name) == "1");
    CHECK(tune_sysctls()->empty());
  }
  CHECK(*read_sysctl("net.netfilter.nf_conntrack_acct") == *outside);
}

TEST_CASE("tuning says why it is not allowed", "[conntrack][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  network.set_sysctl("nf_conntrack_acct", "0");
  CHECK(as_nobody([] {
          const auto changed = tune_sysctls();
          if (changed || changed.error().kind != ErrorKind::kPermission) return 1;
          return changed.error().message.find("net.netfilter.nf_conntrack_acct") != std::string::npos ? 0 : 2;
        }) == 0);
}

TEST_CASE("tuning explains a read-only /proc/sys, as containers have it", "[conntrack][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  network.set_sysctl("nf_conntrack_acct", "0");
  const pid_t child = ::fork();
  if (child == 0) {
    const bool mounted =
        ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
        ::mount("/proc/sys", "/proc/sys", nullptr, MS_BIND, nullptr) == 0 &&
        ::mount("none", "/proc/sys", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) == 0;
    if (!mounted) ::_exit(1);
    const auto changed = tune_sysctls();
    if (changed || changed.error().kind != ErrorKind::kPermission) ::_exit(2);
    ::_exit(changed.error().message.find("read-only") != std::string::npos ? 0 : 3);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("probe finds out whether the kernel filters dumps", "[conntrack][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  const auto empty = probe_kernel();
  if (!empty) FAIL(empty.error().message);
  CHECK(empty->request_error == 0);
  CHECK(empty->dump_filter == KernelProbe::DumpFilter::kUnknown);
  ConntrackTable table;
  table.create({1000});
  const auto filled = probe_kernel();
  REQUIRE(filled);
  // True of Linux 5.19 and later; `kIgnored` would be right before.
  CHECK(filled->dump_filter == KernelProbe::DumpFilter::kSupported);
}

TEST_CASE("probe says that a permission is missing", "[conntrack][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  CHECK(as_nobody([] {
          const auto probe = probe_kernel();
          return probe ? probe->request_error : 255;
        }) == EPERM);
}

TEST_CASE("kernel check of a fresh namespace warns of its sysctls, and of nothing once it is tuned",
          "[conntrack][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  for (const char* name : {"nf_conntrack_acct", "nf_conntrack_timestamp"}) network.set_sysctl(name, "0");
  network.set_sysctl("nf_conntrack_events", "2");
  KernelCheckInput input;
  input.release = kernel_release();
  const auto warnings = [&] {
    std::size_t count = 0;
    for (const Finding& finding : check_kernel(input)) {
      INFO(finding.name << ": " << finding.value);
      CHECK(finding.level != Finding::Level::kFailure);
      count += finding.level == Finding::Level::kWarning ? 1 : 0;
    }
    return count;
  };
  CHECK(warnings() == 3);
  REQUIRE(tune_sysctls());
  CHECK(warnings() == 0);
}

}  // namespace natsession::testing
