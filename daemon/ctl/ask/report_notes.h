// What an answer must say beside the answer: gaps in the log, damage in the ledger.
// Threads: one; times are in the zone of the process.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "query/scan_report.h"

namespace natsession::ctl {

// "2026-11-21 14:57:03.000 CET to 2026-11-21 14:58:00.000 CET: overrun, 1,200 events lost"
[[nodiscard]] std::string gap_text(const KnownGap& gap);
[[nodiscard]] std::string trouble_text(const Trouble& trouble);
// A line for each, and one for those that are too many to tell.
[[nodiscard]] std::vector<std::string> notes_of(const std::vector<KnownGap>& gaps, std::uint64_t gap_count,
                                                const std::vector<Trouble>& troubles,
                                                std::uint64_t trouble_count);

// The same on stderr, as warnings of `command`; nothing when the log is complete.
void warn(std::string_view command, const ScanReport& report);
void warn(std::string_view command, const std::vector<std::string>& notes);

// JSON arrays, and the members "complete", "cancelled", "gaps", "damage" with a newline behind the last.
[[nodiscard]] std::string gaps_json(const std::vector<KnownGap>& gaps);
[[nodiscard]] std::string troubles_json(const std::vector<Trouble>& troubles);
[[nodiscard]] std::string report_members_json(const ScanReport& report);

}  // namespace natsession::ctl
