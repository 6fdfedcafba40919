#include "ask/trace_text.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ask/answer_printer.h"
#include "ask/trace_list.h"
#include "base/help_text.h"
#include "net/protocol.h"
#include "query/time_text.h"
#include "record/encoder.h"
#include "words.h"

namespace natsession::ctl {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLabelWidth = 12;

template <typename Counted>
std::string traffic_text(const Counted& counted) {
  if (!counted.bytes_from_vpc.known() || !counted.bytes_from_pub.known()) return "-";
  return bytes_in_words(counted.bytes_from_vpc.value()) + " / " +
         bytes_in_words(counted.bytes_from_pub.value());
}

// Of the whole session.
std::string total_text(const SessionTotal& total) {
  const std::string text = traffic_text(total);
  return total.whole || text == "-" ? text : "at least " + text;
}

// Where a session was seen, beyond its addresses: only what there is.
std::string place_text(const SessionRecord& record) {
  std::string text;
  const auto add = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, value);
  };
  add("vpc", record.vpc_id);
  if (record.zone != 0) add("zone", std::to_string(record.zone));
  if (record.origin != nullptr) {
    add("instance", record.origin->instance);
    add("network namespace", record.origin->netns);
  }
  return text;
}

std::string begin_text(const TraceCandidate& candidate) {
  const std::string text = format_local_time(candidate.first_seen);
  return candidate.record.session_start ? text : "unknown, first record " + text;
}

std::string end_text(const TraceCandidate& candidate) {
  std::string text = format_local_time(candidate.last_seen);
  if (candidate.live) return text + ", open";
  return candidate.ended ? text : text + ", last record";
}

Json time_json(UnixMs time) {
  return format_local_rfc3339(time);
}

Json count_json(Count count) {
  return count.known() ? Json(count.value()) : Json(nullptr);
}

template <typename Counted>
void add_counters(const Counted& counted, Json& json) {
  json["bytes_from_vpc"] = count_json(counted.bytes_from_vpc);
  json["pkts_from_vpc"] = count_json(counted.pkts_from_vpc);
  json["bytes_from_pub"] = count_json(counted.bytes_from_pub);
  json["pkts_from_pub"] = count_json(counted.pkts_from_pub);
}

Json candidate_json(const TraceCandidate& candidate) {
  const SessionRecord& record = candidate.record;
  Json json{{"pri_ip", record.pri_ip.to_string()}, {"pri_port", record.pri_port},
            {"protocol", record.protocol},         {"nat_ip", record.nat_ip.to_string()},
            {"nat_port", record.nat_port},         {"pub_ip", record.pub_ip.to_string()},
            {"pub_port", record.pub_port}};
  if (record.has_orig_dst) {
    json["orig_dst_ip"] = record.orig_dst_ip.to_string();
    json["orig_dst_port"] = record.orig_dst_port;
  }
  json["vpc_id"] = std::string(record.vpc_id);
  if (record.origin != nullptr) {
    json["instance"] = record.origin->instance;
    if (!record.origin->netns.empty()) json["netns"] = record.origin->netns;
  }
  if (record.zone != 0) json["zone"] = record.zone;
  json["session_id"] =
      record.session_id == 0 ? Json(nullptr) : Json(fmt::format("{:016x}", record.session_id));
  json["session_start"] = record.session_start ? time_json(*record.session_start) : Json(nullptr);
  json["first_seen"] = time_json(candidate.first_seen);
  json["last_seen"] = time_json(candidate.last_seen);
  json["ended"] = candidate.ended;
  json["open_now"] = candidate.live;
  json["match"] = candidate.match == TimeMatch::kTraffic  ? "traffic"
                  : candidate.match == TimeMatch::kRecord ? "record"
                  : candidate.match == TimeMatch::kOpen   ? "open"
                                                          : "near";
  json["distance_ms"] = candidate.distance.count();
  json["peer_differs"] = candidate.pub_differs;
  json["reasons"] = candidate.reasons();
  json["record"] = {{"start_time", time_json(record.start_time)}, {"end_time", time_json(record.end_time)}};
  add_counters(record, json["record"]);
  json["total"] = {{"records", candidate.total.records}, {"whole", candidate.total.whole}};
  add_counters(candidate.total, json["total"]);
  return json;
}

Json question_json(const TraceQuestion& question) {
  Json json{{"nat_ip", question.nat_ip.to_string()}};
  if (question.nat_port) json["nat_port"] = *question.nat_port;
  if (question.protocol) json["protocol"] = *question.protocol;
  if (question.pub_ip) json["pub_ip"] = question.pub_ip->to_string();
  if (question.pub_port) json["pub_port"] = *question.pub_port;
  if (!question.netns.empty()) json["netns"] = question.netns;
  json["from"] = time_json(question.from);
  json["until"] = time_json(question.until);
  json["slack"] = format_duration(question.slack);
  return json;
}

