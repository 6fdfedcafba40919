#include "system_calls.h"

#include <sys/socket.h>

#include <cerrno>
#include <initializer_list>
#include <memory>
#include <string_view>

#include <sched.h>
#include <seccomp.h>

namespace natsession {
namespace {

constexpr bool kSanitized = !std::string_view(NATSESSION_SANITIZE).empty();

// Where clone() has its flags.
#if defined(__s390__)
constexpr unsigned kCloneFlags = 1;
#else
constexpr unsigned kCloneFlags = 0;
#endif

// Not here: adjtimex and clock_adjtime, by which age_clock.h asks how good the clock is. What they would be
// told stands in memory, where no filter sees it; and without CAP_SYS_TIME they set nothing.
constexpr const char* kAlways[] = {
    // another kernel, or other code in this one
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "bpf",
    // another view of the machine
    "mount", "umount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "fsopen", "fsconfig",
    "fsmount", "fspick", "mount_setattr", "unshare", "open_by_handle_at", "fanotify_init",
    // other processes
    "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp",
    // the machine's own affairs
    "settimeofday", "clock_settime", "stime", "swapon", "swapoff", "quotactl", "quotactl_fd", "acct",
    "sethostname", "setdomainname", "iopl", "ioperm", "vhangup", "syslog", "nfsservctl", "uselib",
    // parts of the kernel that had many faults, and are of no use here
    "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "add_key",
    "request_key", "keyctl", "lookup_dcookie", "modify_ldt", "vm86", "vm86old"};

constexpr const char* kNamespaces[] = {"setns"};
// These the leak checker, and who names the functions of a report, need.
constexpr const char* kPrograms[] = {"execve", "execveat", "fork", "vfork"};
constexpr const char* kTracing[] = {"ptrace"};

constexpr auto kNewNamespace = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};

// A filter under way. After the first rule that could not be added the others are not.
class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ALLOW)), error_(context_ ? 0 : ENOMEM) {}

  // A name that this machine's architecture has no call for is nothing.
  void refuse(const char* name, std::initializer_list<scmp_arg_cmp> where = {}, int answer = EPERM) {
    const int call = seccomp_syscall_resolve_name(name);
    if (error_ != 0 || call == __NR_SCMP_ERROR) return;
    keep(seccomp_rule_add_array(context_.get(), SCMP_ACT_ERRNO(static_cast<unsigned>(answer)), call,
                                static_cast<unsigned>(where.size()), where.begin()));
  }
  template <std::size_t N>
  void refuse_all(const char* const (&names)[N]) {
    for (const char* name : names) refuse(name);
  }
  // Returns errno, or 0. For all threads, also one that a sanitizer began.
  [[nodiscard]] int load() {
    if (error_ == 0) keep(seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_TSYNC, 1));
    if (error_ == 0) keep(seccomp_load(context_.get()));
    return error_;
  }

 private:
  void keep(int result) {
    if (result < 0) error_ = -result;
  }
  struct Release {
    void operator()(void* context) const { seccomp_release(context); }
  };

  std::unique_ptr<void, Release> context_;
  int error_;
};

void refuse_families(Filter& filter) {
  constexpr int kHighest = AF_NETLINK;
  for (int family = AF_UNSPEC; family < kHighest; ++family) {
    if (family == AF_UNIX || family == AF_INET || family == AF_INET6) continue;
    filter.refuse("socket", {{0, SCMP_CMP_EQ, static_cast<scmp_datum_t>(family), 0}});
  }
  filter.refuse("socket", {{0, SCMP_CMP_GT, kHighest, 0}});
}

}  // namespace

Result<void> refuse_system_calls(SystemCallNeeds needs) {
  Filter filter;
  filter.refuse_all(kAlways);
  refuse_families(filter);
  // clone3() has its flags in memory. The C library goes on with clone() where there is none.
  filter.refuse("clone3", {}, ENOSYS);
  for (const int flag : kNewNamespace) {
    const auto bit = static_cast<scmp_datum_t>(flag);
    filter.refuse("clone", {{kCloneFlags, SCMP_CMP_MASKED_EQ, bit, bit}});
  }
  if (!needs.namespaces) filter.refuse_all(kNamespaces);
  if (!kSanitized) {
    filter.refuse_all(kTracing);
    filter.refuse_all(kPrograms);
    filter.refuse("clone", {{kCloneFlags, SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0}});
  }
  if (const int error_number = filter.load(); error_number != 0)
    return system_error("seccomp", error_number, ErrorKind::kUnavailable);
  return {};
}

}  // namespace natsession
