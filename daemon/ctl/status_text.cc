#include "status_text.h"

#include <algorithm>
#include <concepts>
#include <functional>

#include <fmt/format.h>

#include "net/protocol.h"
#include "record/encoder.h"

namespace natsession::ctl {
namespace {

using Align = TextTable::Align;
using Cell = TextTable::Cell;

Paint paint_of(Row::Look look) {
  return look == Row::Look::kBad       ? Paint::kBad
         : look == Row::Look::kWarning ? Paint::kWarning
                                       : Paint::kPlain;
}

Paint paint_of(DeliveryState state) {
  return state == DeliveryState::kSuccess     ? Paint::kGood
         : state == DeliveryState::kModifying ? Paint::kWarning
                                              : Paint::kBad;
}

std::string counted(std::uint64_t number, std::string_view what) {
  return grouped(number) + " " + std::string(what) + (number == 1 ? "" : "s");
}

Cell cell(const Row& row, const std::string& value) {
  return row.name == "netns" && value.empty() ? "-" : printable(value);
}
Cell cell(const Row& row, std::uint64_t value) {
  if (row.name.ends_with("bytes")) return bytes_in_words(value);
  return {grouped(value), value == 0 ? Paint::kPlain : paint_of(row.look)};
}
Cell cell(const Row& /*row*/, bool value) {
  return value ? Cell("yes") : Cell("no", Paint::kWarning);
}
Cell cell(const Row& /*row*/, double value) {
  return fmt::format("{:.1f}", value);
}
Cell cell(const Row& /*row*/, DeliveryState value) {
  return {std::string(to_string(value)), paint_of(value)};
}
Cell cell(const Row& /*row*/, const std::optional<std::chrono::milliseconds>& value) {
  return value ? span_in_words(*value) : "-";
}
Cell cell(const Row& row, const std::optional<std::uint64_t>& value) {
  return value ? cell(row, *value) : Cell("-");
}
Cell cell(const Row& /*row*/, const EventGroups& value) {
  return to_string(value);
}
Cell cell(const Row& row, const EventCounts& value) {
  return cell(row, value.total());
}
Cell cell(const Row& row, const RecordCounts& value) {
  return cell(row, value.total());
}

template <typename T>
concept HasCell = requires(const Row& row, const T& value) {
  cell(row, value);
};

template <typename T>
constexpr bool kIsNumber = std::same_as<T, std::uint64_t> || std::same_as<T, double> ||
                           std::same_as<T, std::optional<std::uint64_t>> ||
                           std::same_as<T, std::optional<std::chrono::milliseconds>> ||
                           (HasRows<T> && !std::same_as<T, EventGroups>);

// What a report's rows have to say that are no column.
template <HasRows Report>
void for_each_note(const Report& report, const std::function<void(std::string text, Paint paint)>& add) {
  Rows<Report>::visit(report, [&]<typename T>(const Row& row, const T& value) {
    if constexpr (std::same_as<T, std::uint64_t>) {
      if (!row.text.empty() && value != 0)
        add(grouped(value) + " " + std::string(row.text), paint_of(row.look));
    } else if constexpr (std::same_as<T, std::optional<std::uint64_t>>) {
      if (!row.text.empty() && value.value_or(0) != 0)
        add(grouped(*value) + " " + std::string(row.text), paint_of(row.look));
    } else if constexpr (std::same_as<T, double>) {
      if (!row.text.empty() && value != 0) add(fmt::format("{:.1f} {}", value, row.text), paint_of(row.look));
    }
  });
}

// A table of reports of one kind, by their rows. `special` may say what stands in a cell.
template <HasRows Report>
TextTable table_of() {
  std::vector<TextTable::Column> columns;
  const Report any;
  Rows<Report>::visit(any, [&]<typename T>(const Row& row, const T& /*value*/) {
    if (!row.title.empty())
      columns.push_back({std::string(row.title), kIsNumber<T> ? Align::kRight : Align::kLeft});
  });
  return TextTable(std::move(columns));
}
template <HasRows Report>
void add_report(TextTable& table, const Report& report,
                const std::function<std::optional<Cell>(const Row& row)>& special) {
  std::vector<Cell> cells;
  Rows<Report>::visit(report, [&]<typename T>(const Row& row, const T& value) {
    if constexpr (HasCell<T>) {
      if (row.title.empty()) return;
      const auto other = special(row);
      cells.push_back(other ? *other : cell(row, value));
    }
  });
  table.add_row(std::move(cells));
  for_each_note(report, [&](std::string text, Paint paint) { table.add_note(std::move(text), paint); });
}

std::string collectors_text(const Status& status, const Screen& screen) {
  TextTable table = table_of<CollectorReport>();
  for (const CollectorReport& collector : status.collectors) {
    add_report(table, collector, [&](const Row& row) -> std::optional<Cell> {
      if (row.name == "ready") {
        return collector.gone                      ? Cell("gone", Paint::kBad)
               : !status.logging                   ? Cell("disabled", Paint::kWarning)
               : !collector.ready                  ? Cell("starting", Paint::kWarning)
               : !collector.sysctls.sends_events() ? Cell("no events", Paint::kBad)
                                                   : Cell("ready", Paint::kGood);
      }
      if (row.name != "reliable") return std::nullopt;
      if (collector.guard_tripped) return Cell("off (guard)", Paint::kBad);
      return collector.reliable ? "on" : "off";
    });
    if (collector.groups_why != EventsWhy::kConfigured) {
      table.add_note(
          fmt::format("events {}: {}", to_string(collector.groups), in_words(collector.groups_why)),
          Paint::kPlain);
    }
    for_each_off(collector.sysctls,
                 [&](const Row& row) { table.add_note(std::string(row.text), paint_of(row.look)); });
  }
  return table.text(screen);
}

// A source that is followed says so at least every second.
constexpr std::chrono::seconds kFollowedLately{15};

// A span that is shorter would be shown as 0.0s.
constexpr std::chrono::milliseconds kShownSpan{100};

// "Unauthorized: refused; 2026-11-21 12:20:00 CET, 1m 2s ago; suspended for 3m 58s more"
std::string failure_text(const SinkReport& sink, UnixMs now) {
  std::string text = printable(sink.code);
  if (!sink.message.empty()) text += (text.empty() ? "" : ": ") + printable(sink.message);
  if (sink.last_failure_at) {
    text += fmt::format("{}{}, {} ago", text.empty() ? "failed " : "; ", time_in_words(*sink.last_failure_at),
                        span_in_words(now - *sink.last_failure_at));
  }
  if (!sink.suspended_until) return text;
  // Then a test is made with the next record that comes.
  if (*sink.suspended_until - now < kShownSpan)
    return text + "; suspended until there is new data, which is then sent as a test";
  return text + fmt::format("; suspended for {} more", span_in_words(*sink.suspended_until - now));
}

// Why it is in no state that speaks for itself.
bool is_untried(const SinkReport& sink) {
  return sink.enabled && sink.state == DeliveryState::kModifying && sink.delivered + sink.rejected == 0;
}

std::string sinks_text(const Status& status, const Screen& screen) {
  TextTable table = table_of<SinkReport>();
  for (const SinkReport& sink : status.sinks) {
    add_report(table, sink, [](const Row&) { return std::optional<Cell>(); });
    const std::string failure = failure_text(sink, status.now);
    if (failure.empty()) {
      if (is_untried(sink)) table.add_note("nothing was offered to it yet", Paint::kPlain);
      continue;
    }
    if (sink.state == DeliveryState::kFailed) {
      table.add_note(failure, Paint::kBad);
    } else {
      table.add_note("last failure: " + failure, Paint::kPlain);
    }
  }
  return table.text(screen);
}

std::string identity_text(const IdentityReport& identity, UnixMs now, const Screen& screen) {
  TextTable table = table_of<IdentitySourceReport>();
  for (const IdentitySourceReport& source : identity.sources) {
    add_report(table, source, [](const Row&) { return std::optional<Cell>(); });
    if (!source.followed_until)
      table.add_note("not followed yet: of its addresses nothing is known", Paint::kWarning);
    else if (now - *source.followed_until > kFollowedLately)
      table.add_note(fmt::format("not followed for {}: of that time nothing is known",
                                 span_in_words(now - *source.followed_until)),
                     Paint::kBad);
    if (!source.problem.empty()) table.add_note("last problem: " + printable(source.problem), Paint::kPlain);
  }
  if (!identity.failure.empty())
    table.add_note("the log of assignments cannot be written: " + printable(identity.failure), Paint::kBad);
  return table.text(screen);
}

std::string ledger_text(const LedgerReport& ledger, UnixMs now, const Screen& screen) {
  std::string out =
      painted("LEDGER", Paint::kTitle, screen.colours) + "  " + printable(ledger.directory) + "\n";
  const auto line = [&](const std::string& text, Paint paint = Paint::kPlain) {
    out += paragraph(text, 2, paint, screen);
  };
  const double share = ledger.limit_bytes == 0 ? 0
                                               : 100 * static_cast<double>(ledger.bytes) /
                                                     static_cast<double>(ledger.limit_bytes);
  line(fmt::format("{} of {} ({:.0f} %) in {}, {} sealed; kept for {}", bytes_in_words(ledger.bytes),
                   bytes_in_words(ledger.limit_bytes), share, counted(ledger.segments, "segment"),
                   grouped(ledger.sealed_segments), span_in_words(ledger.retention)));
  line(fmt::format("{}{}; {} appended since the start, {} pending", counted(ledger.records, "record"),
                   ledger.oldest ? ", the oldest " + span_in_words(now - *ledger.oldest) + " old" : "",
                   grouped(ledger.appended), grouped(ledger.pending)));
  if (!ledger.failure.empty()) {
    line(fmt::format("cannot be written: {} ({} failed tries)", printable(ledger.failure),
                     grouped(ledger.append_failures)),
         Paint::kBad);
  }
  if (!ledger.upkeep_failure.empty()) {
    line("sealing and retention: " + printable(ledger.upkeep_failure), Paint::kBad);
  }
  for_each_note(ledger, [&](const std::string& text, Paint paint) { line(text, paint); });
  return out;
}

std::string traffic(Count bytes) {
  return bytes.known() ? bytes_in_words(bytes.value()) : "?";
}

std::string age_text(const SessionRecord& session, UnixMs now) {
  const std::string seen = span_in_words(now - session.start_time);
  return session.session_start ? seen : "unknown, >" + seen;
}

}  // namespace

std::string status_text(const Status& status, const Screen& screen) {
  std::string out = fmt::format("natsessiond {}  up {}, since {}\nlogging is {}\n", printable(status.version),
                                span_in_words(status.now - status.started), time_in_words(status.started),
                                status.logging ? painted("enabled", Paint::kGood, screen.colours)
                                               : painted("disabled", Paint::kWarning, screen.colours));
  if (!status.collectors.empty()) out += "\n" + collectors_text(status, screen);
  if (!status.sinks.empty()) out += "\n" + sinks_text(status, screen);
  if (status.ledger) out += "\n" + ledger_text(*status.ledger, status.now, screen);
  if (status.identity) out += "\n" + identity_text(*status.identity, status.now, screen);
  return out;
}

std::string sessions_text(const SessionsAnswer& answer, const Screen& screen,
                          const std::vector<std::string>& subscribers) {
  const auto any = [&](auto has) { return std::any_of(answer.sessions.begin(), answer.sessions.end(), has); };
  const bool with_zone = any([](const SessionRecord& session) { return session.zone != 0; });
  const bool with_mark = any([](const SessionRecord& session) { return session.mark != 0; });
  const bool with_netns = any([](const SessionRecord& session) { return !session.origin->netns.empty(); });
  std::vector<TextTable::Column> columns{{"PROTO"},
                                         {"PRIVATE"},
                                         {"NAT"},
                                         {"PUBLIC"},
                                         {"AGE", Align::kRight},
                                         {"FROM VPC", Align::kRight},
                                         {"FROM PUB", Align::kRight}};
  if (with_zone) columns.push_back({"ZONE", Align::kRight});
  if (with_mark) columns.push_back({"MARK", Align::kRight});
  if (with_netns) columns.push_back({"NETNS"});
  columns.push_back({"STATE"});
  if (!subscribers.empty()) columns.push_back({"SUBSCRIBER"});
  TextTable table(std::move(columns));
  for (std::size_t i = 0; i < answer.sessions.size(); ++i) {
    const SessionRecord& session = answer.sessions[i];
    std::vector<Cell> row{protocol_text(session.protocol),
                          endpoint_text(session.pri_ip, session.pri_port),
                          endpoint_text(session.nat_ip, session.nat_port),
                          endpoint_text(session.pub_ip, session.pub_port),
                          age_text(session, answer.now),
                          traffic(session.bytes_from_vpc),
                          traffic(session.bytes_from_pub)};
    if (with_zone) row.emplace_back(std::to_string(session.zone));
    if (with_mark) row.emplace_back(std::to_string(session.mark));
    if (with_netns) row.emplace_back(session.origin->netns.empty() ? "-" : printable(session.origin->netns));
    row.emplace_back(std::string(to_string(session.tcp_state)));
    if (!subscribers.empty()) row.emplace_back(i < subscribers.size() ? printable(subscribers[i]) : "-");
    table.add_row(std::move(row));
  }
  return table.text(screen);
}

}  // namespace natsession::ctl
