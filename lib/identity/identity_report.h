// IdentityReport: what the log of assignments and its sources say of themselves when they are asked.
// Threads: plain value types.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/report_row.h"
#include "base/time.h"

namespace natsession {

struct IdentitySourceReport {
  std::string source;
  std::uint64_t open = 0;     // assignments
  std::uint64_t begun = 0;    // since the start
  std::uint64_t ended = 0;    // likewise
  std::uint64_t refused = 0;  // what could not be understood
  std::uint64_t losses = 0;   // how often it could not be followed
  std::optional<UnixMs> followed_until;
  std::string problem;  // the last loss or refusal, in words
  friend bool operator==(const IdentitySourceReport&, const IdentitySourceReport&) = default;
};

struct IdentityReport {
  std::vector<IdentitySourceReport> sources;
  std::string failure;             // why the log cannot be written now; empty when all is well
  std::uint64_t memory_bytes = 0;  // of the assignments that are open, or ended a moment ago
  friend bool operator==(const IdentityReport&, const IdentityReport&) = default;
};

template <>
struct Rows<IdentitySourceReport> {
  static void visit(auto& s, auto row) {
    using enum Row::Look;
    row(member("source").column("IDENTITY"), s.source);
    row(gauge("open", "natsession_identity_open_assignments", "Assignments that are open.").column("OPEN"),
        s.open);
    row(counter("begun", "natsession_identity_begun_total", "Assignments that began.").column("BEGUN"),
        s.begun);
    row(counter("ended", "natsession_identity_ended_total", "Assignments that ended.").column("ENDED"),
        s.ended);
    row(gauge("followed_until", "natsession_identity_followed_age_seconds",
              "How long ago the source was followed last; 0 when it never was.", Row::Metric::kAge),
        s.followed_until);
    row(counter("refused", "natsession_identity_refused_total",
                "What the source told and could not be understood: lines, packets.")
            .column("REFUSED", kWarning),
        s.refused);
    row(counter("losses", "natsession_identity_losses_total",
                "How often the source could not be followed: what it told meanwhile is not known.")
            .column("LOSSES", kBad),
        s.losses);
    row(member("problem"), s.problem);
  }
};

template <>
struct Rows<IdentityReport> {
  static void visit(auto& i, auto row) {
    row(member("sources"), i.sources);
    row(gauge("failure", "natsession_identity_writable",
              "1 if the log of assignments can be written, 0 if the last try failed.", Row::Metric::kAbsent),
        i.failure);
    row(gauge("memory_bytes", "natsession_identity_memory_bytes",
              "Memory of the assignments that are open, or ended a moment ago."),
        i.memory_bytes);
  }
};

}  // namespace natsession
