// The questions that a session log is for, over the generated CGNAT day (cgnat_day.h), in lib/query; query.sh
// runs it beside what people use today, and has the budgets.
//
// Workloads, each in a process of its own, so that its peak memory can be told: 1. a trace at a given time,
// warm; 2. a trace over the whole day; 3. 10,000 traces of a list at once; 4. the two statements of the surge
// question, over an hour;
// 5. the surge as a timeline by host; 6. the top hosts of the day, with all sums; 7. whole hours and
// minutes of the day from sums that are ready, and from the records; 8. the top hosts of ten minutes, in SQL;
// 9. SNAT ports in use.
//
// Usage: query_bench make DIR [--sessions N] [--json] [--sqlite] [--flows]
//        query_bench ask DIR [--threads N] [--only TEXT]
//                                               lines of name=value; times in seconds, memory in MB
//        query_bench check DIR [--sessions N] [--questions N] [--threads N]
//                                               random questions; a slow search has the same answers
//        query_bench --quick                    all of it, small

#include "bench/query_bench.h"

#include "support/temp_dir.h"

namespace natsession::bench {
namespace {

int run(int count, char** words) {
  const std::string command = count > 1 ? words[1] : "";
  if (command == "--quick") {
    const testing::TempDir directory;
    MakeOptions options;
    options.sessions = 50'000;
    options.directory = directory.file("day");
    options.json = options.sqlite = true;
    make_files(options);
    ask(options.directory, 2);
    CheckOptions check;
    check.sessions = 300'000;
    check.questions = 200;
    check.directory = directory.file("checked");
    check_answers(check);
    return 0;
  }
  if (count < 3 || (command != "make" && command != "ask" && command != "check")) {
    std::fprintf(
        stderr,
        "usage: query_bench make DIR [--sessions N] [--json] [--sqlite] [--flows] | ask DIR "
        "[--threads N] [--only TEXT] | check DIR [--sessions N] [--questions N] [--threads N] | --quick\n");
    return 2;
  }
  MakeOptions options;
  options.directory = words[2];
  CheckOptions check;
  unsigned threads = 0;
  std::string only;
  for (int i = 3; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--json") {
      options.json = true;
    } else if (word == "--sqlite") {
      options.sqlite = true;
    } else if (word == "--flows") {
      options.flows = true;
    } else if (word == "--sessions" && i + 1 < count) {
      options.sessions = check.sessions = std::strtoull(words[++i], nullptr, 10);
    } else if (word == "--questions" && i + 1 < count) {
      check.questions = std::strtoull(words[++i], nullptr, 10);
    } else if (word == "--only" && i + 1 < count) {
      only = words[++i];
    } else if (word == "--threads" && i + 1 < count) {
      threads = static_cast<unsigned>(std::strtoul(words[++i], nullptr, 10));
    } else {
      fail("unknown option " + word);
    }
  }
  if (command == "make") {
    make_files(options);
  } else if (command == "check") {
    check.directory = words[2];
    check.threads = threads;
    check_answers(check);
  } else {
    ask(options.directory, threads, only);
  }
  return 0;
}

}  // namespace
}  // namespace natsession::bench

int main(int count, char** words) {
  return natsession::bench::run(count, words);
}
