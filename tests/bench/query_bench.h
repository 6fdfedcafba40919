// What the parts of query_bench share: making the files that it asks, asking them, and checking the answers.
// Each prints what it did as lines of name=value, and ends the program when something fails.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace natsession::bench {

[[noreturn]] inline void fail(const std::string& what) {
  std::fprintf(stderr, "query_bench: %s\n", what.c_str());
  std::exit(1);
}

struct MakeOptions {
  std::uint64_t sessions = 1'000'000;
  std::string directory;  // DIR/ledger, DIR/log.json, DIR/log.db, DIR/flows/000 … 143
  bool json = false;
  bool sqlite = false;
  bool flows = false;  // by sending NetFlow 9 to nfcapd over loopback: one directory for ten minutes
};

// The generated day as a sealed ledger, and the same records as JSON lines, as a SQLite table with an index,
// and as nfdump's files.
void make_files(const MakeOptions& options);

// Asks the ledger below `base` what query_bench.cc lists, and prints what each question took. `only`: no
// others than those with this text in their name are measured.
void ask(const std::string& base, unsigned threads, const std::string& only = {});

struct CheckOptions {
  std::uint64_t sessions = 10'000'000;
  std::size_t questions = 1000;
  std::string directory;  // for the ledger: 20 bytes for each session
  unsigned threads = 0;
};

// Random questions over the generated day, whose answers are those of a search that reads every record.
void check_answers(const CheckOptions& options);

}  // namespace natsession::bench
