// natsessionctl identity: whose an address was, what a subscriber had, and deleting it.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "ask/answer_printer.h"
#include "ask/identity_access.h"
#include "ask/log_access.h"
#include "ask/log_options.h"
#include "base/help_text.h"
#include "command.h"
#include "config/text.h"
#include "identity/identity_forget.h"
#include "query/time_text.h"

namespace natsession::ctl {
namespace {

using WhoJson = nlohmann::ordered_json;

constexpr std::string_view kIdentityActions[] = {"who", "list", "forget"};

struct IdentityCommand {
  std::string action, what;
  std::vector<std::string> words;
  std::string at, slack, netns;
  std::string subscriber, mac, host, source, kind;
  std::size_t limit = 1'000;
  bool open = false, yes = false;
  LogOptions log;  // --since, --until, --csv
};

Error wrong_part(std::string_view option, const Error& error) {
  return {error.kind, fmt::format("{}: {}", option, error.message)};
}

struct AskedWho {
  std::vector<IdentityQuestion> questions;  // more than one where the clocks showed the time twice
  bool now = false;
};

Result<AskedWho> read_who(const IdentityCommand& asked, UnixMs now) {
  IdentityQuestion question;
  const auto address = IpAddress::parse(asked.what);
  if (!address) return wrong_part("ADDRESS", address.error());
  question.address = *address;
  question.netns = asked.netns;
  if (!asked.slack.empty()) {
    const auto slack = parse_duration(asked.slack);
    if (!slack) return wrong_part("--slack", slack.error());
    question.slack = *slack;
  }
  std::string at = asked.at;
  for (const std::string& word : asked.words) at += (at.empty() ? "" : " ") + word;
  if (at.starts_with("at ")) at.erase(0, 3);
  question.from = question.until = now;
  AskedWho who{{question}, at.empty()};
  if (at.empty()) return who;
  const auto time = read_time("identity", "--at", at, now);
  if (!time) return time.error();
  if (time->time > now + question.slack) {
    return usage_error(fmt::format("--at: '{}' is still to come: {}; now it is {}", at, describe(*time),
                                   format_local_time(now)));
  }
  who.questions.front().from = time->time;
  who.questions.front().until = std::min(time->last(), std::max(now, time->time));
  if (time->again) {
    who.questions.push_back(who.questions.front());
    who.questions.back().from = *time->again;
    who.questions.back().until += *time->again - time->time;
  }
  return who;
}

std::string who_text(const IdentityQuestion& question, const IdentityAnswer& answer, const Screen& on) {
  constexpr std::size_t kLabel = 12;
  std::string out;
  const auto line = [&](std::string_view title, const std::string& text, Paint paint = Paint::kPlain) {
    std::string_view label = title;
    for (const std::string& part : wrapped(printable(text), kHelpWidth - kLabel)) {
      out += painted(fmt::format("{:<{}}", label, kLabel), Paint::kTitle, on.colours) +
             painted(part, paint, on.colours) + "\n";
      label = "";
    }
  };
  line("Asked", question.address.to_string() +
                    (question.netns.empty() ? "" : ", network namespace " + question.netns));
  std::string time = format_local_time(question.from);
  if (question.until != question.from) time += " to " + format_local_time(question.until);
  line("at", fmt::format("{}, give or take {}, zone {}", time, format_duration(question.slack),
                         local_zone_text(question.from)));
  std::string_view label = "Who";
  const Paint paint = answer.verdict == IdentityVerdict::kCertain ? Paint::kGood : Paint::kWarning;
  const std::vector<std::string> lines = subscriber_lines(answer);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    line(label, lines[i], i == 0 ? paint : Paint::kPlain);
    label = "";
  }
  return out;
}

int run_who(const Global& global, const IdentityCommand& asked) {
  const auto who = read_who(asked, now_ms());
  if (!who) return fail("identity", who.error());
  if (asked.log.csv) return fail("identity", usage_error("--csv: of list alone"));
  const IdentityAccess access = IdentityAccess::open(global);
  if (access.names() == nullptr) return fail("identity", access.error());
  IdentityReader& reader = access.names()->reader();
  std::string text;
  bool named = false;
  for (IdentityQuestion question : who->questions) {
    // "Now" is as far as the log has come, if that was just now.
    const auto until = reader.followed_until();
    if (who->now && until && *until < question.from && question.from - *until <= std::chrono::seconds(30))
      question.from = question.until = *until;
    const IdentityAnswer answer = reader.who(question);
    named = named || !answer.holders.empty();
    if (!text.empty()) text += global.json ? ",\n" : "\n";
    if (!global.json) {
      text += who_text(question, answer, screen());
      continue;
    }
    WhoJson json{{"question",
                  {{"address", question.address.to_string()},
                   {"from", format_local_rfc3339(question.from)},
                   {"until", format_local_rfc3339(question.until)},
                   {"slack", format_duration(question.slack)}}}};
    if (!question.netns.empty()) json["question"]["netns"] = question.netns;
    json.update(WhoJson::parse(subscriber_json(answer)));
    text += json.dump(2, ' ', false, WhoJson::error_handler_t::replace);
  }
  if (global.json) text = who->questions.size() > 1 ? "[\n" + text + "\n]\n" : text + "\n";
  const int status = print(text);
  return status != kDone ? status : named ? kDone : kFailed;
}

Result<IdentityFilter> read_filter(const IdentityCommand& asked) {
  IdentityFilter filter;
  filter.subscriber = asked.subscriber;
  filter.mac = asked.mac;
  filter.host = asked.host;
  filter.source = asked.source;
  filter.netns = asked.netns;
  filter.open = asked.open;
  if (!asked.what.empty()) {
    const auto within = Prefix::parse(asked.what);
    if (!within) return wrong_part("PREFIX", within.error());
    filter.within = *within;
  }
  if (!asked.kind.empty()) {
    filter.kind = parse_assignment_kind(asked.kind);
    if (!filter.kind)
      return usage_error("--kind: '" + printable(asked.kind) +
                         "' is none of lease, delegation, session, neighbour, static, other");
  }
  if (!asked.log.since.empty() || !asked.log.until.empty()) {
    // Without a beginning: from the first on.
    LogOptions times = asked.log;
    const auto time = read_times("identity", times, std::chrono::hours(24 * 366 * 50));
    if (!time) return time.error();
    if (!times.since.empty()) filter.from = time->from;
    filter.until = time->until;
  }
  return filter;
}

int run_list(const Global& global, const IdentityCommand& asked) {
  const auto shape = shape_of(global, asked.log);
  if (!shape) return fail("identity", shape.error());
  const auto filter = read_filter(asked);
  if (!filter) return fail("identity", filter.error());
  const IdentityAccess access = IdentityAccess::open(global);
  if (access.names() == nullptr) return fail("identity", access.error());
  IdentityReader& reader = access.names()->reader();
  AnswerPrinter answer(*shape, screen());
  answer.begin({{"subscriber"},
                {"prefix"},
                {"kind"},
                {"from"},
                {"until"},
                {"mac"},
                {"host"},
                {"netns"},
                {"source"},
                {"id"},
                {"from_earliest"},
                {"until_latest"}});
  const auto text = [](std::string_view value) {
    return value.empty() ? AnswerValue(std::monostate()) : AnswerValue(std::string(value));
  };
  const auto time = [](const std::optional<UnixMs>& value) {
    return value ? AnswerValue(*value) : AnswerValue(std::monostate());
  };
  std::size_t rows = 0;
  bool taken = true, more = false;
  const Interrupt interrupt;
  reader.list(*filter, [&](const AssignmentView& one) {
    if (rows == asked.limit) more = true;
    if (more || Interrupt::asked()) return false;
    ++rows;
    taken = answer.row({std::string(one.subscriber), one.prefix.to_string(), std::string(to_string(one.kind)),
                        one.from, time(one.until), text(one.mac), text(one.host), text(one.netns),
                        std::string(one.source), text(one.id), one.from_earliest, time(one.until_latest)});
    return taken;
  });
  if (!taken) return kFailed;
  ScanReport report;
  report.cancelled = Interrupt::asked();
  for (const IdentityDamage& one : reader.damage()) {
    report.missing += (report.missing.empty() ? "" : "; ") + one.what;
  }
  const int status = answer.finish(report);
  for (const IdentityDamage& one : reader.damage())
    fmt::print(stderr, "natsessionctl: identity: warning: {}\n", printable(one.what));
  if (more)
    fmt::print(stderr, "natsessionctl: identity: these are the first {}; --limit N shows more\n",
               grouped(rows));
  return report.cancelled ? kInterrupted : status;
}

bool asked_back(const std::string& subscriber, const std::string& ledger) {
  fmt::print(stderr,
             "All that {}/identity says of the subscriber '{}' will be deleted for good. Type yes to go on: ",
             ledger, printable(subscriber));
  std::string line;
  for (int c = std::getchar(); c != EOF && c != '\n' && line.size() < 16; c = std::getchar())
    line += static_cast<char>(c);
  return line == "yes";
}

int run_forget(const Global& global, const IdentityCommand& asked) {
  const auto ledger = ledger_directory(global);
  if (!ledger) return fail("identity", ledger.error());
  if (IdentityReader::is_absent(*ledger)) return fail("identity", IdentityAccess::open(global).error());
  if (!asked.yes && !asked_back(asked.what, *ledger)) {
    fmt::print(stderr, "natsessionctl: identity: nothing was deleted\n");
    return kFailed;
  }
  const Interrupt interrupt;
  const auto done = forget_subscriber(*ledger, asked.what, now_ms(), [] { return !Interrupt::asked(); });
  if (!done) return fail("identity", done.error());
  const ForgetReport& report = done->report;
  if (global.json) {
    const WhoJson json{{"subscriber", asked.what},
                       {"deleted", report.assignments},
                       {"open", report.open},
                       {"files", report.files},
                       {"by", done->by_daemon ? "daemon" : "natsessionctl"}};
    return print(json.dump(2, ' ', false, WhoJson::error_handler_t::replace) + "\n");
  }
  return print(
      fmt::format("deleted: {} assignments of {}, of which {} were open; {} files were written anew{}\n",
                  grouped(report.assignments), printable(asked.what), grouped(report.open),
                  grouped(report.files), done->by_daemon ? ", by the daemon" : ""));
}

int run_identity(const Global& global, const IdentityCommand& asked) {
  const std::string& action = asked.action;
  if (std::find(std::begin(kIdentityActions), std::end(kIdentityActions), action) ==
      std::end(kIdentityActions)) {
    const std::vector<std::string> known(std::begin(kIdentityActions), std::end(kIdentityActions));
    const std::string_view meant = nearest(action, known);
    return fail("identity", usage_error("unknown action '" + printable(action) + "'" +
                                        (meant.empty() ? "; there are who, list, forget"
                                                       : ": did you mean " + std::string(meant) + "?")));
  }
  if (action != "who" && !asked.words.empty())
    return fail("identity", usage_error(action + " does not take '" + printable(asked.words.front()) + "'"));
  if (action == "who" && asked.what.empty())
    return fail("identity", usage_error("who: whose address? 192.168.1.23"));
  if (action == "forget" && asked.what.empty())
    return fail("identity", usage_error("forget: whom? Give the name, as list shows it"));
  if (action == "who") return run_who(global, asked);
  return action == "list" ? run_list(global, asked) : run_forget(global, asked);
}

}  // namespace

