// Makes the seeds of fuzz_frame: small frames of records by chance, with and without a dictionary behind
// them. Usage: frame_seeds FOLDER
#include <cstdio>
#include <fstream>
#include <string>

#include "ledger/frame_fixture.h"

int main(int argc, char** argv) {
  using namespace natsession;
  using namespace natsession::testing;
  if (argc != 2) {
    std::fprintf(stderr, "usage: frame_seeds FOLDER\n");
    return 2;
  }
  for (const unsigned strange : {0U, 5U, 40U, 100U}) {
    for (const std::size_t count : {1U, 2U, 9U, 40U, 150U}) {
      RecordDice dice(strange * 1000 + count);
      const auto records = dice.roll_many(count, strange);
      const Peers peers = peers_of(records);
      for (const Effort effort : {Effort::kFast, Effort::kSmall}) {
        const auto write = [&](const PeerDictionary* with) {
          const std::string name = std::string(argv[1]) + "/dice-" + std::to_string(strange) + "-" +
                                   std::to_string(count) + (effort == Effort::kFast ? "-fast" : "-small") +
                                   (with != nullptr ? "-peers" : "");
          std::ofstream file(name, std::ios::binary | std::ios::trunc);
          file << frame_of(records, effort, 1000, with) << (with != nullptr ? with->bytes() : std::string());
        };
        write(nullptr);
        if (peers != nullptr) write(peers.get());
      }
    }
  }
  return 0;
}
