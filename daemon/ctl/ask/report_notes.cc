#include "ask/report_notes.h"

#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "query/time_text.h"
#include "record/encoder.h"
#include "words.h"

namespace natsession::ctl {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxNotes = 20;

std::string time_text(const std::optional<UnixMs>& time, std::string_view otherwise) {
  return time ? format_local_time(*time) : std::string(otherwise);
}

Json time_json(const std::optional<UnixMs>& time) {
  return time ? Json(format_local_rfc3339(*time)) : Json(nullptr);
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <typename T, typename Text>
void add_notes(const std::vector<T>& told, std::uint64_t count, std::string_view what, const Text& text,
               std::vector<std::string>& notes) {
  const std::size_t shown = std::min(told.size(), kMaxNotes);
  for (std::size_t i = 0; i < shown; ++i) notes.push_back(fmt::format("{}: {}", what, text(told[i])));
  if (count > shown) notes.push_back(fmt::format("and {} more: {}", grouped(count - shown), what));
}

}  // namespace

std::string gap_text(const KnownGap& gap) {
  std::string text = fmt::format("{} to {}: {}", format_local_time(gap.from), format_local_time(gap.until),
                                 to_string(gap.reason));
  if (gap.events_lost.known()) text += fmt::format(", {} events lost", grouped(gap.events_lost.value()));
  if (!gap.netns.empty()) text += ", network namespace " + gap.netns;
  return text;
}

std::string trouble_text(const Trouble& trouble) {
  std::string text = fmt::format("{} to {}: {}", time_text(trouble.time.from, "the beginning"),
                                 time_text(trouble.time.until, "the end"), to_string(trouble.kind));
  if (trouble.records != 0) text += fmt::format(", {} records", grouped(trouble.records));
  return text + ": " + trouble.why;
}

std::vector<std::string> notes_of(const std::vector<KnownGap>& gaps, std::uint64_t gap_count,
                                  const std::vector<Trouble>& troubles, std::uint64_t trouble_count) {
  std::vector<std::string> notes;
  add_notes(gaps, gap_count, "the log has a gap", gap_text, notes);
  add_notes(troubles, trouble_count, "the ledger cannot be read", trouble_text, notes);
  return notes;
}

void warn(std::string_view command, const std::vector<std::string>& notes) {
  for (const std::string& note : notes) {
    fmt::print(stderr, "natsessionctl: {}: warning: {}\n", command, printable(note));
  }
}

void warn(std::string_view command, const ScanReport& report) {
  warn(command, notes_of(report.gaps, report.gap_count, report.troubles, report.trouble_count));
}

std::string gaps_json(const std::vector<KnownGap>& gaps) {
  Json list = Json::array();
  for (const KnownGap& gap : gaps) {
    Json entry{{"from", format_local_rfc3339(gap.from)},
               {"until", format_local_rfc3339(gap.until)},
               {"reason", std::string(to_string(gap.reason))}};
    entry["events_lost"] = gap.events_lost.known() ? Json(gap.events_lost.value()) : Json(nullptr);
    entry["instance"] = gap.instance;
    if (!gap.netns.empty()) entry["netns"] = gap.netns;
    list.push_back(std::move(entry));
  }
  return dump(list);
}

std::string troubles_json(const std::vector<Trouble>& troubles) {
  Json list = Json::array();
  for (const Trouble& trouble : troubles) {
    list.push_back({{"kind", std::string(to_string(trouble.kind))},
                    {"from", time_json(trouble.time.from)},
                    {"until", time_json(trouble.time.until)},
                    {"records", trouble.records},
                    {"why", trouble.why}});
  }
  return dump(list);
}

std::string report_members_json(const ScanReport& report) {
  return fmt::format("  \"complete\": {},\n  \"cancelled\": {},\n  \"gaps\": {},\n  \"damage\": {}\n",
                     report.complete(), report.cancelled, gaps_json(report.gaps),
                     troubles_json(report.troubles));
}

}  // namespace natsession::ctl
