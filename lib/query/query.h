// Query: which records of a ledger are asked for, and which of their fields. A question that says when is
// cheap: its times choose segments and frames; what it says of addresses, ports and events is looked at in a
// frame before the frame's other columns are decoded.
//
//   Query query = Query::overlapping(from, until);
//   query.where.push_back(FieldTest::address(Field::kNatIp, *Prefix::parse("203.0.113.7")));
//   query.where.push_back(FieldTest::number(Field::kNatPort, 40123));
//   query.columns = Columns{Field::kPriIp, Field::kBytesFromVpc};
//
// Threads: plain value types.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "net/ip_address.h"
#include "record/fields.h"

namespace natsession {

// A set of fields.
class Columns {
 public:
  constexpr Columns() = default;
  constexpr Columns(std::initializer_list<Field> fields) {
    for (const Field field : fields) add(field);
  }
  [[nodiscard]] static constexpr Columns all() {
    Columns columns;
    columns.bits_ = static_cast<std::uint32_t>((std::uint64_t{1} << kFieldCount) - 1);
    return columns;
  }
  constexpr void add(Field field) { bits_ |= bit(field); }
  constexpr void add(const Columns& other) { bits_ |= other.bits_; }
  [[nodiscard]] constexpr bool has(Field field) const { return (bits_ & bit(field)) != 0; }
  [[nodiscard]] constexpr bool has_any(const Columns& other) const { return (bits_ & other.bits_) != 0; }
  [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
  friend constexpr bool operator==(const Columns&, const Columns&) = default;

 private:
  [[nodiscard]] static constexpr std::uint32_t bit(Field field) {
    return std::uint32_t{1} << static_cast<unsigned>(field);
  }
  std::uint32_t bits_ = 0;
};

// Both ends belong to it; one that is not set is open.
struct TimeRange {
  std::optional<UnixMs> from;
  std::optional<UnixMs> until;
  [[nodiscard]] bool contains(UnixMs time) const {
    return (!from || time >= *from) && (!until || time <= *until);
  }
  // Whether it may contain a time between the two.
  [[nodiscard]] bool meets(UnixMs lowest, UnixMs highest) const {
    return (!from || highest >= *from) && (!until || lowest <= *until);
  }
  [[nodiscard]] bool covers(UnixMs lowest, UnixMs highest) const {
    return contains(lowest) && contains(highest);
  }
  friend bool operator==(const TimeRange&, const TimeRange&) = default;
};

struct NumberRange {
  std::uint64_t lowest = 0;
  std::uint64_t highest = 0;  // inclusive
  friend bool operator==(const NumberRange&, const NumberRange&) = default;
};

// On which side of an address another must be. Of the same family: IPv4 and IPv6 have no order.
struct AddressBound {
  IpAddress bound;
  bool below = false;      // else above
  bool inclusive = false;  // or the bound itself

  [[nodiscard]] bool has(const IpAddress& address) const {
    if (address.is_v4() != bound.is_v4()) return false;
    return address == bound ? inclusive : (address < bound) == below;
  }
};

// One condition: the field's value is one of these; `excluded`: it is none of these. A field that has no
// value (see FORMAT.md, "none") fails every test, also an excluding one, so a gap record fails every test of
// a session's fields.
struct FieldTest {
  FieldTest() = default;
  explicit FieldTest(Field of) : field(of) {}

  Field field = Field::kNatIp;
  std::vector<Prefix> prefixes;      // kAddress: in any of these,
  std::vector<IpAddress> addresses;  // or one of these
  std::vector<NumberRange>
      numbers;  // kNumber, kId, and kWord: the values of RecordEvent, TcpState, RecordReason
  std::vector<std::string> texts;     // kText. Times cannot be tested: see Query
  std::optional<AddressBound> bound;  // kAddress: beside it
  bool excluded = false;

  [[nodiscard]] static FieldTest address(Field field, const Prefix& prefix) {
    FieldTest test(field);
    test.prefixes.push_back(prefix);
    return test;
  }
  [[nodiscard]] static FieldTest address(Field field, const IpAddress& address) {
    FieldTest test(field);
    test.addresses.push_back(address);
    return test;
  }
  [[nodiscard]] static FieldTest number(Field field, std::uint64_t value) {
    return range(field, value, value);
  }
  [[nodiscard]] static FieldTest range(Field field, std::uint64_t lowest, std::uint64_t highest) {
    FieldTest test(field);
    test.numbers.push_back({lowest, highest});
    return test;
  }
  [[nodiscard]] static FieldTest text(Field field, std::string text) {
    FieldTest test(field);
    test.texts.push_back(std::move(text));
    return test;
  }
  [[nodiscard]] static FieldTest event(RecordEvent event) {
    return number(Field::kEvent, static_cast<std::uint64_t>(event));
  }
};

// Reads "FIELD=VALUE", as --where has it: values are what the log's texts have, addresses also with a prefix
// length, numbers also as a range "1024-65535", protocols also by name (tcp, udp, icmp, icmpv6, sctp, gre,
// dccp, udplite), and several values with a comma between them: any of them will do; behind != none of them.
// <, <=, > and >= go with one number, or one address, whose family alone is compared. Times are not tested
// here, see Query.
// Errors: kUsage, naming the text, what is wrong with it and what would do.
[[nodiscard]] Result<FieldTest> parse_field_test(std::string_view text);
// With fields by other names, which errors then have as well.
using FieldNamed = std::function<Result<Field>(std::string_view name)>;
[[nodiscard]] Result<FieldTest> parse_field_test(std::string_view text, const FieldNamed& field_named);

// What need not be read, since sums that are ready tell of it (query/ready_sums.h): records of these segments
// that end within `end`. Their gap records are told all the same.
struct ReadyPart {
  struct Segment {
    std::uint64_t first = 0;          // its first ordinal, which names it
    std::vector<std::uint64_t> gaps;  // the ordinals of its gap records, ascending
  };
  TimeRange end;
  std::vector<Segment> segments;  // by their first ordinals

  // Null for another segment.
  [[nodiscard]] const Segment* find(std::uint64_t first) const;
};

struct Query {
  // A record must have its start_time within `start` and its end_time within `end`.
  TimeRange start;
  TimeRange end;
  // In which session_start is asked for. It is not tested: it says of which time the answer has to be proved.
  TimeRange session_start;
  std::vector<FieldTest> where;  // all must hold
  Columns columns;               // what the consumer will look at
  bool whole = false;            // it may ask for whole records (ScanBatch::materialise()), too
  bool gap_records = false;      // whether gap records are rows like others, too
  bool flows = false;            // and records that are not the session log's, but of flow logs alone
  // If there are any: frames that have no time in common with one of these are not read; ascending, apart.
  // For many questions at once: it chooses frames, not records.
  std::vector<TimeRange> moments;
  std::shared_ptr<const ReadyPart> ready;  // may be null

  // Records whose time has something in common with [from, until]; either may be open.
  [[nodiscard]] static Query overlapping(std::optional<UnixMs> from, std::optional<UnixMs> until) {
    Query query;
    query.start.until = until;
    query.end.from = from;
    return query;
  }
  // Records that were written for [from, until]: their end_time lies in it.
  [[nodiscard]] static Query ended_within(std::optional<UnixMs> from, std::optional<UnixMs> until) {
    Query query;
    query.end = {from, until};
    return query;
  }
};

}  // namespace natsession
