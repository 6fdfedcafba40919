// InterfaceNames: the interfaces of a network namespace, and of each the label that records have of it.
// Threads: one at a time: the caller's, who waits for fd() and calls refresh().
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "routes/interface_table.h"

namespace natsession {

// `name` as a label; kUnknownInterface where no more labels can be had.
[[nodiscard]] std::string_view label_of_interface(std::string_view name);

class InterfaceNames {
 public:
  explicit InterfaceNames(InterfaceTable table) : table_(std::move(table)) {}

  [[nodiscard]] int fd() const { return table_.fd(); }
  // Takes what the kernel has told since; true: that changed something. Never blocks.
  bool refresh();
  // A label, also of one that is gone; kUnknownInterface for one that was never there.
  [[nodiscard]] std::string_view name_of(std::uint32_t index);
  [[nodiscard]] const InterfaceTable& table() const { return table_; }

 private:
  InterfaceTable table_;
  std::unordered_map<std::uint32_t, std::string_view> labels_;  // to intern one takes a lock
};

}  // namespace natsession
