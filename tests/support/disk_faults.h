// A disk that fails when a test says so: pwrite(), fdatasync() and fsync() of this program, which a test's
// executable defines for itself (disk_faults.cc is to be among its sources). What succeeds is written down.
// Threads: any.
#pragma once

#include <string>
#include <vector>

namespace natsession::testing {

struct DiskFaults {
  // An error number for every call from now on; 0: none.
  int write = 0;
  int sync = 0;
  // Calls on other files succeed. Empty: all fail.
  std::string only_below = {};
};

// The faults hold while the object lives. There is one at a time.
class FailingDisk {
 public:
  explicit FailingDisk(DiskFaults faults);
  FailingDisk(const FailingDisk&) = delete;
  FailingDisk& operator=(const FailingDisk&) = delete;
  ~FailingDisk();

  void set(DiskFaults faults);
  // "write PATH", "sync PATH", in their order, since the object was made.
  [[nodiscard]] std::vector<std::string> done() const;
};

}  // namespace natsession::testing
