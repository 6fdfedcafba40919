#include "flow/flow_entries.h"

namespace natsession {
namespace {

constexpr bool has_ports(std::uint8_t protocol) {
  return protocol == 6 || protocol == 17 || protocol == 33 || protocol == 132 || protocol == 136;
}

struct End {
  IpAddress address;
  std::uint16_t port;
};

class Maker {
 public:
  Maker(const SessionRecord& record, std::vector<SessionRecord>& out) : record_(record), out_(out) {}

  void add(std::string_view interface, bool ingress, const End& from, const End& to, Count packets,
           Count bytes) {
    if (packets == Count(0) || interface.empty() || interface == kLoopbackInterface) return;
    SessionRecord& entry = out_.emplace_back(record_);
    const bool ports = has_ports(record_.protocol);
    entry.pri_ip = from.address;
    entry.pri_port = ports ? from.port : std::uint16_t{0};
    entry.pub_ip = to.address;
    entry.pub_port = ports ? to.port : std::uint16_t{0};
    entry.nat_ip = IpAddress();
    entry.nat_port = 0;
    entry.has_orig_dst = false;
    entry.orig_dst_ip = IpAddress();
    entry.orig_dst_port = place_;
    entry.session_id += place_++;
    entry.pkts_from_vpc = packets;
    entry.bytes_from_vpc = bytes;
    entry.pkts_from_pub = entry.bytes_from_pub = Count();
    entry.iif = ingress ? interface : std::string_view();
    entry.oif = ingress ? std::string_view() : interface;
  }

 private:
  std::uint16_t place_ = 0;
  const SessionRecord& record_;
  std::vector<SessionRecord>& out_;
};

}  // namespace

void append_entries(const SessionRecord& record, std::vector<SessionRecord>& out) {
  if (record.event == RecordEvent::kGap || record.event == RecordEvent::kStart || is_status(record)) return;
  Maker maker(record, out);
  // The ends of both tuples.
  const End client{record.pri_ip, record.pri_port};
  const End server{record.pub_ip, record.pub_port};
  if (is_refused(record)) {
    maker.add(interface_of(record), is_ingress(record), client, server, record.pkts_from_vpc,
              record.bytes_from_vpc);
    return;
  }
  const End dialled = record.has_orig_dst ? End{record.orig_dst_ip, record.orig_dst_port} : server;
  const End shown = record.nat_ip != IpAddress() ? End{record.nat_ip, record.nat_port} : client;
  const Count out_packets = record.pkts_from_vpc;
  const Count out_bytes = record.bytes_from_vpc;
  maker.add(record.iif, true, client, dialled, out_packets, out_bytes);
  maker.add(record.oif, false, shown, server, out_packets, out_bytes);
  maker.add(record.oif, true, server, shown, record.pkts_from_pub, record.bytes_from_pub);
  maker.add(record.iif, false, dialled, client, record.pkts_from_pub, record.bytes_from_pub);
}

SessionRecord status_entry(const SessionRecord& window_closed, std::string_view interface, bool skipped) {
  SessionRecord entry =
      record_of_window(skipped ? FlowKind::kSkipped : FlowKind::kWindowClosed, window_closed.origin,
                       window_closed.start_time, window_closed.end_time, window_closed.flow);
  entry.iif = interface;
  // FNV-1a, so that interfaces have different ones.
  entry.session_id = 0xcbf29ce484222325;
  for (const char c : interface)
    entry.session_id = (entry.session_id ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  entry.session_id += skipped ? 1 : 0;
  return entry;
}

}  // namespace natsession
