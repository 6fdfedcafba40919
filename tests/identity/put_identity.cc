// put_identity LEDGER <LINES: tells a log of assignments what stands on standard input, for tests of
// commands. A line is words with tabs between:
//   put     SOURCE NETNS PREFIX KIND SUBSCRIBER MAC HOST ID FROM FROM_EARLIEST [UNTIL UNTIL_LATEST]
//   follow  SOURCE FROM UNTIL
//   seal                        puts all that was told in order
//   wait                        does what it is asked to (forget), until standard input ends
// Times are ms since 1970.
#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>

#include "identity/identity_writer.h"

namespace {

using namespace natsession;

UnixMs time_of(const std::string& text) {
  return UnixMs(std::chrono::milliseconds(std::stoll(text)));
}

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words(1);
  for (const char c : line) {
    if (c == '\t')
      words.emplace_back();
    else
      words.back() += c;
  }
  return words;
}

void check(const Result<void>& done) {
  if (done) return;
  std::cerr << done.error().message << "\n";
  std::exit(1);
}

void tell(IdentityWriter& writer, const std::vector<std::string>& words) {
  const UnixMs now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  if (words[0] == "follow") writer.follow({words.at(1), time_of(words.at(2)), time_of(words.at(3))});
  if (words[0] == "seal") {
    check(writer.commit(true));
    // As if a file were a day old.
    for (int i = 0; i < 100; ++i) check(writer.tidy(now));
    for (int i = 0; i < 100; ++i) check(writer.tidy(now + std::chrono::hours(25)));
  }
  if (words[0] == "wait") {
    check(writer.commit(true));
    pollfd input{0, POLLIN, 0};
    while (::poll(&input, 1, 50) == 0) check(writer.tidy(now));
  }
  if (words[0] != "put") return;
  AddressAssignment one;
  one.source = words.at(1);
  one.netns = words.at(2);
  one.prefix = *Prefix::parse(words.at(3));
  one.kind = parse_assignment_kind(words.at(4)).value();
  one.subscriber = words.at(5);
  one.mac = words.at(6);
  one.host = words.at(7);
  one.id = words.at(8);
  one.from = time_of(words.at(9));
  one.from_earliest = time_of(words.at(10));
  if (words.size() > 12) {
    one.until = time_of(words[11]);
    one.until_latest = time_of(words[12]);
  }
  writer.put(one);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto writer = IdentityWriter::open(argv[1], {});
  if (!writer) {
    std::cerr << writer.error().message << "\n";
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    tell(**writer, words_of(line));
    if (line == "wait") break;
  }
  check((*writer)->commit(true));
  return 0;
}
