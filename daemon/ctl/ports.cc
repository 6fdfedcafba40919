// natsessionctl ports: how far the SNAT ports are used up, and when they run out.
#include <charconv>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "ask/log_access.h"
#include "ask/log_options.h"
#include "ask/trace_list.h"
#include "command.h"
#include "net/protocol.h"
#include "query/port_usage.h"
#include "words.h"

namespace natsession::ctl {
namespace {

struct PortsCommand {
  LogOptions log;
  std::string step;
  std::string range = "1024-65535";
  std::size_t destinations = 10;
};

constexpr std::chrono::hours kUsualPortsTime{24};
constexpr std::chrono::milliseconds kShortestStep = std::chrono::seconds(10);
constexpr std::int64_t kUsualPoints = 8'640;  // a day in steps of ten seconds

Result<void> read_range(std::string_view text, PortQuestion& question) {
  const std::size_t dash = text.find('-');
  const auto number = [](std::string_view part, std::uint16_t& out) {
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), out);
    return error == std::errc() && end == part.data() + part.size();
  };
  if (dash != std::string_view::npos && number(text.substr(0, dash), question.lowest_port) &&
      number(text.substr(dash + 1), question.highest_port) && question.lowest_port <= question.highest_port) {
    return {};
  }
  return Error{ErrorKind::kUsage, fmt::format("--range: '{}' is not a range of ports, as 1024-65535", text)};
}

// But for the time, and a step that was not given.
Result<PortQuestion> read_ports(const PortsCommand& options) {
  PortQuestion question;
  if (!options.step.empty()) {
    const auto step = read_length("--step", options.step);
    if (!step) return step.error();
    question.step = *step;
  }
  auto where = read_where(options.log);
  if (!where) return where.error();
  question.where = std::move(*where);
  question.destinations = options.destinations;
  if (auto read = read_range(options.range, question); !read) return read.error();
  return question;
}

// What the daemon tells of now is of a moment behind that at which this program looked at the clock.
void set_times(const PortsCommand& options, const AskedTime& time, const std::optional<LiveLog>& live,
               PortQuestion& question) {
  const UnixMs until = time.until_now && live && live->told ? std::max(time.until, live->at) : time.until;
  question.from = time.from;
  // Nothing is in use in times to come.
  question.until = std::max(time.from + kShortestStep, std::min(until, now_ms()));
  if (options.step.empty())
    question.step = std::max(kShortestStep, (question.until - question.from) / kUsualPoints);
}

// Sessions that are open and silent are in no record, or will be: the daemon knows them. It is asked before
// the ledger is looked at: what ends in between is in the records.
std::optional<LiveLog> ask_for_live(const Global& global, const PortsCommand& options, UnixMs until) {
  if (!global.store.empty() || !concerns_live(until, now_ms())) return std::nullopt;
  LogOptions others = options.log;
  others.nat.clear();
  const Endpoint nat = split_endpoint(options.log.nat);
  // The daemon does not know all conditions.
  if (others.conditional() || !nat.port.empty()) return std::nullopt;
  QueryArguments arguments;
  if (!nat.address.empty()) arguments.emplace_back("nat_ip", nat.address);
  return ask_live(global, {std::move(arguments)});
}

// The counts of the addresses that are asked for: exact, however many sessions there are.
void add_counts(const Global& global, const PortsCommand& options, PortQuestion& question) {
  const Endpoint nat = split_endpoint(options.log.nat);
  const auto wanted = nat.address.empty() ? Result<Prefix>(usage_error({})) : Prefix::parse(nat.address);
  std::map<std::pair<IpAddress, std::uint8_t>, std::uint64_t> counts;  // of all namespaces
  for (const PortUse& use : ask_port_use(global)) {
    if (!wanted || wanted->contains(use.nat_ip)) counts[{use.nat_ip, use.protocol}] += use.ports;
  }
  for (const auto& [key, ports] : counts) {
    question.counted.push_back(
        {key.first, key.second, static_cast<std::uint32_t>(std::min<std::uint64_t>(ports, 65536))});
  }
}

void add_live(LiveLog live, PortQuestion& question) {
  if (!live.told) {
    fmt::print(
        stderr,
        "natsessionctl: ports: warning: open sessions are known by their last records only, as the daemon "
        "cannot be asked: {}\n",
        printable(live.why));
  }
  if (live.more) {
    fmt::print(
        stderr,
        "natsessionctl: ports: warning: of the open sessions the daemon told {}, and there are more: those "
        "that were silent are missing in what was in use, and per destination; {}\n",
        grouped(live.records.size()),
        question.counted.empty() ? "the daemon has no count of what is in use now"
                                 : "what is in use now is the daemon's own count");
  }
  question.live_at = live.proved_at();
  question.live = std::move(live.records);
}

void add_series(const PortSeries& ports, std::vector<AnswerValue>& row) {
  row.emplace_back(std::uint64_t{ports.now});
  row.emplace_back(ports.now_share);
  row.emplace_back(std::uint64_t{ports.peak});
  row.emplace_back(ports.peak_share);
  row.emplace_back(ports.peak > 0 ? AnswerValue(ports.peak_at) : AnswerValue());
  row.emplace_back(static_cast<double>(static_cast<std::int64_t>(ports.per_hour * 10)) / 10);
  row.emplace_back(ports.full_at ? AnswerValue(*ports.full_at) : AnswerValue());
}

