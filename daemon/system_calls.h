// System calls that a process of this program refuses itself once it runs, so that a fault in what reads the
// bytes of others (netlink, HTTP, TLS, files) is worth less to whoever found it.
//
// It is a list of what is refused, by EPERM, and not of what is allowed: what the C library and those of TLS,
// HTTP and names call changes with their versions, and a log that loses records after an upgrade of glibc
// would be a worse fault than those that are kept out.
// Threads: called while there is one; threads and processes begun later inherit it.
#pragma once

#include "base/result.h"

namespace natsession {

// What a process must be able to do, all the same.
struct SystemCallNeeds {
  bool namespaces = false;  // enter those that are there
};

// Refuses, for ever: what loads kernel modules or another kernel, mounts, enters or makes namespaces, reads
// or changes other processes, sets the clock, or reaches parts of the kernel that this program has no use for
// (bpf, perf, io_uring, userfaultfd, keys, socket families beyond UNIX, INET, INET6 and NETLINK), and what
// starts programs or processes, which helper_process.h has done before. Under a sanitizer what that needs for
// itself stays allowed.
// Errors: kUnavailable if the kernel has no seccomp filters, or refuses this one. Nothing is refused then.
Result<void> refuse_system_calls(SystemCallNeeds needs);

}  // namespace natsession
