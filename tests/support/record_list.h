// A RecordOutput that keeps what it is given, for tests to look at.
#pragma once

#include <vector>

#include "record/record_output.h"

namespace natsession::testing {

class RecordList final : public RecordOutput {
 public:
  void emit(const SessionRecord& record) override { records.push_back(record); }
  [[nodiscard]] bool has_room() override { return room; }

  // What came since the last call.
  std::vector<SessionRecord> take() {
    std::vector<SessionRecord> taken;
    taken.swap(records);
    return taken;
  }

  std::vector<SessionRecord> records;
  bool room = true;
};

}  // namespace natsession::testing
