// DnsmasqText: dnsmasq's lease file, as dnsmasq(8) --dhcp-leasefile has it. Written whole at each change:
//
//   1796067501 0e:b3:a3:ca:07:cb 10.7.0.55 hosta 01:0e:b3:a3:ca:07:cb        expiry MAC address host
//   client-id duid 00:01:00:01:32:a0:8c:af:52:d2:60:5a:85:47                           the server's own;
//   DHCPv6 from here on 1796067512 2747926475 fd07::1ff * 00:01:00:01:32:a0:8c:c0:0e:b3:a3:ca:07:cb expiry
//   IAID address host DUID
//
// An expiry of 0 is never, "*" is none; the IAID of a temporary address has a T before it; a MAC that is not
// of Ethernet has its kind before it, as in 06-….
// Threads: one.
// Source: dnsmasq 2.90, src/lease.c
#pragma once

#include "identity/sources/file_text.h"

namespace natsession {

class DnsmasqText final : public FileText {
 public:
  [[nodiscard]] FileHabit habit() const override { return FileHabit::kRewritten; }
  void begin() override {}
  void line(std::string_view line, const LineTime& time, IdentityOutput& output) override;
};

}  // namespace natsession
