// KeaText: the lease files of Kea's memfile back end, of DHCPv4 and DHCPv6. A line is one state of a lease;
// the last one of an address holds:
//
//   address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context
//   10.7.0.50,0e:b3:a3:ca:07:cb,01:0e:b3:a3:ca:07:cb,120,1796067617,1,0,0,hosta,0,
//   10.7.0.50,0e:b3:a3:ca:07:cb,01:0e:b3:a3:ca:07:cb,0,1796067497,1,0,0,hosta,0,
//
// Columns are found by their names, since versions add some. The lease was given or renewed at expire -
// valid_lifetime. A valid_lifetime of 0 says that it was released or deleted, and not when: expire then is
// when it was renewed last. States: 0 in use, 1 declined (somebody else has the address), 2 expired, 3
// released, 4 registered (an address that a host chose itself and told).
// Threads: one.
// Source: Kea 2.2, src/lib/dhcpsrv/csv_lease_file4.cc, csv_lease_file6.cc, memfile_lease_mgr.cc; tried with it
#pragma once

#include <array>
#include <string>
#include <vector>

#include "identity/sources/file_text.h"

namespace natsession {

class KeaText final : public FileText {
 public:
  [[nodiscard]] FileHabit habit() const override { return FileHabit::kMovedOn; }
  void begin() override;
  void line(std::string_view line, const LineTime& time, IdentityOutput& output) override;
  void caught_up(const LineTime& time, IdentityOutput& output) override { tell_released(time.now, output); }
  void end(const LineTime& time, IdentityOutput& output) override { tell_released(time.written, output); }

 private:
  enum Column : std::size_t {
    kAddress,
    kHwaddr,
    kClientId,
    kDuid,
    kValid,
    kExpire,
    kLeaseType,
    kIaid,
    kPrefixLength,
    kHostname,
    kState,
    kColumns
  };
  static constexpr std::size_t kAbsent = static_cast<std::size_t>(-1);

  bool read_header(const std::vector<std::string_view>& names);
  [[nodiscard]] std::string_view at(const std::vector<std::string_view>& cells, Column column) const;

  std::array<std::size_t, kColumns> places_{};
  bool has_header_ = false;
  // Released at a time that nobody wrote down, and not before the one here; what is written behind was
  // written later.
  struct Released {
    Prefix prefix;
    std::string id;
    UnixMs earliest;
  };
  void tell_released(UnixMs latest, IdentityOutput& output);

  std::vector<Released> released_;
  UnixMs latest_;  // of the times of this file's leases so far: no line behind is older
  std::vector<std::string_view> cells_;
};

}  // namespace natsession
