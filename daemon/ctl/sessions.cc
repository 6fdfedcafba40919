// natsessionctl sessions: the sessions that are open now.
#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ask/answer_printer.h"
#include "ask/identity_access.h"
#include "ask/log_options.h"
#include "command.h"
#include "control/session_filter.h"
#include "control/status_json.h"
#include "control_client.h"
#include "record/encoder.h"
#include "status_text.h"
#include "words.h"

namespace natsession::ctl {
namespace {

struct SessionsCommand {
  std::string pri, nat, pub;
  std::string protocol;
  std::string netns;
  std::size_t limit = SessionFilter::kDefaultLimit;
  std::string sort;
  LogOptions log;  // --csv alone
};

struct SortKey {
  std::string_view name;
  bool (*before)(const SessionRecord& a, const SessionRecord& b);
};

// What is not known is last.
template <Count SessionRecord::*kCount>
bool more_of(const SessionRecord& a, const SessionRecord& b) {
  const Count of_a = a.*kCount;
  const Count of_b = b.*kCount;
  return of_a.known() && (!of_b.known() || of_a.value() > of_b.value());
}
template <IpAddress SessionRecord::*kAddress, std::uint16_t SessionRecord::*kPort>
bool lower_end(const SessionRecord& a, const SessionRecord& b) {
  return std::pair(a.*kAddress, a.*kPort) < std::pair(b.*kAddress, b.*kPort);
}
constexpr std::array<SortKey, 6> kSortKeys{
    {{"age", [](const SessionRecord& a, const SessionRecord& b) { return a.start_time < b.start_time; }},
     {"bytes_from_vpc", more_of<&SessionRecord::bytes_from_vpc>},
     {"bytes_from_pub", more_of<&SessionRecord::bytes_from_pub>},
     {"pri", lower_end<&SessionRecord::pri_ip, &SessionRecord::pri_port>},
     {"nat", lower_end<&SessionRecord::nat_ip, &SessionRecord::nat_port>},
     {"pub", lower_end<&SessionRecord::pub_ip, &SessionRecord::pub_port>}}};

Result<const SortKey*> read_sort(const std::string& name) {
  if (name.empty()) return nullptr;
  std::string known;
  for (const SortKey& key : kSortKeys) {
    if (key.name == name) return &key;
    known += " " + std::string(key.name);
  }
  return Error{ErrorKind::kUsage, fmt::format("--sort: '{}' is none of:{}", name, known)};
}

QueryArguments query_of(const SessionsCommand& options) {
  QueryArguments query;
  const auto add = [&query](const std::string& name, const std::string& value) {
    if (!value.empty()) query.emplace_back(name, value);
  };
  const auto add_end = [&](const std::string& which, const std::string& text) {
    const Endpoint end = split_endpoint(text);
    add(which + "_ip", end.address);
    add(which + "_port", end.port);
  };
  add_end("pri", options.pri);
  add_end("nat", options.nat);
  add_end("pub", options.pub);
  add("protocol", options.protocol);
  add("netns", options.netns);
  // The first of an order are known only where all are.
  add("limit", std::to_string(options.sort.empty() ? options.limit : SessionFilter::kMaxLimit));
  return query;
}

// Whose the sessions are; empty where there is no log of that.
std::vector<SubscriberCells> subscribers_of(const IdentityAccess& access, const SessionsAnswer& answer) {
  std::vector<SubscriberCells> found;
  if (access.names() == nullptr) return found;
  constexpr std::chrono::seconds kSlack{5};
  for (const SessionRecord& session : answer.sessions) {
    const UnixMs begun = session.session_start.value_or(session.start_time);
    found.push_back(subscriber_cells(
        access.names()->of_session(session.pri_ip, session.origin->netns, begun, begun, kSlack)));
  }
  return found;
}

// As GET /sessions has them.
int print_csv(const SessionsAnswer& answer, const std::vector<SubscriberCells>& subscribers, bool named) {
  AnswerPrinter printer(Shape::kCsv, screen());
  std::vector<AnswerColumn> columns({{"netns"},
                                     {"protocol"},
                                     {"pri_ip"},
                                     {"pri_port"},
                                     {"nat_ip"},
                                     {"nat_port"},
                                     {"pub_ip"},
                                     {"pub_port"},
                                     {"first_seen"},
                                     {"session_start"},
                                     {"bytes_from_vpc"},
                                     {"pkts_from_vpc"},
                                     {"bytes_from_pub"},
                                     {"pkts_from_pub"},
                                     {"tcp_state"},
                                     {"zone"},
                                     {"mark"}});
  if (named) {
    columns.push_back({"subscriber"});
    columns.push_back({"subscriber_verdict"});
  }
  printer.begin(std::move(columns));
  const auto count = [](Count number) {
    return number.known() ? AnswerValue(number.value()) : AnswerValue();
  };
  for (std::size_t i = 0; i < answer.sessions.size(); ++i) {
    const SessionRecord& session = answer.sessions[i];
    std::vector<AnswerValue> row(
        {std::string(session.origin->netns), std::uint64_t{session.protocol}, session.pri_ip.to_string(),
         std::uint64_t{session.pri_port}, session.nat_ip.to_string(), std::uint64_t{session.nat_port},
         session.pub_ip.to_string(), std::uint64_t{session.pub_port}, session.start_time,
         session.session_start ? AnswerValue(*session.session_start) : AnswerValue(),
         count(session.bytes_from_vpc), count(session.pkts_from_vpc), count(session.bytes_from_pub),
         count(session.pkts_from_pub), std::string(to_string(session.tcp_state)), std::uint64_t{session.zone},
         std::uint64_t{session.mark}});
    if (i < subscribers.size()) {
      row.emplace_back(subscribers[i].subscriber);
      row.emplace_back(subscribers[i].verdict);
    }
    if (!printer.row(std::move(row))) return kFailed;
  }
  return printer.finish({});
}

std::string with_subscribers(const std::string& sessions, const std::vector<SubscriberCells>& subscribers,
                             const std::string& hidden) {
  auto json = nlohmann::ordered_json::parse(sessions, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("sessions") || !json["sessions"].is_array()) return sessions;
  std::size_t place = 0;
  for (auto& session : json["sessions"]) {
    if (place >= subscribers.size()) break;
    const SubscriberCells& cells = subscribers[place++];
    session["subscriber"] =
        cells.subscriber.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(cells.subscriber);
    session["subscriber_verdict"] = cells.verdict;
  }
  if (!hidden.empty()) json["subscribers_not_shown"] = hidden;
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
         (sessions.ends_with('\n') ? "\n" : "");
}

// `body` is the answer in JSON.
int show(Shape shape, const SessionsAnswer& answer, const std::string& body, const IdentityAccess& access) {
  const std::vector<SubscriberCells> subscribers = subscribers_of(access, answer);
  if (shape == Shape::kJson)
    return print(access.absent() ? body : with_subscribers(body, subscribers, access.hidden()));
  if (!access.hidden().empty())
    fmt::print(stderr, "natsessionctl: sessions: {}\n", printable(access.hidden()));
  if (shape == Shape::kCsv) return print_csv(answer, subscribers, access.names() != nullptr);
  std::vector<std::string> shown;
  for (const SubscriberCells& cells : subscribers) {
    shown.push_back(cells.subscriber.empty()
                        ? cells.verdict
                        : cells.subscriber + (cells.verdict == "certain" ? "" : " (" + cells.verdict + ")"));
  }
  return print(sessions_text(answer, screen(), shown));
}

int run_sessions(const Global& global, const SessionsCommand& options) {
  const auto shape = shape_of(global, options.log);
  if (!shape) return fail("sessions", shape.error());
  const auto sort = read_sort(options.sort);
  if (!sort) return fail("sessions", sort.error());
  const QueryArguments query = query_of(options);
  if (const auto filter = parse_session_filter(query); !filter) return fail("sessions", filter.error());
  const auto body = ControlClient(global.control).get("/sessions", query);
  if (!body) return fail("sessions", body.error());
  const IdentityAccess access = IdentityAccess::open(global);
  if (*shape == Shape::kJson && *sort == nullptr && access.absent()) return print(*body);
  auto answer = read_sessions_json(*body);
  if (!answer) return fail("sessions", answer.error());
  std::vector<SessionRecord>& sessions = answer->sessions;
  const bool cut = answer->more;
  if (*sort != nullptr) {
    std::stable_sort(sessions.begin(), sessions.end(), (*sort)->before);
    answer->more = cut || sessions.size() > options.limit;
    if (sessions.size() > options.limit)
      sessions.erase(sessions.begin() + static_cast<std::ptrdiff_t>(options.limit), sessions.end());
  }
  const int status = show(*shape, *answer, *sort == nullptr ? *body : sessions_json(*answer), access);
  if (*sort != nullptr && cut) {
    fmt::print(
        stderr,
        "natsessionctl: sessions: warning: only {} sessions were looked at, and there are more: others may "
        "come before these\n",
        grouped(SessionFilter::kMaxLimit));
  } else if (answer->more && *shape != Shape::kJson) {
    fmt::print(stderr, "natsessionctl: sessions: these are the first {}; --limit N shows more\n",
               sessions.size());
  }
  return status;
}

}  // namespace

void add_sessions(Commands& commands) {
  Command command = commands.add("sessions", "List the sessions that are open now");
  const auto options = std::make_shared<SessionsCommand>();
  command.option(kPriOption, options->pri, "END", "Private end: address, prefix, address:port or :port");
  command.option(kNatOption, options->nat, "END", "Translated end, likewise");
  command.option(kPubOption, options->pub, "END", "Public end, likewise");
  command.option(kProtocolOption, options->protocol, "PROTOCOL", "tcp, udp, icmp ... or a number");
  command.option("--netns", options->netns, "NAME", "Of this network namespace");
  command.option("-n,--limit", options->limit, 1, SessionFilter::kMaxLimit, "N",
                 "At most so many; default 1000");
  command.option(
      "--sort", options->sort, "KEY",
      "In this order: age (the oldest first), bytes_from_vpc, bytes_from_pub (the most first), pri, "
      "nat, pub");
  add_csv_option(command, options->log);
  command.footer(
      "Examples:\n  natsessionctl sessions --pri 10.0.0.0/8 --protocol tcp\n"
      "  natsessionctl sessions --sort bytes_from_vpc -n 20\n  natsessionctl sessions --pub "
      "'[2001:db8::1]:443'");
  command.run([options](const Global& global) { return run_sessions(global, *options); });
}

}  // namespace natsession::ctl
