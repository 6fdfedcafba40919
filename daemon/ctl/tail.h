// TailPrinter: records and gaps of a ledger as lines of text, as natsessionctl tail shows them.
// Threads: one.
#pragma once

#include <memory>
#include <string>

#include "ledger/ledger_reader.h"
#include "record/encoder.h"

namespace natsession::ctl {

class TailPrinter {
 public:
  TailPrinter(RecordFormat format, TimeFormat time_format);

  // Appends the lines of these records; before the first of all, the header where the format has one.
  void append(const RecordBlock& block, std::string& out);
  // Appends the gap record that stands for what is missing.
  void append(const Skipped& skipped, std::string& out);

 private:
  void begin(bool with_netns, std::string& out);

  RecordFormat format_;
  TimeFormat time_format_;
  std::unique_ptr<Encoder>
      encoder_;    // made with the first record: it says whether there are several namespaces
  Origin origin_;  // of the last record: whose log a gap is in
};

}  // namespace natsession::ctl
