// What is refused, and what must not be. Each in a process of its own, since it is for ever; run as root,
// which could do it all.
#include "system_calls.h"

#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/wait.h>

#include <cerrno>
#include <ctime>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>
#include <sched.h>
#include <seccomp.h>
#include <unistd.h>

#include "support/sanitizer.h"

namespace natsession::testing {
namespace {

constexpr bool kSanitized = !kSanitizers.empty();

// A call that harms nothing where it is not refused: its arguments are wrong, or mean nothing.
struct Call {
  const char* name;
  long (*make)();
};

constexpr Call kAlways[] = {
    {"init_module", [] { return ::syscall(SYS_init_module, nullptr, 0L, nullptr); }},
    {"kexec_load", [] { return ::syscall(SYS_kexec_load, 0L, 99L, nullptr, -1L); }},
    {"reboot", [] { return ::syscall(SYS_reboot, 0L, 0L, 0L, nullptr); }},
    {"bpf", [] { return ::syscall(SYS_bpf, -1L, nullptr, 0L); }},
    {"mount", [] { return ::syscall(SYS_mount, nullptr, nullptr, nullptr, 0L, nullptr); }},
    {"umount2", [] { return ::syscall(SYS_umount2, nullptr, 0L); }},
    {"pivot_root", [] { return ::syscall(SYS_pivot_root, nullptr, nullptr); }},
    {"chroot", [] { return ::syscall(SYS_chroot, "/"); }},
    {"unshare", [] { return ::syscall(SYS_unshare, 0L); }},
    {"open_by_handle_at", [] { return ::syscall(SYS_open_by_handle_at, -1L, nullptr, 0L); }},
    {"perf_event_open", [] { return ::syscall(SYS_perf_event_open, nullptr, 0L, -1L, -1L, 0L); }},
    {"userfaultfd", [] { return ::syscall(SYS_userfaultfd, -1L); }},
    {"io_uring_setup", [] { return ::syscall(SYS_io_uring_setup, 0L, nullptr); }},
    {"keyctl", [] { return ::syscall(SYS_keyctl, -1L); }},
    {"add_key", [] { return ::syscall(SYS_add_key, nullptr, nullptr, nullptr, 0L, 0L); }},
    {"process_vm_readv", [] { return ::syscall(SYS_process_vm_readv, 0L, nullptr, 0L, nullptr, 0L, -1L); }},
    {"clock_settime", [] { return ::syscall(SYS_clock_settime, CLOCK_REALTIME, nullptr); }},
    {"settimeofday", [] { return ::syscall(SYS_settimeofday, nullptr, nullptr); }},
    {"swapon", [] { return ::syscall(SYS_swapon, nullptr, 0L); }},
    {"quotactl", [] { return ::syscall(SYS_quotactl, -1L, nullptr, 0L, nullptr); }},
    {"sethostname", [] { return ::syscall(SYS_sethostname, nullptr, -1L); }},
    {"socket(AF_PACKET)", [] { return ::syscall(SYS_socket, AF_PACKET, SOCK_DGRAM, 0L); }},
    {"socket(AF_ALG)", [] { return ::syscall(SYS_socket, AF_ALG, SOCK_SEQPACKET, 0L); }},
    {"socket(AF_X25)", [] { return ::syscall(SYS_socket, AF_X25, SOCK_SEQPACKET, 0L); }},
    {"clone(CLONE_NEWUTS)",  // refused by the kernel as well, but by EINVAL: a thread needs its memory shared
     [] { return ::syscall(SYS_clone, CLONE_NEWUTS | CLONE_THREAD, nullptr, nullptr, nullptr, nullptr); }},
};
constexpr Call kNamespaces = {"setns", [] { return ::syscall(SYS_setns, -1L, 0L); }};
constexpr Call kPrograms[] = {
    {"execve", [] { return ::syscall(SYS_execve, nullptr, nullptr, nullptr); }},
    {"execveat", [] { return ::syscall(SYS_execveat, -1L, nullptr, nullptr, nullptr, 0L); }},
    {"fork",
     [] {
       const pid_t pid = ::fork();
       if (pid == 0) ::_exit(0);
       return static_cast<long>(pid);
     }},
};
constexpr Call kTracing = {"ptrace", [] { return ::syscall(SYS_ptrace, PTRACE_DETACH, 0L, nullptr, 0L); }};

bool refused(const Call& call) {
  errno = 0;
  return call.make() == -1 && errno == EPERM;
}

// What `look` says is wrong, in a process that `begin` has begun.
std::string wrong_in(const std::function<bool()>& begin, const std::function<void(std::string&)>& look) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    std::string wrong;
    if (begin()) {
      look(wrong);
    } else {
      wrong = "it does not begin";
    }
    ::_exit(::write(ends[1], wrong.data(), wrong.size()) == static_cast<ssize_t>(wrong.size()) ? 0 : 1);
  }
  ::close(ends[1]);
  std::array<char, 4096> text{};
  std::string told;
  for (ssize_t n = 0; (n = ::read(ends[0], text.data(), text.size())) > 0;)
    told.append(text.data(), static_cast<std::size_t>(n));
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK(status == 0);
  return told;
}

std::string wrong_with(SystemCallNeeds needs, const std::function<void(std::string&)>& look) {
  return wrong_in([&] { return refuse_system_calls(needs).has_value(); }, look);
}

TEST_CASE("what a running daemon has no use for is refused", "[daemon][system calls]") {
  CHECK(wrong_with({}, [](std::string& wrong) {
          const auto expect = [&](const Call& call, bool is) {
            if (refused(call) != is) wrong += std::string(call.name) + " ";
          };
          for (const Call& call : kAlways) expect(call, true);
          expect(kNamespaces, true);
          for (const Call& call : kPrograms) expect(call, !kSanitized);
          expect(kTracing, !kSanitized);
        }) == "");
}

TEST_CASE("what a process needs it may do, and nothing beside", "[daemon][system calls]") {
  CHECK(wrong_with({.namespaces = true}, [](std::string& wrong) {
          for (const Call& call : kAlways)
            if (!refused(call)) wrong += std::string(call.name) + " ";
          if (refused(kNamespaces)) wrong += "setns ";
        }) == "");
}

TEST_CASE("threads, the sockets of sinks and a look at the clock are left alone", "[daemon][system calls]") {
  CHECK(wrong_with({}, [](std::string& wrong) {
          int ran = 0;
          std::thread([&] { ran = refused(kAlways[0]) ? 1 : 2; }).join();
          if (ran != 1) wrong += "thread ";
          for (const int family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK}) {
            const int type = family == AF_NETLINK ? SOCK_RAW : SOCK_STREAM;
            if (::socket(family, type | SOCK_CLOEXEC, 0) < 0)
              wrong += "socket " + std::to_string(family) + " ";
          }
          timex kernel{};
          if (::adjtimex(&kernel) < 0) wrong += "adjtimex ";
        }) == "");
}

TEST_CASE("a kernel that has no filters is told, and nothing else happens", "[daemon][system calls]") {
  const auto take_filters_away = [] {
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(seccomp), 0) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1,
                            scmp_arg_cmp{0, SCMP_CMP_EQ, PR_SET_SECCOMP, 0}) == 0 &&
           seccomp_load(filter) == 0;
  };
  CHECK(wrong_in(take_filters_away, [](std::string& wrong) {
          const auto result = refuse_system_calls({});
          if (result || result.error().kind != ErrorKind::kUnavailable) wrong += "no error ";
          if (refused(kNamespaces)) wrong += "setns ";
        }) == "");
}

}  // namespace
}  // namespace natsession::testing
