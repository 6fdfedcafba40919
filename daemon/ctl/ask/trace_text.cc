#include "ask/trace_text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ask/answer_printer.h"
#include "ask/trace_list.h"
#include "net/protocol.h"
#include "query/time_text.h"
#include "record/encoder.h"
#include "words.h"

namespace natsession::ctl {
namespace {

using Json = nlohmann::ordered_json;

std::string traffic_text(const SessionRecord& record) {
  if (!record.bytes_from_vpc.known() || !record.bytes_from_pub.known()) return "-";
  return bytes_in_words(record.bytes_from_vpc.value()) + " / " +
         bytes_in_words(record.bytes_from_pub.value());
}

// Where a session was seen, beyond its addresses: only what there is.
std::string place_text(const SessionRecord& record) {
  std::string text;
  const auto add = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, value);
  };
  add("vpc", record.vpc_id);
  if (record.origin != nullptr) {
    add("instance", record.origin->instance);
    add("network namespace", record.origin->netns);
  }
  return text;
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
  json["first_seen"] = time_json(candidate.first_seen);
  json["last_seen"] = time_json(candidate.last_seen);
  json["ended"] = candidate.ended;
  json["open_now"] = candidate.live;
  json["match"] = candidate.match == TimeMatch::kTraffic ? "traffic"
                  : candidate.match == TimeMatch::kOpen  ? "open"
                                                         : "near";
  json["distance_ms"] = candidate.distance.count();
  json["peer_differs"] = candidate.pub_differs;
  json["reasons"] = candidate.reasons();
  json["record"] = {{"start_time", time_json(record.start_time)},
                    {"end_time", time_json(record.end_time)},
                    {"bytes_from_vpc", count_json(record.bytes_from_vpc)},
                    {"pkts_from_vpc", count_json(record.pkts_from_vpc)},
                    {"bytes_from_pub", count_json(record.bytes_from_pub)},
                    {"pkts_from_pub", count_json(record.pkts_from_pub)}};
  return json;
}

Json question_json(const TraceQuestion& question) {
  Json json{{"nat_ip", question.nat_ip.to_string()}};
  if (question.nat_port) json["nat_port"] = *question.nat_port;
  if (question.protocol) json["protocol"] = *question.protocol;
  if (question.pub_ip) json["pub_ip"] = question.pub_ip->to_string();
  if (question.pub_port) json["pub_port"] = *question.pub_port;
  json["from"] = time_json(question.from);
  json["until"] = time_json(question.until);
  json["slack"] = format_duration(question.slack);
  return json;
}

}  // namespace

std::string reasons_text(const TraceCandidate& candidate) {
  std::string text;
  for (const std::string& reason : candidate.reasons()) text += (text.empty() ? "" : "; ") + reason;
  return text;
}

std::string verdict_text(const TraceAnswer& answer) {
  switch (answer.verdict) {
    case TraceVerdict::kFound:
      return answer.candidates.size() == 1
                 ? "1 session"
                 : grouped(answer.candidates.size()) + " sessions, the likeliest first";
    case TraceVerdict::kNoSession:
      return "no such session: the log is complete for this time, and has none";
    case TraceVerdict::kUncertain:
      return "no such session was found, but the log is not complete for this time";
    case TraceVerdict::kNotCovered:
      break;
  }
  return "no such session was found, and it is not known that there was none: " + answer.missing;
}

std::string trace_text(const TraceQuestion& question, const TraceAnswer& answer, bool colours) {
  std::string out = fmt::format("{} at {}\n", question_text(question), question_time_text(question));
  const bool found = !answer.candidates.empty();
  out += painted(verdict_text(answer), found ? Paint::kGood : Paint::kWarning, colours) + "\n";
  if (!found) return out;
  TextTable table({{"private host"},
                   {"protocol"},
                   {"translated"},
                   {"peer"},
                   {"from"},
                   {"until"},
                   {"bytes out / in", TextTable::Align::kRight}});
  for (const TraceCandidate& candidate : answer.candidates) {
    const SessionRecord& record = candidate.record;
    std::string peer = endpoint_text(record.pub_ip, record.pub_port);
    if (record.has_orig_dst) peer += " for " + endpoint_text(record.orig_dst_ip, record.orig_dst_port);
    table.add_row({{endpoint_text(record.pri_ip, record.pri_port), Paint::kTitle},
                   protocol_text(record.protocol),
                   endpoint_text(record.nat_ip, record.nat_port),
                   std::move(peer),
                   format_local_time(candidate.first_seen),
                   end_text(candidate),
                   traffic_text(record)});
    const std::string place = place_text(record);
    table.add_note(printable(reasons_text(candidate) + (place.empty() ? "" : "; " + place)), Paint::kPlain);
  }
  out += table.text(colours);
  if (answer.more != 0) out += fmt::format("and {} more; --candidates N shows more\n", grouped(answer.more));
  return out;
}

std::string trace_json(const TraceQuestion& question, const TraceAnswer& answer, const LedgerSpan& ledger) {
  Json candidates = Json::array();
  for (const TraceCandidate& candidate : answer.candidates) candidates.push_back(candidate_json(candidate));
  Json json{{"question", question_json(question)},
            {"verdict", std::string(to_string(answer.verdict))},
            {"candidates", std::move(candidates)},
            {"more", answer.more}};
  if (!answer.missing.empty()) json["missing"] = answer.missing;
  json["gaps"] = Json::parse(gaps_json(answer.gaps));
  json["damage"] = Json::parse(troubles_json(answer.troubles));
  if (ledger.records != 0) {
    json["ledger"] = {{"from", time_json(ledger.oldest_start)}, {"until", time_json(ledger.newest_end)}};
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace natsession::ctl
