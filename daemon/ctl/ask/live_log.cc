#include "ask/live_log.h"

#include <filesystem>

#include "control/status_json.h"
#include "control_client.h"

namespace natsession::ctl {
namespace {

// The ledger that the daemon writes; empty without one.
Result<std::string> ledger_of_daemon(const ControlClient& daemon) {
  const auto body = daemon.get("/status");
  if (!body) return body.error();
  const auto status = read_status_json(*body);
  if (!status) return status.error();
  return status->ledger ? status->ledger->directory : std::string();
}

SessionRecord record_of(const LiveSession& session, UnixMs now, const Origin& origin) {
  SessionRecord record;
  record.origin = &origin;
  record.event = RecordEvent::kInterim;
  record.pri_ip = session.pri_ip;
  record.pub_ip = session.pub_ip;
  record.nat_ip = session.nat_ip;
  record.pri_port = session.pri_port;
  record.pub_port = session.pub_port;
  record.nat_port = session.nat_port;
  record.protocol = session.protocol;
  record.tcp_state = session.tcp_state;
  record.zone = session.zone;
  record.mark = session.mark;
  record.bytes_from_vpc = session.bytes_from_vpc;
  record.pkts_from_vpc = session.pkts_from_vpc;
  record.bytes_from_pub = session.bytes_from_pub;
  record.pkts_from_pub = session.pkts_from_pub;
  record.start_time = std::min(session.since, now);
  record.end_time = now;
  if (session.since_exact) record.session_start = record.start_time;
  return record;
}

const Origin& origin_for(const std::string& netns, std::deque<Origin>& origins) {
  for (const Origin& origin : origins) {
    if (origin.netns == netns) return origin;
  }
  return origins.emplace_back(Origin{{}, netns});
}

}  // namespace

LiveLog ask_live(const Global& global, QueryArguments arguments) {
  LiveLog live;
  const ControlClient daemon(global.control);
  // Without --ledger it is the daemon's own that is asked about.
  if (!global.ledger.empty()) {
    const auto directory = ledger_of_daemon(daemon);
    if (!directory) {
      live.why = directory.error().message;
      return live;
    }
    std::error_code ignored;
    if (!std::filesystem::equivalent(global.ledger, *directory, ignored)) {
      live.why = "the daemon that runs writes another ledger" + (directory->empty() ? "" : ", " + *directory);
      return live;
    }
  }
  arguments.emplace_back("limit", std::to_string(SessionFilter::kMaxLimit));
  const auto body = daemon.get("/sessions", arguments);
  if (!body) {
    live.why = body.error().message;
    return live;
  }
  const auto answer = read_sessions_json(*body);
  if (!answer) {
    live.why = answer.error().message;
    return live;
  }
  live.told = true;
  live.more = answer->more;
  live.at = answer->now;
  for (const LiveSession& session : answer->sessions) {
    live.records.push_back(record_of(session, answer->now, origin_for(session.netns, live.origins)));
  }
  return live;
}

std::vector<LivePort> live_ports(const LiveLog& live) {
  std::vector<LivePort> ports;
  for (const SessionRecord& record : live.records) {
    ports.push_back(
        {record.nat_ip, record.pub_ip, record.nat_port, record.pub_port, record.protocol, record.start_time});
  }
  return ports;
}

}  // namespace natsession::ctl
