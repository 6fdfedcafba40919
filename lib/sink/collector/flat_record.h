// A record as attributes with dotted names, for services that have names of their own for a network event:
// Elasticsearch (ECS) and OpenTelemetry (semantic conventions). Where they have none, the log's own name
// stands behind "natsession.". One table for both, so that they cannot disagree about what a field means.
// Source:  ECS 8 (source.nat.ip, event.*, network.*, observer.name); OpenTelemetry's semantic conventions (source.address,
//          network.transport …). Both say of a destination where the source meant to go, and in .nat. where
//          that really was.
// Threads: any; pure functions.
#pragma once

#include <cstdint>
#include <string_view>

#include "net/protocol.h"
#include "record/session_record.h"

namespace natsession {

struct FlatName {
  std::string_view ecs;
  std::string_view otel = ecs;
};

// Calls of `to`, for each attribute that the record has, in a fixed order:
//   text(FlatName, std::string_view)   any bytes at all
//   word(FlatName, std::string_view)   letters, digits, - and _
//   number(FlatName, std::uint64_t)
//   address(FlatName, const IpAddress&)
//   time(FlatName, UnixMs)
//   id(FlatName, std::uint64_t)
template <typename To>
void flatten(const SessionRecord& record, To& to) {
  const auto count = [&](FlatName name, const Count& value) {
    if (value.known()) to.number(name, value.value());
  };
  const auto sum = [&](FlatName name, const Count& one, const Count& other) {
    if (!one.known() || !other.known()) return;
    if (const std::uint64_t all = one.value() + other.value(); all >= one.value()) to.number(name, all);
  };
  to.text({"observer.name"}, record.origin->instance);
  if (!record.origin->netns.empty()) to.text({"natsession.netns"}, record.origin->netns);
  if (!record.vpc_id.empty()) to.text({"natsession.vpc_id"}, record.vpc_id);
  to.word({"event.action"}, to_string(record.event));
  if (record.reason != RecordReason::kNone) to.word({"event.reason"}, to_string(record.reason));
  const bool gap = record.event == RecordEvent::kGap;
  if (!gap || record.start_time != kUnknownStart) to.time({"event.start"}, record.start_time);
  to.time({"event.end"}, record.end_time);
  if (gap) {
    count({"natsession.events_lost"}, record.events_lost);
    to.word({"natsession.log_status"}, "SKIPDATA");
    return;
  }
  const bool translated = record.has_orig_dst;
  to.address({"source.ip", "source.address"}, record.pri_ip);
  to.number({"source.port"}, record.pri_port);
  to.address({"source.nat.ip"}, record.nat_ip);
  to.number({"source.nat.port"}, record.nat_port);
  count({"source.bytes"}, record.bytes_from_vpc);
  count({"source.packets"}, record.pkts_from_vpc);
  to.address({"destination.ip", "destination.address"}, translated ? record.orig_dst_ip : record.pub_ip);
  to.number({"destination.port"}, translated ? record.orig_dst_port : record.pub_port);
  if (translated) {
    to.address({"destination.nat.ip"}, record.pub_ip);
    to.number({"destination.nat.port"}, record.pub_port);
  }
  count({"destination.bytes"}, record.bytes_from_pub);
  count({"destination.packets"}, record.pkts_from_pub);
  sum({"network.bytes"}, record.bytes_from_vpc, record.bytes_from_pub);
  sum({"network.packets"}, record.pkts_from_vpc, record.pkts_from_pub);
  to.number({"network.iana_number"}, record.protocol);
  // IANA's keyword for 58 is another than nf_conntrack's word.
  const std::string_view name = record.protocol == 58 ? "ipv6-icmp" : protocol_name(record.protocol);
  if (!name.empty()) to.word({"network.transport"}, name);
  to.word({"network.type"}, record.pri_ip.is_v4() ? "ipv4" : "ipv6");
  to.id({"natsession.session_id"}, record.session_id);
  to.number({"natsession.seq"}, record.seq);
  if (record.session_start) to.time({"natsession.session_start"}, *record.session_start);
  if (record.tcp_state != TcpState::kNone) to.word({"natsession.tcp_state"}, to_string(record.tcp_state));
  if (record.zone != 0) to.number({"natsession.zone"}, record.zone);
  if (record.mark != 0) to.number({"natsession.mark"}, record.mark);
}

}  // namespace natsession
