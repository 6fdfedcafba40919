// RecordTexts: what records point to, kept for those that outlive the batch that they come from.
// Threads: one at a time.
#pragma once

#include <deque>
#include <string>

#include "record/session_record.h"

namespace natsession {

class RecordTexts {
 public:
  // Texts are few: instances, namespaces, networks. Further ones are not kept, and a record's are empty then.
  static constexpr std::size_t kMaxTexts = 10'000;

  // From now on the record points into this object.
  void keep(SessionRecord& record);

 private:
  std::deque<Origin> origins_;
  std::deque<std::string> vpcs_;
};

}  // namespace natsession
