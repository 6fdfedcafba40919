// RadiusDetailText: FreeRADIUS's detail file (rlm_detail). An entry is the time, then attributes by name,
// each behind a tab, then an empty line:
//
//   Mon Nov 30 19:39:16 2026
//   	Acct-Status-Type = Start
//   	User-Name = "al\"ice"
//   	Framed-IP-Address = 10.7.0.9
//   	Event-Timestamp = "Nov 30 2026 19:30:00 UTC"
//   	Timestamp = 1796067556
//
// Timestamp is when it came; the first line is the same in the server's own time zone, and is not read. Nor
// is an Event-Timestamp that is not in UTC: of a time zone's letters nothing certain is known.
// Threads: one.
// Source: FreeRADIUS 3.2.1; tried with it
#pragma once

#include "identity/sources/accounting.h"
#include "identity/sources/file_text.h"

namespace natsession {

class RadiusDetailText final : public FileText {
 public:
  [[nodiscard]] FileHabit habit() const override { return FileHabit::kHistory; }
  void begin() override;
  void line(std::string_view line, const LineTime& time, IdentityOutput& output) override;
  void end(const LineTime& time, IdentityOutput& output) override;

 private:
  void attribute(std::string_view name, std::string_view value, IdentityOutput& output);
  void finish(const LineTime& time, IdentityOutput& output);

  AccountingReport report_;
  std::string client_;
  bool within_ = false;
  bool has_time_ = false;
};

}  // namespace natsession
