// Random questions over the generated day, whose answers are those of a search that reads every record.
#pragma once

#include <cstdint>
#include <string>

namespace natsession::bench {

struct CheckOptions {
  std::uint64_t sessions = 10'000'000;
  std::size_t questions = 1000;
  std::string directory;  // for the ledger: 20 bytes for each session
  unsigned threads = 0;
};

// Prints what it asked; ends the program when an answer is wrong.
void check_answers(const CheckOptions& options);

}  // namespace natsession::bench
