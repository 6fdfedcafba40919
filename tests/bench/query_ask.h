// Asks a ledger of the generated day what query_bench.cc lists, and prints what each question took.
#pragma once

#include <string>

namespace natsession::bench {

// `base`/ledger; lines of name=value. Ends the program when something fails.
void ask(const std::string& base, unsigned threads);

}  // namespace natsession::bench
