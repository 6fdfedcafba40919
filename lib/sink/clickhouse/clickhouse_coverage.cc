#include "sink/clickhouse/clickhouse_coverage.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>
#include <optional>

namespace natsession::clickhouse {
namespace {

constexpr NamedColumn kCoverageColumns[] = {
    {"instance", ColumnKind::kText},    {"netns", ColumnKind::kText},      {"stream", ColumnKind::kUInt64},
    {"from_time", ColumnKind::kTime},   {"until_time", ColumnKind::kTime}, {"whole", ColumnKind::kUInt8},
    {"events", ColumnKind::kUInt8},     {"nat", ColumnKind::kUInt8},       {"records", ColumnKind::kUInt8},
    {"window_ms", ColumnKind::kUInt32}, {"version", ColumnKind::kUInt64},
};

template <typename T>
void put_number(T value, std::string& out) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof bytes);
}

void put_name(std::string_view text, std::string& out) {
  std::size_t rest = text.size();
  for (; rest >= 0x80; rest >>= 7) out += static_cast<char>(rest | 0x80);
  out += static_cast<char>(rest);
  out += text;
}

std::int64_t ms_since_epoch(UnixMs time) {
  return time.time_since_epoch().count();
}

// DateTime64 has the years 1900 to 2299; a beginning before is as good as that.
std::int64_t time_in_table(UnixMs time) {
  constexpr std::int64_t kFirst = -2'208'988'800'000;
  constexpr std::int64_t kLast = 10'413'791'999'999;
  return std::clamp(ms_since_epoch(time), kFirst, kLast);
}

template <typename T>
bool take_number(const std::string& text, T& value) {
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value);
  return read.ec == std::errc() && read.ptr == end;
}

// From the first to the last time of a stream.
struct Hull {
  UnixMs from = UnixMs::max();
  UnixMs until = UnixMs::min();
};

bool any_overlap(const std::map<std::uint64_t, Hull>& streams) {
  std::vector<Hull> hulls;
  for (const auto& [stream, hull] : streams) hulls.push_back(hull);
  std::sort(hulls.begin(), hulls.end(), [](const Hull& a, const Hull& b) { return a.from < b.from; });
  for (std::size_t i = 1; i < hulls.size(); ++i) {
    if (hulls[i].from < hulls[i - 1].until) return true;
    hulls[i].until = std::max(hulls[i].until, hulls[i - 1].until);
  }
  return false;
}

}  // namespace

std::string coverage_table(std::string_view table) {
  return std::string(table) + "_coverage";
}

std::span<const NamedColumn> coverage_columns() {
  return kCoverageColumns;
}

void append_coverage(const ProvedTimes& proved, std::string& out) {
  for (const Coverage& coverage : proved.times) {
    put_name(proved.instance, out);
    put_name(coverage.netns, out);
    put_number(proved.stream, out);
    put_number(time_in_table(coverage.from), out);
    put_number(time_in_table(coverage.until), out);
    put_number(std::uint8_t{coverage.whole}, out);
    put_number(coverage.conditions.events, out);
    put_number(coverage.conditions.nat, out);
    put_number(coverage.conditions.records, out);
    put_number(static_cast<std::uint32_t>(coverage.conditions.window.count()), out);
    // Of two that end at one time the one counts that says more.
    const std::int64_t until = std::max<std::int64_t>(0, time_in_table(coverage.until));
    put_number(static_cast<std::uint64_t>(until) * 2 + (coverage.whole ? 1 : 0), out);
  }
}

std::string coverage_question(const Place& place, std::string_view condition, bool modern) {
  const auto ms = [modern](const std::string& time) {
    return modern ? "toUnixTimestamp64Milli(" + time + ")" : "toInt64(" + time + ")";
  };
  std::string newest;
  for (const char* column : {"whole", "events", "nat", "records", "window_ms"})
    newest += ", argMax(" + std::string(column) + ", version)";
  return "SELECT instance, netns, stream, " + ms("from_time") + ", " + ms("max(until_time)") + newest +
         " FROM " + quoted_name(place.database) + "." + quoted_name(coverage_table(place.table)) + " WHERE " +
         std::string(condition) + " GROUP BY instance, netns, stream, from_time";
}

Result<std::vector<StoredCoverage>> read_coverage_answer(const std::vector<std::vector<std::string>>& lines) {
  std::vector<StoredCoverage> all;
  for (const auto& line : lines) {
    StoredCoverage one;
    Coverage& coverage = one.coverage;
    CoverageConditions& conditions = coverage.conditions;
    std::int64_t from = 0;
    std::int64_t until = 0;
    std::uint8_t whole = 0;
    std::uint32_t window = 0;
    if (line.size() != 10 || !take_number(line[2], one.stream) || !take_number(line[3], from) ||
        !take_number(line[4], until) || !take_number(line[5], whole) ||
        !take_number(line[6], conditions.events) || !take_number(line[7], conditions.nat) ||
        !take_number(line[8], conditions.records) || !take_number(line[9], window)) {
      return Error{ErrorKind::kMalformed,
                   "the answer has '" + as_shown(line[0]).substr(0, 60) + "' where coverage should be"};
    }
    coverage.instance = line[0];
    coverage.netns = line[1];
    coverage.from = UnixMs(std::chrono::milliseconds(from));
    coverage.until = UnixMs(std::chrono::milliseconds(until));
    coverage.whole = whole == 1;
    conditions.window = std::chrono::milliseconds(window);
    all.push_back(std::move(one));
  }
  return all;
}

std::vector<Coverage> coverage_of_boxes(std::vector<StoredCoverage> stored) {
  std::map<std::string, std::map<std::uint64_t, Hull>> streams;
  for (const StoredCoverage& one : stored) {
    if (one.coverage.from > one.coverage.until) continue;  // it says nothing
    Hull& hull = streams[one.coverage.instance][one.stream];
    hull.from = std::min(hull.from, one.coverage.from);
    hull.until = std::max(hull.until, one.coverage.until);
  }
  std::map<std::string, bool> shared;  // instances: several boxes have that name
  for (const auto& [instance, of_it] : streams) shared[instance] = any_overlap(of_it);
  std::vector<Coverage> all;
  for (StoredCoverage& one : stored) {
    if (shared[one.coverage.instance])
      one.coverage.instance += " (several boxes have that name: " + std::to_string(one.stream) + ")";
    all.push_back(std::move(one.coverage));
  }
  return all;
}

}  // namespace natsession::clickhouse