void add_series_columns(std::vector<AnswerColumn>& columns) {
  columns.push_back({"now", Unit::kCount});
  columns.push_back({"now_share", Unit::kShare});
  columns.push_back({"peak", Unit::kCount});
  columns.push_back({"peak_share", Unit::kShare});
  columns.push_back({"peak_at"});
  columns.push_back({"trend_per_hour"});
  columns.push_back({"full_at"});
}

// In JSON and CSV one list: the ports of an address have no peer.
class PortRows {
 public:
  PortRows(AnswerPrinter& answer, Shape shape) : answer_(answer), together_(shape != Shape::kTable) {}

  [[nodiscard]] bool addresses(const PortResult& result) {
    begin(/*with_peer=*/together_);
    for (const PortKeyUse& use : result.addresses) {
      std::vector<AnswerValue> row{use.nat_ip.to_string(), protocol_text(use.protocol)};
      if (together_) row.insert(row.end(), {AnswerValue(), AnswerValue()});
      add_series(use.ports, row);
      if (!answer_.row(std::move(row))) return false;
    }
    return true;
  }
  [[nodiscard]] bool destinations(const PortResult& result) {
    if (!together_) begin(/*with_peer=*/true);
    for (const DestinationUse& use : result.destinations) {
      std::vector<AnswerValue> row{use.nat_ip.to_string(), protocol_text(use.protocol),
                                   use.pub_ip.to_string(), std::uint64_t{use.pub_port}};
      add_series(use.ports, row);
      if (!answer_.row(std::move(row))) return false;
    }
    return true;
  }

 private:
  void begin(bool with_peer) {
    std::vector<AnswerColumn> columns{{"nat_ip"}, {"protocol"}};
    if (with_peer) columns.insert(columns.end(), {{"pub_ip"}, {"pub_port"}});
    add_series_columns(columns);
    answer_.begin(std::move(columns));
  }

  AnswerPrinter& answer_;
  bool together_;
};

int show_ports(Shape shape, const PortQuestion& question, const PortResult& result, LogAccess& log) {
  AnswerPrinter answer(shape, screen());
  answer.fact("from", question.from);
  answer.fact("until", question.until);
  answer.fact("step", format_duration(question.step));
  answer.fact("range", std::uint64_t{result.range});
  answer.remark(range_text({question.from, question.until}));
  answer.remark(fmt::format("SNAT ports in use, of {} ({} to {}) for each address and protocol",
                            grouped(result.range), question.lowest_port, question.highest_port));
  PortRows rows(answer, shape);
  if (!rows.addresses(result)) return kFailed;
  if (result.addresses.empty()) answer.remark("no session used a port in this time");
  if (result.records_left_out != 0) {
    answer.remark(fmt::format("and {} records of further addresses: ask for them with --nat-ip",
                              grouped(result.records_left_out)));
  }
  if (!result.destinations.empty()) {
    answer.remark("");
    answer.remark("the same per destination, which is what the kernel's limit is about");
    if (!rows.destinations(result)) return kFailed;
  }
  return log.finish("ports", answer, result.report);
}

int run_ports(const Global& global, const PortsCommand& options) {
  const auto shape = shape_of(global, options.log);
  if (!shape) return fail("ports", shape.error());
  auto time = read_times("ports", options.log, kUsualPortsTime);
  if (!time) return fail("ports", time.error());
  auto question = read_ports(options);
  if (!question) return fail("ports", question.error());
  auto live = ask_for_live(global, options, time->until);
  const auto log = LogAccess::open(global);
  if (!log) return fail("ports", log.error());
  time = within_ledger(*time, (*log)->store());
  if (!time) return fail("ports", time.error());
  set_times(options, *time, live, *question);
  if (live && live->told && live->more && question->until >= live->at) add_counts(global, options, *question);
  if (live) add_live(std::move(*live), *question);
  const auto result = find_ports((*log)->store(), *question, (*log)->control(time->until_now));
  (*log)->end_progress();
  if (!result) return fail("ports", result.error());
  if (result->report.cancelled) return (*log)->interrupted("ports");
  return show_ports(*shape, *question, *result, **log);
}

}  // namespace

void add_ports(Commands& commands) {
  Command command = commands.add("ports", "How far are the SNAT ports used up?");
  const auto options = std::make_shared<PortsCommand>();
  command.option("--range", options->range, "LOW-HIGH", "The ports that SNAT may use; default 1024-65535");
  command.option("--step", options->step, "DURATION",
                 "How far apart the points of the trend are; default 10s for a day");
  command.option("-n,--destinations", options->destinations, 0, PortQuestion::kMaxDestinations, "N",
                 "The so many busiest destinations; 0: none, and sooner done; default 10");
  add_where_options(command, options->log);
  add_time_options(command, options->log, "default a day before --until");
  add_csv_option(command, options->log);
  command.footer(
      "peak is the most at any time, by the times of the records; peak_at is when it was reached first.\n"
      "trend_per_hour is the slope of a straight line through the time, in ports; full_at is when that line "
      "reaches "
      "the range,\nif it rises and does so within a year.\n\n"
      "Examples:\n  natsessionctl ports\n  natsessionctl ports --nat-ip 203.0.113.7 --since -7d --range "
      "32768-60999\n"
      "  natsessionctl --json ports -n 0");
  command.run([options](const Global& global) { return run_ports(global, *options); });
}

}  // namespace natsession::ctl
