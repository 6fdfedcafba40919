// How the log sees a flow whose addresses are translated: which address of which tuple is private, public,
// translated.
// Threads: any; pure functions.
#pragma once

#include "session/conntrack_event.h"

namespace natsession {

[[nodiscard]] constexpr bool is_icmp(std::uint8_t protocol) {
  return protocol == 1 || protocol == 58;  // ICMP, ICMPv6
}

// Destination NAT alone: the private side is the one that was connected to. With both kinds it is source NAT
// that the log describes.
[[nodiscard]] constexpr bool is_dnat_view(std::uint32_t status) {
  return (status & kStatusSrcNat) == 0;
}

// Fills in the addresses and ports of `record`.
// ICMP has one id and one type and code a direction; see Tuple for where they stand.
inline void set_nat_view(const Tuple& original, const Tuple& reply, std::uint8_t protocol,
                         std::uint32_t status, SessionRecord& record) {
  const bool icmp = is_icmp(protocol);
  if (is_dnat_view(status)) {
    record.pri_ip = reply.src;
    record.pri_port = reply.src_port;
    record.pub_ip = original.src;
    record.pub_port = icmp ? original.dst_port : original.src_port;
    record.nat_ip = original.dst;
    record.nat_port = icmp ? original.src_port : original.dst_port;
    return;
  }
  record.pri_ip = original.src;
  record.pri_port = original.src_port;
  record.pub_ip = reply.src;
  record.pub_port = icmp ? original.dst_port : reply.src_port;
  record.nat_ip = reply.dst;
  record.nat_port = icmp ? reply.src_port : reply.dst_port;
  if ((status & kStatusDstNat) == 0) return;
  record.has_orig_dst = true;
  record.orig_dst_ip = original.dst;
  record.orig_dst_port = original.dst_port;
}

// How flow logs see any flow: from where it began, whatever is translated. See SessionRecord::flow.
inline void set_flow_view(const Tuple& original, const Tuple& reply, std::uint8_t protocol,
                          std::uint32_t status, SessionRecord& record) {
  set_nat_view(original, reply, protocol, status | kStatusSrcNat, record);
  if ((status & kStatusSrcNat) != 0) return;
  record.nat_ip = IpAddress();
  record.nat_port = record.pri_port;
}

}  // namespace natsession
