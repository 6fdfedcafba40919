// Makes the files that query_bench asks: the generated day as a sealed ledger, and the same records as JSON
// lines, as a SQLite table with an index, and as nfdump's files.
#pragma once

#include <cstdint>
#include <string>

namespace natsession::bench {

struct MakeOptions {
  std::uint64_t sessions = 1'000'000;
  std::string directory;  // DIR/ledger, DIR/log.json, DIR/log.db, DIR/flows/000 … 143
  bool json = false;
  bool sqlite = false;
  bool flows = false;  // by sending NetFlow 9 to nfcapd over loopback: one directory for ten minutes
};

// Prints what was made and how large it is; ends the program when something fails.
void make_files(const MakeOptions& options);

}  // namespace natsession::bench
