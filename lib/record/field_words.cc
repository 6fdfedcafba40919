#include "record/field_words.h"

#include <array>

namespace natsession {
namespace {

// In the order of the fields.
constexpr std::array<std::string_view, kFieldCount> kMeanings{
    // instance
    "which NAT gateway; the host name unless configured",
    // vpc_id
    "which private network, as configured; may be empty",
    // protocol
    "IANA protocol number: 1 ICMP, 6 TCP, 17 UDP, 47 GRE, 58 ICMPv6, 132 SCTP",
    // pri_ip
    "the private host",
    // pri_port
    "the private host's port; ICMP: the id; GRE: the key; 0 for protocols without ports",
    // pub_ip
    "the public peer that was really reached",
    // pub_port
    "the peer's port; ICMP: type × 256 + code",
    // nat_ip
    "the address that the private host had outside",
    // nat_port
    "the private host's port outside; ICMP: the translated id",
    // bytes_from_pub
    "from the peer, layer 3, in this record's time only",
    // pkts_from_pub
    "from the peer, in this record's time only",
    // bytes_from_vpc
    "from the private host, layer 3, in this record's time only",
    // pkts_from_vpc
    "from the private host, in this record's time only",
    // start_time
    "when the slice that this record describes began",
    // end_time
    "when that slice ended; never before start_time",
    // event
    "start, interim (a window closed, the session lives on), end, or gap (see Gaps)",
    // session_id
    "the same in all records of a session, also across a restart (see session_id)",
    // seq
    "counts a session's records; (session_id, seq) names a record and is the same when it is sent twice. "
    "From a multiple of 2^24 in a twin (see session_id)",
    // session_start
    "when the session began",
    // tcp_state
    "last known: SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE, "
    "SYN_SENT2",
    // reason
    "of an end: destroyed (the kernel said so), vanished (it was gone, with no word); of a gap: see Gaps",
    // orig_dst_ip
    "where the host meant to go, when destination NAT applied too",
    // orig_dst_port
    "the port where the host meant to go",
    // zone
    "conntrack zone",
    // mark
    "conntrack mark",
    // netns
    "which network namespace; a field only where more than one is watched",
    // events_lost
    "gap records only: how many events were lost",
    // log_status
    "gap records only: SKIPDATA",
};

}  // namespace

std::string_view unit_of(Field field) {
  if (kind_of(field) == FieldKind::kTime) return "Unix seconds";
  const std::string_view name = name_of(field);
  return name.starts_with("bytes_") ? "bytes" : name.starts_with("pkts_") ? "packets" : "";
}

std::string_view meaning_of(Field field) {
  return kMeanings[static_cast<std::size_t>(field)];
}

}  // namespace natsession