void add_identity(Commands& commands) {
  Command command = commands.add("identity", "Whose was this address, what had a subscriber, and forget one");
  const auto asked = std::make_shared<IdentityCommand>();
  command.argument("action", asked->action, "ACTION", "who, list or forget", true);
  command.argument("what", asked->what, "WHAT",
                   "The address (who), a prefix (list; without it all), or the subscriber (forget)", false);
  command.arguments("time", asked->words, "TIME", "When (who), in words: yesterday 14:57; default now");
  command.option("--at", asked->at, "TIME", "The same (who): '2026-11-21 14:57', -2h, Unix seconds ...");
  command.option("--slack", asked->slack, "DURATION", "How far clocks may differ (who); default 5s");
  command.option("--netns", asked->netns, "NAME", "Of this network namespace");
  command.option("--subscriber", asked->subscriber, "NAME", "Of this subscriber (list)");
  command.option("--mac", asked->mac, "MAC", "With this MAC, as it is listed (list)");
  command.option("--host", asked->host, "NAME", "With this host name (list)");
  command.option("--source", asked->source, "URL", "Of this source (list)");
  command.option("--kind", asked->kind, "KIND",
                 "lease, delegation, session, neighbour, static or other (list)");
  command.flag("--open", asked->open, "That have not ended (list)");
  command.option("-n,--limit", asked->limit, 1, 100'000'000, "N", "At most so many (list); default 1000");
  add_time_options(command, asked->log, "list: that were so at any time from this; default: all");
  add_csv_option(command, asked->log);
  command.flag("-y,--yes", asked->yes, "Delete without asking back (forget)");
  command.footer(
      "An answer is certain where the source was followed at that time, and possible where a beginning or an "
      "end "
      "was not seen, or a change lies within --slack: then all who may have had the address are named, with "
      "why. "
      "'nobody' is said only where all sources were followed; else it is not known.\n\n"
      "forget deletes all assignments of a subscriber from every file. Where the daemon runs it does so and "
      "is "
      "waited for. Who may: root and the daemon's user.\n\n"
      "Who asks for names is written to the system's log (authpriv) before the answer.\n\n"
      "Examples:\n  natsessionctl identity who 192.168.1.23 yesterday 14:57\n"
      "  natsessionctl identity who 2001:db8:1::5 --at '2026-11-21 14:57:03' --slack 0s\n"
      "  natsessionctl identity list --subscriber alice --since -30d\n"
      "  natsessionctl identity list 10.1.0.0/16 --open\n"
      "  natsessionctl identity forget alice\n\n"
      "Exit status: 0 somebody is named, listed or deleted; 1 nobody is, or it could not be done; 3 there is "
      "no such log, or it may "
      "not be read; 130 interrupted.");
  command.run([asked](const Global& global) { return run_identity(global, *asked); });
}

}  // namespace natsession::ctl
