#include "conntrack/kernel_check.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

#include "conntrack/network_namespace.h"
#include "support/temp_dir.h"

namespace natsession::testing {
namespace {

// A /proc with a conntrack in it. Full logs, unless a test says otherwise.
class FakeProc {
 public:
  FakeProc() {
    set("nf_conntrack_acct", "1");
    set("nf_conntrack_timestamp", "1");
    set("nf_conntrack_events", "1");
    set("nf_conntrack_count", "10");
    set("nf_conntrack_max", "1000");
  }
  void set(const std::string& name, const std::string& value) { std::ofstream(file(name)) << value << "\n"; }
  void remove(const std::string& name) { std::filesystem::remove(file(name)); }
  [[nodiscard]] std::string get(const std::string& name) const {
    std::string value;
    std::ifstream(file(name)) >> value;
    return value;
  }
  [[nodiscard]] std::string file(const std::string& name) const {
    const auto folder = directory_.path() / "sys/net/netfilter";
    std::filesystem::create_directories(folder);
    return folder / name;
  }
  [[nodiscard]] std::string root() const { return directory_.path().string(); }

 private:
  TempDir directory_;
};

KernelCheckInput healthy() {
  KernelCheckInput input;
  input.release = "6.12.4-amd64";
  input.probe.dump_filter = KernelProbe::DumpFilter::kSupported;
  input.buffer_asked = ByteCount{64 << 20};
  input.buffer_granted = ByteCount{64 << 20};
  return input;
}

Finding find(const FakeProc& proc, KernelCheckInput input, const std::string& name) {
  const std::string root = proc.root();
  input.proc = root;
  const auto findings = check_kernel(input);
  const auto found =
      std::find_if(findings.begin(), findings.end(), [&](const Finding& f) { return f.name == name; });
  REQUIRE(found != findings.end());
  return *found;
}

TEST_CASE("kernel check finds nothing wrong where nothing is", "[conntrack][check]") {
  const FakeProc proc;
  const std::string root = proc.root();
  auto input = healthy();
  input.proc = root;
  const auto findings = check_kernel(input);
  CHECK(findings.size() == 9);
  for (const Finding& finding : findings) {
    INFO(finding.name << ": " << finding.value);
    CHECK(finding.level == Finding::Level::kOk);
    CHECK(finding.remedy.empty());
    CHECK_FALSE(finding.value.empty());
  }
}

TEST_CASE("kernel check warns about each sysctl and says how to set it, now and at boot",
          "[conntrack][check]") {
  const std::string name = GENERATE("nf_conntrack_acct", "nf_conntrack_timestamp", "nf_conntrack_events");
  const std::string value = GENERATE("0", "2");
  FakeProc proc;
  proc.set(name, value);
  const Finding finding = find(proc, healthy(), "net.netfilter." + name);
  CHECK(finding.level == Finding::Level::kWarning);
  CHECK(finding.value == value);
  CHECK(finding.wanted == "1");
  CHECK_FALSE(finding.meaning.empty());
  CHECK_THAT(finding.remedy, Catch::Contains("sysctl -w net.netfilter." + name + "=1\n"));
  CHECK_THAT(finding.remedy,
             Catch::EndsWith("\necho 'net.netfilter." + name + " = 1' >>/etc/sysctl.d/90-natsession.conf"));
}

TEST_CASE("remedies of a namespace that is named are for it, and what only the first can set, for that",
          "[conntrack][check]") {
  FakeProc proc;
  proc.set("nf_conntrack_acct", "0");
  const auto remedy = [&](std::string_view netns) {
    auto input = healthy();
    input.netns = netns;
    return find(proc, input, "net.netfilter.nf_conntrack_acct").remedy;
  };
  CHECK(remedy("nat-box") == "ip netns exec nat-box sysctl -w net.netfilter.nf_conntrack_acct=1");
  CHECK(remedy("pid:4711") == "nsenter --net=/proc/4711/ns/net sysctl -w net.netfilter.nf_conntrack_acct=1");
  CHECK(remedy("/run/x") == "nsenter --net=/run/x sysctl -w net.netfilter.nf_conntrack_acct=1");
  std::filesystem::permissions(proc.file("nf_conntrack_acct"), std::filesystem::perms::owner_read);
  CHECK_THAT(
      remedy("nat-box"),
      Catch::StartsWith("nsenter --net=/proc/1/ns/net sysctl -w net.netfilter.nf_conntrack_acct=1\necho "));
}

TEST_CASE("kernel check knows hidden sysctls from a kernel that tracks nothing", "[conntrack][check]") {
  FakeProc proc;
  for (const char* name : {"acct", "timestamp", "events", "count", "max"})
    proc.remove(std::string("nf_conntrack_") + name);
  const Finding loaded = find(proc, healthy(), "nf_conntrack");
  CHECK(loaded.level == Finding::Level::kWarning);
  CHECK_THAT(loaded.value, Catch::Contains("hidden"));
  const Finding sysctl = find(proc, healthy(), "net.netfilter.nf_conntrack_acct");
  CHECK(sysctl.level == Finding::Level::kUnknown);
  CHECK(sysctl.value == "hidden");
  CHECK(sysctl.remedy.empty());
}

TEST_CASE("kernel check fails where nothing is tracked", "[conntrack][check]") {
  FakeProc proc;
  for (const char* name : {"nf_conntrack_acct", "nf_conntrack_count", "nf_conntrack_max"}) proc.remove(name);
  auto input = healthy();
  input.probe.request_error = EOPNOTSUPP;
  CHECK(find(proc, input, "nf_conntrack").level == Finding::Level::kFailure);
  const Finding sysctl = find(proc, input, "net.netfilter.nf_conntrack_acct");
  CHECK(sysctl.value == "absent");
  CHECK_THAT(sysctl.remedy, Catch::Contains("modprobe nf_conntrack\n"));
  CHECK(find(proc, input, "conntrack table").value == "not known");
}

TEST_CASE("kernel check tells a missing permission from a missing interface", "[conntrack][check]") {
  const FakeProc proc;
  auto input = healthy();
  input.probe.request_error = EPERM;
  const Finding denied = find(proc, input, "conntrack over netlink");
  CHECK(denied.level == Finding::Level::kFailure);
  CHECK_THAT(denied.remedy, Catch::Contains("CAP_NET_ADMIN"));
  input.probe.request_error = EOPNOTSUPP;
  const Finding absent = find(proc, input, "conntrack over netlink");
  CHECK(absent.level == Finding::Level::kFailure);
  CHECK_THAT(absent.remedy, Catch::Contains("modprobe nf_conntrack_netlink"));
}

TEST_CASE("kernel check compares the granted receive buffer with the asked one", "[conntrack][check]") {
  const FakeProc proc;
  auto input = healthy();
  input.buffer_granted = ByteCount{4 << 20};
  const Finding finding = find(proc, input, "receive buffer");
  CHECK(finding.level == Finding::Level::kWarning);
  CHECK(finding.value == "4M");
  CHECK(finding.wanted == "64M");
  CHECK_THAT(finding.remedy, Catch::Contains("net.core.rmem_max=67108864"));
}

TEST_CASE("kernel check leaves the receive buffer out when no socket was opened", "[conntrack][check]") {
  const FakeProc proc;
  const std::string root = proc.root();
  KernelCheckInput input = healthy();
  input.proc = root;
  input.buffer_asked.reset();
  CHECK(check_kernel(input).size() == 8);
}

TEST_CASE("kernel check warns when the table is nearly full", "[conntrack][check]") {
  struct Row {
    const char* count;
    const char* max;
    bool warned;
  };
  const auto row = GENERATE(values<Row>({{"899", "1000", false},
                                         {"900", "1000", true},
                                         {"1000", "1000", true},
                                         {"0", "5", false},
                                         {"5", "5", true},
                                         {"7", "0", false},
                                         {"10", "18446744073709551615", false}}));
  CAPTURE(row.count, row.max);
  FakeProc proc;
  proc.set("nf_conntrack_count", row.count);
  proc.set("nf_conntrack_max", row.max);
  const Finding finding = find(proc, healthy(), "conntrack table");
  CHECK((finding.level == Finding::Level::kWarning) == row.warned);
  CHECK(finding.value == std::string(row.count) + " of " + row.max);
}

TEST_CASE("kernel check warns where the kernel does not filter dumps", "[conntrack][check]") {
  const FakeProc proc;
  auto input = healthy();
  const auto level_of = [&](KernelProbe::DumpFilter filter) {
    input.probe.dump_filter = filter;
    return find(proc, input, "dump filter by status").level;
  };
  CHECK(level_of(KernelProbe::DumpFilter::kIgnored) == Finding::Level::kWarning);
  CHECK(level_of(KernelProbe::DumpFilter::kRefused) == Finding::Level::kWarning);
  CHECK(level_of(KernelProbe::DumpFilter::kUnknown) == Finding::Level::kUnknown);
}

TEST_CASE("kernel check compares kernel versions as numbers", "[conntrack][check]") {
  const FakeProc proc;
  auto input = healthy();
  const auto level_of = [&](const std::string& release) {
    input.release = release;
    return find(proc, input, "kernel").level;
  };
  CHECK(level_of("4.19.0-21-amd64") == Finding::Level::kOk);
  CHECK(level_of("10.2") == Finding::Level::kOk);
  CHECK(level_of("4.9.0") == Finding::Level::kWarning);
  CHECK(level_of("3.10.0-1160.el7") == Finding::Level::kWarning);
}

TEST_CASE("tuning sets what is not 1 and reports what it changed", "[conntrack][check]") {
  FakeProc proc;
  proc.set("nf_conntrack_acct", "0");
  proc.set("nf_conntrack_events", "2");
  const auto changed = tune_sysctls(proc.root());
  REQUIRE(changed);
  REQUIRE(changed->size() == 2);
  CHECK((*changed)[0].name == "net.netfilter.nf_conntrack_acct");
  CHECK((*changed)[0].before == "0");
  CHECK((*changed)[0].after == "1");
  CHECK((*changed)[1].name == "net.netfilter.nf_conntrack_events");
  CHECK((*changed)[1].before == "2");
  CHECK(proc.get("nf_conntrack_acct") == "1");
  CHECK(proc.get("nf_conntrack_events") == "1");
  const auto again = tune_sysctls(proc.root());
  REQUIRE(again);
  CHECK(again->empty());
}

TEST_CASE("tuning says which sysctl failed and what was changed before it", "[conntrack][check]") {
  FakeProc proc;
  proc.set("nf_conntrack_acct", "0");
  proc.remove("nf_conntrack_timestamp");
  SECTION("it is not there") {
    const auto changed = tune_sysctls(proc.root());
    REQUIRE_FALSE(changed);
    CHECK(changed.error().kind == ErrorKind::kUnavailable);
    CHECK_THAT(changed.error().message, Catch::Contains("net.netfilter.nf_conntrack_timestamp"));
    CHECK_THAT(changed.error().message,
               Catch::Contains("already changed: net.netfilter.nf_conntrack_acct from 0 to 1"));
  }
  SECTION("it cannot be written") {
    std::filesystem::create_directory(proc.file("nf_conntrack_timestamp"));
    const auto changed = tune_sysctls(proc.root());
    REQUIRE_FALSE(changed);
    CHECK_THAT(changed.error().message, Catch::Contains("nf_conntrack_timestamp"));
    CHECK_THAT(changed.error().message, Catch::Contains("already changed: net.netfilter.nf_conntrack_acct"));
  }
}

TEST_CASE("a namespace that cannot be named is refused before anything is tried", "[conntrack][namespace]") {
  const std::string name = GENERATE("..", ".", "a/b", "pid:", "pid:x", "pid:1/2", "pid:-1");
  CAPTURE(name);
  const auto entered = NetworkNamespace::enter(name);
  REQUIRE_FALSE(entered);
  CHECK(entered.error().kind == ErrorKind::kUsage);
  CHECK_THAT(entered.error().message,
             Catch::Contains("\"" + name + "\"") && Catch::Contains("neither a name"));
}

TEST_CASE("a namespace that does not exist is a specific error", "[conntrack][namespace]") {
  const auto message = [](std::string_view name) {
    const auto entered = NetworkNamespace::enter(name);
    REQUIRE_FALSE(entered);
    CHECK(entered.error().kind == ErrorKind::kUsage);
    return entered.error().message;
  };
  CHECK_THAT(message("natsession-no-such"), Catch::Contains("/run/netns"));
  CHECK_THAT(message("/natsession/no-such"), Catch::Contains("no such file"));
  CHECK_THAT(message("pid:4194305"), Catch::Contains("no such process"));  // beyond the largest pid
}

}  // namespace
}  // namespace natsession::testing