Json answer_json(const AskedQuestion& asked, const TraceAnswer& answer, const LedgerSpan& ledger,
                 const TraceNames& names, std::size_t which) {
  Json candidates = Json::array();
  for (const TraceCandidate& candidate : answer.candidates) {
    const IdentityAnswer* const of = names.at(which, candidates.size());
    Json& json = candidates.emplace_back(candidate_json(candidate));
    if (of != nullptr) json["subscriber"] = Json::parse(subscriber_json(*of));
    if (!names.hidden.empty()) json["subscriber"] = Json::parse(hidden_subscriber_json(names.hidden));
  }
  Json json{{"question", question_json(asked.question)},
            {"verdict", std::string(answer.word())},
            {"candidates", std::move(candidates)},
            {"more", answer.more}};
  if (!asked.warning.empty()) json["warning"] = asked.warning;
  const TraceSummary summary = summary_of(asked.question, answer, ledger);
  const auto text_or_null = [](const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); };
  json["summary"] = {{"who", text_or_null(summary.who)},
                     {"when", text_or_null(summary.when)},
                     {"sure", summary.sure},
                     {"why", summary.why},
                     {"against", summary.against}};
  if (const IdentityAnswer* const of = names.at(which, 0)) {
    const SubscriberCells cells = subscriber_cells(*of);
    json["summary"]["subscriber"] = text_or_null(cells.subscriber);
  }
  if (answer.address_seen) json["address_seen"] = *answer.address_seen;
  if (!answer.missing.empty()) json["missing"] = answer.missing;
  json["gap_count"] = answer.gap_count();
  json["gaps"] = Json::parse(gaps_json(answer.gaps));
  json["damage"] = Json::parse(troubles_json(answer.troubles));
  if (ledger.records != 0) {
    json["ledger"] = {{"from", time_json(ledger.oldest_start)}, {"until", time_json(ledger.newest_end)}};
  }
  return json;
}

