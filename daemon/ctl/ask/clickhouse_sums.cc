#include "ask/clickhouse_sums.h"

#include <array>
#include <cstring>

#include <fmt/format.h>

#include "ledger/segment_summer.h"
#include "sink/clickhouse/clickhouse_table.h"

namespace natsession::ctl {
namespace {

constexpr std::size_t kSumsPiece = 16'384;
constexpr std::size_t kSumsColumns = 7;
constexpr std::size_t kAddressBytes = 16;
constexpr std::size_t kMostRow = 64 << 10;  // some texts of a few hundred bytes, and numbers

bool is_by_address(SumsKind kind) {
  return !is_by_minute(kind);
}

std::string_view key_column(SumsKind kind) {
  switch (kind) {
    case SumsKind::kHoursByPriIp:
      return "pri_ip";
    case SumsKind::kHoursByPubIp:
      return "pub_ip";
    case SumsKind::kHoursByNatIp:
      return "nat_ip";
    default:
      return "protocol";
  }
}

std::string ms_in_sql(std::string_view column, bool modern) {
  return std::string(modern ? "toUnixTimestamp64Milli" : "toInt64") + "(assumeNotNull(" +
         std::string(column) + "))";
}

// What of a counter lies before minute `m` ends: share_before(). What is divided by is never 0, also where
// the other way is taken.
std::string share_until(std::string_view counter, std::string_view minute) {
  return fmt::format(
      "if({1} >= l, {0}, intDiv({0} * toUInt64(({1} + 1) * 60000 - s), toUInt64(greatest(e - s, 1))))",
      counter, minute);
}

constexpr std::array<std::string_view, 4> kShort{"c0", "c1", "c2", "c3"};

// Each counter's, then sessions, records and those of which a counter is not known: as take_sums() has them.
std::string all_sums() {
  std::string sums;
  std::string unknown;
  for (const CounterSum& counter : kCounterSums) {
    sums += fmt::format(", toUInt64(sum(ifNull({}, toUInt64(0))))", name_of(counter.field));
    unknown += fmt::format("{}isNull({})", unknown.empty() ? "" : " OR ", name_of(counter.field));
  }
  return fmt::format(
      "{}, toUInt64(countIf(bitAnd(seq, toUInt32({})) = 0)), toUInt64(count()), toUInt64(countIf({}))", sums,
      kMaxSeq, unknown);
}

constexpr std::size_t kSumsBytes = kSumsColumns * sizeof(std::uint64_t);

// `bytes` has kSumsBytes.
Sums take_sums(std::string_view& bytes) {
  Sums sums;
  const auto take = [&bytes](std::uint64_t& value) {
    std::memcpy(&value, bytes.data(), sizeof value);
    bytes.remove_prefix(sizeof value);
  };
  for (const CounterSum& counter : kCounterSums) take(sums.*counter.sum);
  take(sums.sessions);
  take(sums.records);
  take(sums.unknown);
  return sums;
}

std::string spread_statement(const SumsPlace& place) {
  std::string counters;
  std::string shares;
  std::string unknown;
  for (std::size_t i = 0; i < kCounterSums.size(); ++i) {
    const std::string_view name = name_of(kCounterSums[i].field);
    counters += fmt::format(", ifNull({}, toUInt64(0)) AS {}", name, kShort[i]);
    unknown += fmt::format("{}isNull({})", unknown.empty() ? "" : " OR ", name);
    shares += fmt::format(", toUInt64(sum({} - if(i = 0, toUInt64(0), {})))", share_until(kShort[i], "m"),
                          share_until(kShort[i], "(m - 1)"));
  }
  return fmt::format(
      "SELECT toUInt32({}), m AS period, key{}, toUInt64(countIf(i = 0 AND begins)), toUInt64(countIf(m = "
      "l)), "
      "toUInt64(countIf(m = l AND unknown)) FROM (SELECT key, c0, c1, c2, c3, unknown, begins, s, e, l, i, f "
      "+ toInt64(i) AS m FROM (SELECT "
      "toUInt8(protocol) AS key{}, "
      "{} AS unknown, bitAnd(seq, toUInt32({})) = 0 AS begins, {} AS s, {} AS e, intDiv(s, 60000) AS f, "
      "intDiv(e, 60000) "
      "AS l FROM {} WHERE {}) ARRAY JOIN range(toUInt64(l - f + 1)) AS i) GROUP BY period, key FORMAT "
      "RowBinary",
      clickhouse::kRowMark, shares, counters, unknown, kMaxSeq, ms_in_sql("start_time", place.modern),
      ms_in_sql("end_time", place.modern), place.table, place.condition);
}

}  // namespace

std::string sums_statement(const SumsQuestion& question, const SumsPlace& place) {
  if (is_spread(question.kind)) return spread_statement(place);
  const std::string period = question.by_period
                                 ? fmt::format("toInt64(intDiv({}, {}))", ms_in_sql("end_time", place.modern),
                                               length_of(question.kind).count())
                                 : "toInt64(0)";
  return fmt::format(
      "SELECT toUInt32({}), {} AS period, {} AS key{} FROM {} WHERE {} GROUP BY {}key FORMAT RowBinary",
      clickhouse::kRowMark, period, key_column(question.kind), all_sums(), place.table, place.condition,
      question.by_period ? "period, " : "");
}

std::string groups_statement(std::span<const clickhouse::Column* const> by, const SumsPlace& place) {
  std::string keys;
  for (const clickhouse::Column* const column : by) keys += ", " + clickhouse::quoted_name(column->name);
  return fmt::format("SELECT toUInt32({}){}{} FROM {} WHERE {}{} FORMAT RowBinary", clickhouse::kRowMark,
                     keys, all_sums(), place.table, place.condition,
                     by.empty() ? "" : " GROUP BY " + keys.substr(2));
}

bool GroupRows::add(std::string_view part) {
  rest_ += part;
  std::string_view bytes = rest_;
  while (!bytes.empty()) {
    std::string_view behind = bytes;
    const auto outcome = reader_.take(behind, key_);
    if (outcome == clickhouse::RowReader::Outcome::kBad) {
      why_ = reader_.why() + ": " + shown(bytes);
      return false;
    }
    if (outcome == clickhouse::RowReader::Outcome::kMore || behind.size() < kSumsBytes) break;
    bytes = behind;
    // Without a key no record at all is a group as well.
    const Sums sums = take_sums(bytes);
    if (sums.records > 0 && !take_(key_, sums)) {
      unwanted_ = true;
      return false;
    }
  }
  rest_ = std::string(bytes);
  if (rest_.size() > kMostRow) why_ = "the answer has a row that does not end";
  return why_.empty();
}

Result<void> GroupRows::finish() {
  if (!why_.empty()) return Error{ErrorKind::kUnavailable, why_};
  if (!rest_.empty()) return Error{ErrorKind::kUnavailable, "the answer ends within a row: " + shown(rest_)};
  return {};
}

// 64 bits of a hash will do: where two of different records were the same it only says no. Doubles have all
// integers up to 2^53, and err little beyond.
std::string exactness_question(SumsKind kind, const SumsPlace& place) {
  const std::string end = ms_in_sql("end_time", place.modern);
  const std::string start = ms_in_sql("start_time", place.modern);
  std::string tests = "count() = uniqExact(cityHash64(instance, session_id, seq, " + end + ")) AND countIf(" +
                      end + " < 0) = 0";
  std::string largest;
  for (const CounterSum& counter : kCounterSums) {
    const std::string value = fmt::format("toFloat64(ifNull({}, toUInt64(0)))", name_of(counter.field));
    tests += " AND sum(" + value + ") < 4e18";
    largest = largest.empty() ? value : "greatest(" + largest + ", " + value + ")";
  }
  if (is_spread(kind)) {
    tests += fmt::format(
        " AND countIf(isNull(start_time) OR {0} < 0 OR {0} > {1}) = 0 AND max({2} * toFloat64({1} - {0})) < "
        "4e18 AND "
        "max({1} - {0}) < {3}",
        start, end, largest, SegmentSummer::kMostMinutes * 60'000);
  }
  return "SELECT toUInt8(" + tests + ") FROM " + place.table + " WHERE " + place.condition;
}

SumsRows::SumsRows(SumsKind kind, const RemoteLog::TakeSums& take)
    : take_(take), key_bytes_(is_by_address(kind) ? kAddressBytes : 1) {
  piece_.reserve(kSumsPiece);
}

bool SumsRows::add(std::string_view part) {
  rest_ += part;
  std::string_view bytes = rest_;
  const std::size_t row = sizeof clickhouse::kRowMark + sizeof(std::int64_t) + key_bytes_ + kSumsBytes;
  const auto take = [&bytes](auto& value) {
    std::memcpy(&value, bytes.data(), sizeof value);
    bytes.remove_prefix(sizeof value);
  };
  while (bytes.size() >= row) {
    std::uint32_t mark = 0;
    const std::string_view whole = bytes;
    take(mark);
    if (mark != clickhouse::kRowMark) {
      why_ = "the answer has what is no row: " + shown(whole);
      return false;
    }
    SumsEntry entry;
    take(entry.period);
    if (key_bytes_ == kAddressBytes) {
      std::array<std::uint8_t, kAddressBytes> address{};
      take(address);
      entry.key = SumsKey::of(IpAddress::from_v6(address));
    } else {
      std::uint8_t protocol = 0;
      take(protocol);
      entry.key = SumsKey::of(protocol);
    }
    entry.sums = take_sums(bytes);
    piece_.push_back(entry);
    if (piece_.size() == kSumsPiece && !hand_on()) return false;
  }
  rest_ = std::string(bytes);
  return true;
}

bool SumsRows::hand_on() {
  unwanted_ = !piece_.empty() && !take_(piece_);
  piece_.clear();
  return !unwanted_;
}

Result<void> SumsRows::finish() {
  if (!why_.empty()) return Error{ErrorKind::kUnavailable, why_};
  if (!rest_.empty()) return Error{ErrorKind::kUnavailable, "the answer ends within a row: " + shown(rest_)};
  hand_on();
  return {};
}

}  // namespace natsession::ctl
