// DhcpdText: the lease files of ISC's dhcpd, of DHCPv4 and DHCPv6, as dhcpd.leases(5) has them. The last
// declaration of an address holds:
//
//   lease 10.7.0.50 {                             ia-pd "\313\007\312\243\000\001…" {      IAID and DUID
//     starts 1 2026/11/30 19:38:53;                 cltt 1 2026/11/30 19:38:59;
//     ends 1 2026/11/30 19:40:53;                   iaprefix fd08:0:0:ff00::/56 {
//     cltt 1 2026/11/30 19:38:53;                     binding state active;
//     binding state active;                           ends 1 2026/11/30 19:40:59;
//     hardware ethernet 0e:b3:a3:ca:07:cb;          }
//     uid "\001\016\263\243\312\007\313";         }
//     client-hostname "hosta";
//   }
//
// Times are in UTC, or "epoch 1796067533" where db-time-format is local; "never". Each statement stands in a
// line of its own, as dhcpd writes it.
// Threads: one.
// Source: dhcpd 4.4.3-P1, server/db.c; tried with it
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "identity/sources/file_text.h"

namespace natsession {

class DhcpdText final : public FileText {
 public:
  [[nodiscard]] FileHabit habit() const override { return FileHabit::kAppended; }
  void begin() override;
  void line(std::string_view line, const LineTime& time, IdentityOutput& output) override;

 private:
  struct When {
    std::optional<UnixMs> at;
    bool never = false;
  };
  // What a declaration has said so far.
  struct Lease {
    Prefix prefix;
    bool has_prefix = false;
    AssignmentKind kind = AssignmentKind::kLease;
    When starts, ends;
    std::string state, mac, host, uid;
  };
  enum class Within : std::uint8_t { kNothing, kLease, kAssociation, kAddress, kOther };

  static When when_of(std::string_view words);
  void open(std::string_view head, IdentityOutput& output);
  void statement(std::string_view text, IdentityOutput& output);
  void close(const LineTime& time, IdentityOutput& output);

  std::vector<Within> within_;  // the braces that are open, the outer ones first
  Lease lease_;
  When contact_;             // cltt: of the declaration, or of all addresses of an association
  std::string iaid_, duid_;  // of the association
};

}  // namespace natsession
