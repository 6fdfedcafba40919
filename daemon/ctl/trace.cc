// natsessionctl trace: which private host was behind this address and port at that time?
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <map>
#include <memory>
#include <set>

#include <fmt/format.h>

#include "ask/answer_printer.h"
#include "ask/log_access.h"
#include "ask/log_options.h"
#include "ask/trace_list.h"
#include "ask/trace_question.h"
#include "ask/trace_text.h"
#include "command.h"
#include "words.h"

namespace natsession::ctl {
namespace {

struct TraceCommand {
  TraceWords words;
  std::vector<std::string> given;  // without options
  std::string file;
  std::size_t candidates = 20;
  LogOptions log;  // --csv alone
};

Result<std::string> read_input(const std::string& path) {
  std::string text;
  if (path == "-") {
    text = read_stream(stdin, kMaxListBytes);
    if (std::ferror(stdin) != 0) return Error{ErrorKind::kIo, "--file: standard input cannot be read"};
  } else {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), std::fclose);
    if (!file) return system_error("--file " + path, errno, ErrorKind::kUsage);
    text = read_stream(file.get(), kMaxListBytes);
    if (std::ferror(file.get()) != 0) return system_error("--file " + path, errno);
  }
  if (text.size() <= kMaxListBytes) return text;
  return Error{ErrorKind::kUsage,
               fmt::format("--file: more than {}: ask in parts", bytes_in_words(kMaxListBytes))};
}

// The daemon looks through the whole table each time that it is asked.
constexpr std::size_t kMostAsked = 100;

// What is to be asked of open sessions, so that the daemon tells no others.
std::vector<QueryArguments> live_questions(const std::vector<TraceQuestion>& questions, UnixMs now) {
  std::map<std::string, std::set<std::uint32_t>> ports;  // by address; kAnyPort: all
  constexpr std::uint32_t kAnyPort = 65536;
  for (const TraceQuestion& question : questions) {
    if (!concerns_live(question.until, now)) continue;
    ports[question.nat_ip.to_string()].insert(question.nat_port ? *question.nat_port : kAnyPort);
  }
  std::vector<QueryArguments> asked;
  for (const auto& [address, of_address] : ports) {
    if (of_address.contains(kAnyPort)) {
      asked.push_back({{"nat_ip", address}});
      continue;
    }
    std::size_t count = 0;
    for (const std::uint32_t port : of_address) {
      if (count++ % SessionFilter::kMaxPorts == 0) asked.push_back({{"nat_ip", address}, {"nat_port", ""}});
      std::string& list = asked.back().back().second;
      list += (list.empty() ? "" : ",") + std::to_string(port);
    }
  }
  if (asked.size() > kMostAsked) return {QueryArguments()};
  return asked;
}

// Sessions that are open now, if one of the questions may be about them. To be asked before the ledger is
// opened: what ended meanwhile is in it then.
LiveLog live_for(const Global& global, const std::vector<TraceQuestion>& questions, UnixMs now) {
  const std::vector<QueryArguments> asked = live_questions(questions, now);
  if (asked.empty()) return {};
  LiveLog live = ask_live(global, asked);
  if (!live.told) {
    fmt::print(
        stderr,
        "natsessionctl: trace: warning: sessions that are open are known by their last records only, as the "
        "daemon cannot be asked: {}\n",
        printable(live.why));
  }
  if (live.more) {
    fmt::print(stderr,
               "natsessionctl: trace: warning: more sessions are open than the daemon tells at once, {}\n",
               grouped(live.records.size()));
  }
  return live;
}

Result<TraceResult> find_sessions(LogAccess& log, const std::vector<TraceQuestion>& questions,
                                  const TraceCommand& options, const LiveLog& live) {
  TraceOptions how;
  how.max_candidates = options.candidates;
  how.live = live.records;
  how.live_at = live.proved_at();
  auto result = trace(log.store(), questions, how, log.control());
  log.end_progress();
  return result;
}

// More than one where the clocks showed the time twice.
int answer_one(const Global& global, const TraceCommand& options, UnixMs now) {
  TraceWords words = options.words;
  if (auto taken = take_words(options.given, words); !taken) return fail("trace", taken.error());
  const auto asked = read_question(words, now);
  if (!asked) return fail("trace", asked.error());
  const auto shape = shape_of(global, options.log);
  if (!shape) return fail("trace", shape.error());
  std::vector<TraceQuestion> questions;
  for (const AskedQuestion& one : *asked) {
    questions.push_back(one.question);
    if (!one.warning.empty()) warn("trace", {one.warning});
  }
  const LiveLog live = live_for(global, questions, now);
  const auto log = LogAccess::open(global);
  if (!log) return fail("trace", log.error());
  const auto result = find_sessions(**log, questions, options, live);
  if (!result) return fail("trace", result.error());
  if (result->report.cancelled) return (*log)->interrupted("trace");
  const TraceNames names = trace_names(IdentityAccess::open(global), questions, *result);
  std::string text;
  bool found = false;
  std::set<std::string> told;  // two questions of one time may have the same to say
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const TraceAnswer& answer = result->answers[i];
    for (const std::string& note :
         notes_of(answer.gaps, answer.gap_count(), answer.troubles, answer.troubles.size())) {
      if (told.insert(note).second) warn("trace", {note});
    }
    if (i > 0) text += global.json ? ",\n" : "\n";
    text += global.json ? trace_json((*asked)[i], answer, result->span, names, i)
                        : trace_text((*asked)[i], answer, result->span, screen().colours, names, i);
    found = found || answer.found();
  }
  if (*shape == Shape::kCsv) text = trace_list_csv({',', {}, {{{}, 0, {}, *asked}}}, *result, names);
  if (global.json) text = questions.size() > 1 ? "[\n" + text + "\n]\n" : text + "\n";
  const int status = print(text);
  if (status != kDone) return status;
  return found ? kDone : kFailed;
}