std::string pretty(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string joined(const std::vector<std::string>& texts) {
  std::string text;
  for (const std::string& one : texts) text += (text.empty() ? "" : "; ") + one;
  return text;
}

TraceSummary summary_of(const TraceQuestion& question, const TraceAnswer& answer, const LedgerSpan& ledger) {
  TraceSummary summary;
  const std::size_t sessions = answer.candidates.size() + answer.more;
  std::vector<std::string>& against = summary.against;
  if (sessions > 0 && !answer.candidates.empty()) {
    const TraceCandidate& first = answer.candidates.front();
    const std::string place = place_text(first.record);
    summary.who = fmt::format("{}, port {}{}{}", first.record.pri_ip.to_string(), first.record.pri_port,
                              place.empty() ? "" : "; ", place);
    summary.when = begin_text(first) + " to " + end_text(first);
    summary.why = first.reasons();
    if (first.match == TimeMatch::kTraffic)
      summary.why.front() += ", out / in: " + traffic_text(first.record);
    const auto others =
        std::count_if(answer.candidates.begin(), answer.candidates.end(), [&](const auto& one) {
          return one.record.pri_ip != first.record.pri_ip || one.record.vpc_id != first.record.vpc_id ||
                 one.record.zone != first.record.zone || one.record.origin != first.record.origin;
        });
    summary.sure =
        answer.peer_differs ? "no session with this peer was found; these are with others"
        : sessions == 1     ? "the only session that was found"
        : others == 0 && answer.more == 0
            ? fmt::format("the likeliest of {} sessions that were found, all of this host", grouped(sessions))
            : fmt::format("the likeliest of {} sessions that were found", grouped(sessions));
    if (others > 0) {
      against.push_back(fmt::format("{} of the sessions {} of another host",
                                    grouped(static_cast<std::uint64_t>(others)), others == 1 ? "is" : "are"));
    }
    if (first.may_have_been) {
      against.emplace_back("that it was there at this time is not known");
    } else if (first.match == TimeMatch::kNear) {
      against.emplace_back(
          first.distance.count() < 0 && !first.record.session_start
              ? "that it was there at this time is not known: there is no record of it before"
              : "it was not there at this time: a clock may be wrong");
    }
    if (!question.nat_port) against.emplace_back("the question names no port: others used this address, too");
  } else {
    switch (answer.verdict) {
      case TraceVerdict::kNoSession:
        summary.sure = "no such session: the log is complete for this time, and has none";
        if (answer.source_nat_alone)
          against.emplace_back("port forwards are not in this log: it is of source NAT alone");
        break;
      case TraceVerdict::kUncertain:
        summary.sure = "no such session was found, but the log is not complete for this time";
        break;
      default:
        summary.sure = "no such session was found, and it is not known that there was none";
    }
    if (answer.address_seen == false && ledger.records != 0) {
      against.push_back(
          fmt::format("{} is never in the log, which is from {} to {}: perhaps it is not this box's",
                      question.nat_ip.to_string(), format_local_time(ledger.oldest_start),
                      format_local_time(ledger.newest_end)));
    }
  }
  if (!answer.missing.empty()) against.push_back("it is not proved that all is there: " + answer.missing);
  if (answer.gap_count() > 0) {
    against.push_back(fmt::format("{} of the log overlap{} this time: sessions may be missing",
                                  answer.gap_count() == 1 ? "a gap" : grouped(answer.gap_count()) + " gaps",
                                  answer.gap_count() == 1 ? "s" : ""));
  }
  if (!answer.troubles.empty())
    against.emplace_back("a part of the log cannot be read: sessions may be missing");
  if (sessions == 1 && against.empty() && !answer.peer_differs) {
    summary.sure =
        answer.silent_known
            ? "the only session: the log is complete for this time, and has no other"
            : "the only session with a record of this time, for which the log is complete: others, if "
              "they were open, were silent";
  }
  if (!question.netns.empty()) summary.sure += "; network namespace " + question.netns + " alone";
  return summary;
}

std::string trace_text(const AskedQuestion& asked, const TraceAnswer& answer, const LedgerSpan& ledger,
                       bool colours, const TraceNames& names, std::size_t which) {
  const TraceQuestion& question = asked.question;
  const TraceSummary summary = summary_of(question, answer, ledger);
  const Paint paint = answer.found() ? Paint::kGood : Paint::kWarning;
  std::string out;
  const auto line = [&](std::string_view title, const std::string& text, Paint how = Paint::kPlain) {
    if (text.empty()) return;
    std::string_view label = title;
    for (const std::string& part : wrapped(printable(text), kHelpWidth - kLabelWidth)) {
      out += painted(fmt::format("{:<{}}", label, kLabelWidth), Paint::kTitle, colours) +
             painted(part, how, colours) + "\n";
      label = "";
    }
  };
  line("Asked", question_text(question));
  line("at", question_time_text(question));
  line("Who", summary.who.empty() ? "nobody was found" : summary.who, paint);
  if (const IdentityAnswer* const of = names.at(which, 0)) {
    std::string_view title = "Subscriber";
    for (const std::string& text : subscriber_lines(*of)) {
      line(title, text, of->verdict == IdentityVerdict::kCertain ? Paint::kGood : Paint::kWarning);
      title = "";
    }
  } else if (!answer.candidates.empty()) {
    line("Subscriber", names.hidden, Paint::kWarning);
  }
  line("When", summary.when);
  line("How sure", summary.sure, paint);
  line("Why", joined(summary.why));
  std::string_view label = "Against it";
  for (const std::string& text : summary.against) {
    line(label, text, Paint::kWarning);
    label = "";
  }
  for (std::size_t i = 0; i < answer.candidates.size(); ++i) {
    const TraceCandidate& candidate = answer.candidates[i];
    const SessionRecord& record = candidate.record;
    std::string peer = endpoint_text(record.pub_ip, record.pub_port);
    if (record.has_orig_dst) peer += " for " + endpoint_text(record.orig_dst_ip, record.orig_dst_port);
    out += i == 0 ? "\n" : "";
    const std::string number = fmt::format("{}.", i + 1);
    line(number, fmt::format("{} {} as {}, with {}", protocol_text(record.protocol),
                             endpoint_text(record.pri_ip, record.pri_port),
                             endpoint_text(record.nat_ip, record.nat_port), peer));
    line("", begin_text(candidate) + " to");
    line("", end_text(candidate) + "; out / in: " + total_text(candidate.total));
    const std::string place = place_text(record);
    line("", joined(candidate.reasons()) + (place.empty() ? "" : "; " + place));
    if (const IdentityAnswer* const of = names.at(which, i); of != nullptr && answer.candidates.size() > 1) {
      const SubscriberCells cells = subscriber_cells(*of);
      line("", "subscriber: " +
                   (cells.subscriber.empty() ? cells.verdict : cells.subscriber + ", " + cells.verdict));
    }
  }
  if (answer.more != 0) out += fmt::format("and {} more; --candidates N shows more\n", grouped(answer.more));
  return out;
}

std::string trace_json(const AskedQuestion& asked, const TraceAnswer& answer, const LedgerSpan& ledger,
                       const TraceNames& names, std::size_t which) {
  return pretty(answer_json(asked, answer, ledger, names, which));
}

std::string trace_list_json(const TraceList& list, const TraceResult& result, const TraceNames& names) {
  std::string out;
  std::size_t asked = 0;
  for (const ListedQuestion& listed : list.questions) {
    Json line{{"line", listed.line}, {"columns", Json::object()}};
    for (std::size_t i = 0; i < std::min(listed.cells.size(), list.columns.size()); ++i) {
      line["columns"][list.columns[i]] = listed.cells[i];
    }
    const auto add = [&](const Json& more) {
      Json entry = line;
      entry.update(more);
      out += (out.empty() ? "[\n" : ",\n") + pretty(entry);
    };
    if (!listed.wrong.empty()) add({{"verdict", kBadQuestion}, {"error", listed.wrong}});
    for (const AskedQuestion& one : listed.asked) {
      add(answer_json(one, result.answers[asked], result.span, names, asked));
      ++asked;
    }
  }
  return (out.empty() ? "[" : out) + "\n]\n";
}

}  // namespace natsession::ctl
