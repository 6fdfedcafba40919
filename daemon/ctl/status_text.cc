#include "status_text.h"

#include <algorithm>

#include <fmt/format.h>

#include "net/protocol.h"
#include "record/encoder.h"
#include "words.h"

namespace natsession::ctl {
namespace {

using Align = TextTable::Align;
using Cell = TextTable::Cell;

Cell count(std::uint64_t number, Paint unless_zero = Paint::kPlain) {
  return {grouped(number), number == 0 ? Paint::kPlain : unless_zero};
}

std::string counted(std::uint64_t number, std::string_view what) {
  return grouped(number) + " " + std::string(what) + (number == 1 ? "" : "s");
}

std::string rate(double per_second) {
  return fmt::format("{:.1f}", per_second);
}

Cell reliable_mode(const CollectorReport& collector) {
  if (collector.guard_tripped) return {"off (guard)", Paint::kBad};
  return collector.reliable ? "on" : "off";
}

std::string collectors_text(const Status& status, bool colours) {
  TextTable table({{"NETNS"},
                   {"STATE"},
                   {"SESSIONS", Align::kRight},
                   {"EVENTS/S", Align::kRight},
                   {"RECORDS/S", Align::kRight},
                   {"EVENTS", Align::kRight},
                   {"RECORDS", Align::kRight},
                   {"DELAYED", Align::kRight},
                   {"LOST", Align::kRight},
                   {"GAPS", Align::kRight},
                   {"RELIABLE"},
                   {"BUFFER", Align::kRight}});
  for (const CollectorReport& collector : status.collectors) {
    const Cell state = !status.logging   ? Cell("disabled", Paint::kWarning)
                       : collector.ready ? Cell("ready", Paint::kGood)
                                         : Cell("starting", Paint::kWarning);
    table.add_row({collector.netns.empty() ? "-" : printable(collector.netns), state, grouped(collector.live),
                   rate(collector.events_per_second), rate(collector.records_per_second),
                   grouped(collector.events.total()), grouped(collector.records.total()),
                   grouped(collector.events_delayed), count(collector.events_lost, Paint::kBad),
                   count(collector.gaps, Paint::kWarning), reliable_mode(collector),
                   bytes_in_words(collector.receive_buffer_bytes)});
    const auto note = [&](std::uint64_t number, std::string_view what) {
      if (number != 0) table.add_note(grouped(number) + " " + std::string(what), Paint::kWarning);
    };
    note(collector.not_followed, "sessions were beyond the limit of the session table");
    note(collector.malformed, "messages from the kernel could not be decoded");
    note(collector.dumps_failed, "dumps of the conntrack table failed or were interrupted");
  }
  return table.text(colours);
}

Paint paint_of(SinkState state) {
  switch (state) {
    case SinkState::kSuccess:
      return Paint::kGood;
    case SinkState::kModifying:
      return Paint::kWarning;
    case SinkState::kFailed:
      break;
  }
  return Paint::kBad;
}

// "Unauthorized: refused; 2026-11-21 12:20:00, 1m 2s ago; suspended for 3m 58s more"
std::string failure_text(const SinkReport& sink, UnixMs now) {
  std::string text = printable(sink.code);
  if (!sink.message.empty()) text += (text.empty() ? "" : ": ") + printable(sink.message);
  if (sink.last_failure_at) {
    text += fmt::format("{}{}, {} ago", text.empty() ? "failed " : "; ", time_in_words(*sink.last_failure_at),
                        span_in_words(now - *sink.last_failure_at));
  }
  if (sink.suspended_until)
    text += fmt::format("; suspended for {} more", span_in_words(*sink.suspended_until - now));
  return text;
}

std::string sinks_text(const Status& status, bool colours) {
  // The name is the destination, unless something in it is not to be shown.
  const bool with_destination =
      std::any_of(status.sinks.begin(), status.sinks.end(),
                  [](const SinkReport& sink) { return sink.destination != sink.name; });
  std::vector<TextTable::Column> columns{{"SINK"},
                                         {"ENABLED"},
                                         {"STATE"},
                                         {"DELIVERED", Align::kRight},
                                         {"WAITING", Align::kRight},
                                         {"OLDEST", Align::kRight},
                                         {"RETRIED", Align::kRight},
                                         {"DROPPED", Align::kRight},
                                         {"REJECTED", Align::kRight}};
  if (with_destination) columns.push_back({"DESTINATION"});
  TextTable table(std::move(columns));
  for (const SinkReport& sink : status.sinks) {
    std::vector<Cell> row{printable(sink.name),
                          sink.enabled ? Cell("yes") : Cell("no", Paint::kWarning),
                          Cell(std::string(to_string(sink.state)), paint_of(sink.state)),
                          grouped(sink.delivered),
                          grouped(sink.waiting),
                          sink.oldest_waiting ? span_in_words(*sink.oldest_waiting) : "-",
                          grouped(sink.retried),
                          count(sink.dropped, Paint::kBad),
                          count(sink.rejected, Paint::kBad)};
    if (with_destination) row.emplace_back(printable(sink.destination));
    table.add_row(std::move(row));
    const std::string failure = failure_text(sink, status.now);
    if (failure.empty()) continue;
    if (sink.state == SinkState::kFailed) {
      table.add_note(failure, Paint::kBad);
    } else {
      table.add_note("last failure: " + failure, Paint::kPlain);
    }
  }
  return table.text(colours);
}

std::string ledger_text(const LedgerReport& ledger, UnixMs now, bool colours) {
  std::string out = painted("LEDGER", Paint::kTitle, colours) + "  " + printable(ledger.directory) + "\n";
  const auto line = [&](const std::string& text, Paint paint = Paint::kPlain) {
    out += "  " + painted(text, paint, colours) + "\n";
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
  const auto note = [&](std::uint64_t number, std::string_view what) {
    if (number != 0) line(grouped(number) + " " + std::string(what), Paint::kBad);
  };
  note(ledger.dropped, "records found no room, neither on disk nor in memory");
  note(ledger.deleted_unread_records, "records were deleted by the byte limit before a sink had read them");
  note(ledger.damaged_frames, "damaged frames; natsessionctl verify tells which");
  return out;
}

std::string traffic(Count bytes) {
  return bytes.known() ? bytes_in_words(bytes.value()) : "?";
}

}  // namespace

std::string status_text(const Status& status, bool colours) {
  std::string out = fmt::format("natsessiond {}  up {}, since {}\nlogging is {}\n", printable(status.version),
                                span_in_words(status.now - status.started), time_in_words(status.started),
                                status.logging ? painted("enabled", Paint::kGood, colours)
                                               : painted("disabled", Paint::kWarning, colours));
  if (!status.collectors.empty()) out += "\n" + collectors_text(status, colours);
  if (!status.sinks.empty()) out += "\n" + sinks_text(status, colours);
  if (status.ledger) out += "\n" + ledger_text(*status.ledger, status.now, colours);
  return out;
}

std::string sessions_text(const SessionsAnswer& answer, bool colours) {
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
  TextTable table(std::move(columns));
  for (const SessionRecord& session : answer.sessions) {
    std::vector<Cell> row{protocol_text(session.protocol),
                          endpoint_text(session.pri_ip, session.pri_port),
                          endpoint_text(session.nat_ip, session.nat_port),
                          endpoint_text(session.pub_ip, session.pub_port),
                          (session.session_start ? "" : ">") + span_in_words(answer.now - session.start_time),
                          traffic(session.bytes_from_vpc),
                          traffic(session.bytes_from_pub)};
    if (with_zone) row.emplace_back(std::to_string(session.zone));
    if (with_mark) row.emplace_back(std::to_string(session.mark));
    if (with_netns) row.emplace_back(session.origin->netns.empty() ? "-" : printable(session.origin->netns));
    row.emplace_back(std::string(to_string(session.tcp_state)));
    table.add_row(std::move(row));
  }
  return table.text(colours);
}

}  // namespace natsession::ctl