int answer_list(const Global& global, const TraceCommand& options, UnixMs now) {
  if (const auto shape = shape_of(global, options.log); !shape) return fail("trace", shape.error());
  const TraceWords& words = options.words;
  if (!options.given.empty() || !words.nat.empty() || !words.at.empty() || !words.since.empty() ||
      !words.until.empty() || !words.pub.empty() || !words.protocol.empty()) {
    return fail(
        "trace",
        {ErrorKind::kUsage,
         "--file has the questions: an address, --nat, --at, --since, --until, --pub and --proto do not go "
         "with it"});
  }
  const auto text = read_input(options.file);
  if (!text) return fail("trace", text.error());
  const auto list = read_trace_list(*text, words, now);
  if (!list) return fail("trace", list.error());
  std::size_t bad = 0;
  for (const ListedQuestion& listed : list->questions) {
    if (listed.wrong.empty()) continue;
    ++bad;
    fmt::print(stderr, "natsessionctl: trace: {} line {}: {}\n", options.file, listed.line,
               printable(listed.wrong));
  }
  const std::vector<TraceQuestion> questions = questions_of(*list);
  const LiveLog live = live_for(global, questions, now);
  const auto log = LogAccess::open(global);
  if (!log) return fail("trace", log.error());
  const auto result = find_sessions(**log, questions, options, live);
  if (!result) return fail("trace", result.error());
  if (result->report.cancelled) return (*log)->interrupted("trace");
  const TraceNames names = trace_names(IdentityAccess::open(global), questions, *result);
  const int status =
      print(global.json ? trace_list_json(*list, *result, names) : trace_list_csv(*list, *result, names));
  const auto found = static_cast<std::uint64_t>(std::count_if(result->answers.begin(), result->answers.end(),
                                                              [](const auto& one) { return one.found(); }));
  fmt::print(stderr, "natsessionctl: trace: {} questions: {} found, {} not{}\n",
             grouped(questions.size() + bad), grouped(found), grouped(questions.size() - found),
             bad == 0 ? "" : fmt::format(", {} that cannot be read", grouped(bad)));
  return status != kDone ? status : bad == 0 ? kDone : kFailed;
}

int run_trace(const Global& global, const TraceCommand& options) {
  const UnixMs now = now_ms();
  return options.file.empty() ? answer_one(global, options, now) : answer_list(global, options, now);
}

}  // namespace

void add_trace(Commands& commands) {
  Command command = commands.add("trace", "Who was behind this address and port at that time?");
  const auto options = std::make_shared<TraceCommand>();
  TraceWords& words = options->words;
  command.arguments("question", options->given, "ADDRESS[:PORT] [TIME]",
                    "The translated end and when, in words: 203.0.113.7:40123 yesterday 14:57");
  command.option(kNatOption, words.nat, "END", "The same: address, address:port, or 'address port'");
  command.option("--at", words.at, "TIME",
                 "When: '2026-11-21 14:57', '21/Nov/2026:14:57:03 +0100', '2 hours ago', Unix seconds ...");
  command.option("--since", words.since, "TIME", "Instead of --at: at any time from this");
  command.option("--until", words.until, "TIME", "to this; default now");
  command.option(kPubOption, words.pub, "END", "The peer: address, address:port or :port");
  command.option(kProtocolOption, words.protocol, "PROTOCOL", "tcp, udp, icmp ... or a number");
  command.option("--netns", words.netns, "NAME", "Of this network namespace alone");
  command.option("--slack", words.slack, "DURATION", "How far clocks may differ; default 5s");
  command.option("-n,--candidates", options->candidates, 1, 100'000, "N",
                 "At most so many for a question; default 20");
  command.option("-f,--file", options->file, "FILE",
                 "A list of questions in CSV, - for standard input: nat_ip, nat_port, time "
                 "and, if wanted, protocol, pub_ip, pub_port, or named by its first line; answers in CSV");
  add_csv_option(command, options->log);
  command.footer(
      "Examples:\n  natsessionctl trace 203.0.113.7:40123 yesterday 14:57\n"
      "  natsessionctl trace 203.0.113.7 port 40123 'Sat, 21 Nov 2026 14:57:03 +0100'\n"
      "  natsessionctl trace --nat 203.0.113.7:40123 --proto tcp --at 'yesterday 14:57' --pub "
      "198.51.100.9:443\n"
      "  natsessionctl trace --nat '[2001:db8::7]:40123' --since -2h\n"
      "  natsessionctl --ledger /mnt/evidence/ledger trace --file questions.csv >answers.csv\n\n"
      "Exit status: 0 found; 1 no such session, or questions that cannot be read; 130 interrupted.");
  command.run([options](const Global& global) { return run_trace(global, *options); });
}

}  // namespace natsession::ctl
