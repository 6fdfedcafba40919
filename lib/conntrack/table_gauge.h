// TableGauge: how full the conntrack table of one network namespace is.
// Opened in the namespace of the calling thread (see NetworkNamespace), and stays with it.
// Threads: one at a time.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "session/table_guard.h"

namespace natsession {

class TableGauge {
 public:
  // Errors: kUnavailable if nf_conntrack is not loaded.
  [[nodiscard]] static Result<TableGauge> open();

  // Two reads of /proc, some microseconds.
  // Errors: kIo, with the cause.
  [[nodiscard]] Result<TableUsage> read() const;

 private:
  TableGauge(UniqueFd count, UniqueFd max) : count_(std::move(count)), max_(std::move(max)) {}
  UniqueFd count_;
  UniqueFd max_;
};

}  // namespace natsession
