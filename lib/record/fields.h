// The fields of a record, in one table: name, value, in which records it stands, how a frame of the ledger
// has it. Text formats, the CSV header, journald's and syslog's names, queries, grouping and SQL's columns
// are made from it, so they cannot disagree. ARCHITECTURE.md, "To add a field", says what else a field needs.
// Threads: any; constants and pure functions.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/result.h"
#include "record/address_text.h"
#include "record/encoder.h"
#include "record/escape.h"
#include "record/session_record.h"
#include "record/text_writer.h"

namespace natsession {

enum class Field : std::uint8_t {
  kInstance,
  kVpcId,
  kProtocol,
  kPriIp,
  kPriPort,
  kPubIp,
  kPubPort,
  kNatIp,
  kNatPort,
  kBytesFromPub,
  kPktsFromPub,
  kBytesFromVpc,
  kPktsFromVpc,
  kStartTime,
  kEndTime,
  kEvent,
  kSessionId,
  kSeq,
  kSessionStart,
  kTcpState,
  kReason,
  kOrigDstIp,
  kOrigDstPort,
  kZone,
  kMark,
  kNetns,
  kEventsLost,
  kLogStatus,
  // Of flow logs' entries (flow/flow_entries.h) alone.
  kInterface,
  kDirection,
  kAction,
  kTcpFlags,
};

// What a field's values are; the type of its value says it.
enum class FieldKind : std::uint8_t {
  kText,     // any bytes at all
  kAddress,  //
  kNumber,   // unsigned
  kWord,     // one of the log's own words
  kTime,     //
  kId,       // 64 bits, as 16 hexadecimal digits
};

// Which lines a field stands in. A group's fields follow one another.
enum class FieldGroup : std::uint8_t {
  kCloud,  // the fifteen of the cloud schema: in all
  kExtra,  // where all fields are asked for
  kNetns,  // likewise, if more than one namespace is watched
  kGap,    // likewise, where gap records may be
  kFlow,   // in none: of flow logs' entries alone
};

// Which records a field has a value in, beyond what its type says (an unknown Count, an empty word).
enum class Has : std::uint8_t { kAlways, kUnlessZero, kOrigDst, kGap, kStart };

// How the ledger has a field; the column's number is in frame_layout.h and in ledger/FORMAT.md.
enum class Stored : std::uint8_t {
  kAddresses,  // FrameColumns has columns of these five
  kPorts,
  kTimes,
  kCounts,
  kSmall,
  kPlain,   // as a number, 0 for none, in a column that the codec fills, checks and reads by this table
  kRecord,  // coded by hand, or derived: only whole records have it
};

// Rules.
inline constexpr unsigned kInGap = 1;      // a gap record gives it a value
inline constexpr unsigned kOfSession = 2;  // all records of a session have the same
inline constexpr unsigned kGroups = 4;     // records can be grouped by it

struct SessionId {
  std::uint64_t value;
};
inline constexpr std::string_view kGapLogStatus = "SKIPDATA";

namespace field_values {
inline std::string_view instance(const SessionRecord& record) {
  return record.origin->instance;
}
inline std::string_view netns(const SessionRecord& record) {
  return record.origin->netns;
}
inline SessionId session_id(const SessionRecord& record) {
  return {record.session_id};
}
inline std::string_view log_status(const SessionRecord&) {
  return kGapLogStatus;
}
inline std::string_view interface(const SessionRecord& entry) {
  return entry.iif.empty() ? entry.oif : entry.iif;
}
inline std::string_view direction(const SessionRecord& entry) {
  return !entry.iif.empty() ? "ingress" : !entry.oif.empty() ? "egress" : "";
}
inline std::string_view action(const SessionRecord& entry) {
  return entry.flow_kind == FlowKind::kRefused   ? "REJECT"
         : entry.flow_kind == FlowKind::kSession ? "ACCEPT"
                                                 : "";
}
}  // namespace field_values

// A row: the member of a record that the field is, or a function of a record; and when it has a value.
template <auto kGet, Has kWhen = Has::kAlways>
struct FieldRow {
  static constexpr auto kMember = kGet;
  static constexpr Has kHas = kWhen;
  Field field;
  std::string_view name;
  FieldGroup group;
  unsigned rules;
  Stored stored;
  std::uint16_t column = 0;  // of frames, that has it; 0 for what is derived
};

namespace field_table {
using R = SessionRecord;
using enum FieldGroup;
using enum Stored;
using namespace field_values;
// clang-format off
inline constexpr std::tuple kRows{
    FieldRow<instance>{Field::kInstance, "instance", kCloud, kInGap | kGroups, kRecord, 2},
    FieldRow<&R::vpc_id>{Field::kVpcId, "vpc_id", kCloud, kInGap | kGroups, kRecord, 3},
    FieldRow<&R::protocol>{Field::kProtocol, "protocol", kCloud, kOfSession | kGroups, kSmall, 10},
    FieldRow<&R::pri_ip>{Field::kPriIp, "pri_ip", kCloud, kOfSession | kGroups, kAddresses, 4},
    FieldRow<&R::pri_port>{Field::kPriPort, "pri_port", kCloud, kOfSession | kGroups, kPorts, 7},
    FieldRow<&R::pub_ip>{Field::kPubIp, "pub_ip", kCloud, kOfSession | kGroups, kAddresses, 5},
    FieldRow<&R::pub_port>{Field::kPubPort, "pub_port", kCloud, kOfSession | kGroups, kPorts, 8},
    FieldRow<&R::nat_ip>{Field::kNatIp, "nat_ip", kCloud, kOfSession | kGroups, kAddresses, 6},
    FieldRow<&R::nat_port>{Field::kNatPort, "nat_port", kCloud, kOfSession | kGroups, kPorts, 9},
    FieldRow<&R::bytes_from_pub>{Field::kBytesFromPub, "bytes_from_pub", kCloud, 0, kCounts, 21},
    FieldRow<&R::pkts_from_pub>{Field::kPktsFromPub, "pkts_from_pub", kCloud, 0, kCounts, 19},
    FieldRow<&R::bytes_from_vpc>{Field::kBytesFromVpc, "bytes_from_vpc", kCloud, 0, kCounts, 20},
    FieldRow<&R::pkts_from_vpc>{Field::kPktsFromVpc, "pkts_from_vpc", kCloud, 0, kCounts, 18},
    FieldRow<&R::start_time, Has::kStart>{Field::kStartTime, "start_time", kCloud, kInGap, kTimes, 14},
    FieldRow<&R::end_time>{Field::kEndTime, "end_time", kCloud, kInGap, kTimes, 13},
    FieldRow<&R::event>{Field::kEvent, "event", kExtra, kInGap | kGroups, kSmall, 11},
    FieldRow<session_id>{Field::kSessionId, "session_id", kExtra, kOfSession | kGroups, kRecord},
    FieldRow<&R::seq>{Field::kSeq, "seq", kExtra, 0, kCounts, 17},
    FieldRow<&R::session_start>{Field::kSessionStart, "session_start", kExtra, kOfSession, kTimes, 15},
    FieldRow<&R::tcp_state>{Field::kTcpState, "tcp_state", kExtra, kGroups, kSmall, 11},
    FieldRow<&R::reason>{Field::kReason, "reason", kExtra, kInGap | kGroups, kSmall, 12},
    FieldRow<&R::orig_dst_ip, Has::kOrigDst>{
        Field::kOrigDstIp, "orig_dst_ip", kExtra, kOfSession | kGroups, kRecord, 23},
    FieldRow<&R::orig_dst_port, Has::kOrigDst>{
        Field::kOrigDstPort, "orig_dst_port", kExtra, kOfSession | kGroups, kRecord, 24},
    FieldRow<&R::zone, Has::kUnlessZero>{Field::kZone, "zone", kExtra, kOfSession | kGroups, kPlain, 25},
    FieldRow<&R::mark, Has::kUnlessZero>{Field::kMark, "mark", kExtra, kGroups, kPlain, 26},
    FieldRow<netns>{Field::kNetns, "netns", kNetns, kInGap | kOfSession | kGroups, kRecord, 2},
    FieldRow<&R::events_lost, Has::kGap>{Field::kEventsLost, "events_lost", kGap, kInGap, kPlain, 27},
    FieldRow<log_status, Has::kGap>{Field::kLogStatus, "log_status", kGap, kInGap, kRecord},
    FieldRow<interface>{Field::kInterface, "interface", kFlow, kGroups, kRecord},
    FieldRow<direction>{Field::kDirection, "direction", kFlow, kGroups, kRecord},
    FieldRow<action>{Field::kAction, "action", kFlow, kGroups, kRecord},
    FieldRow<&R::tcp_flags>{Field::kTcpFlags, "tcp_flags", kFlow, kGroups, kRecord},
};
// clang-format on
}  // namespace field_table

inline constexpr std::size_t kAllFields = std::tuple_size_v<decltype(field_table::kRows)>;
static_assert(kAllFields <= 32, "query's Columns are 32 bits");
// Those of the session log, which come first.
inline constexpr std::size_t kFieldCount = static_cast<std::size_t>(Field::kInterface);
[[nodiscard]] constexpr bool is_of_flows(Field field) {
  return static_cast<std::size_t>(field) >= kFieldCount;
}

template <Field kField>
inline constexpr const auto& kRow = std::get<static_cast<std::size_t>(kField)>(field_table::kRows);

// The field's value in a record, in the type that it has there; std::optional where the row says when it has
// one.
template <Field kField>
constexpr decltype(auto) field_value(const SessionRecord& record) {
  using Described = std::remove_cvref_t<decltype(kRow<kField>)>;
  using Value = std::remove_cvref_t<std::invoke_result_t<decltype(Described::kMember), const SessionRecord&>>;
  const auto when = [&](bool has) {
    return has ? std::optional<Value>(std::invoke(Described::kMember, record)) : std::optional<Value>();
  };
  if constexpr (Described::kHas == Has::kUnlessZero) {
    return when(std::invoke(Described::kMember, record) != 0);
  } else if constexpr (Described::kHas == Has::kOrigDst) {
    return when(record.has_orig_dst);
  } else if constexpr (Described::kHas == Has::kGap) {
    return when(record.event == RecordEvent::kGap);
  } else if constexpr (Described::kHas == Has::kStart) {
    return when(record.event != RecordEvent::kGap || record.start_time != kUnknownStart);
  } else {
    return std::invoke(Described::kMember, record);
  }
}

namespace field_values {
template <typename T>
struct Bare {
  using Type = T;
};
template <typename T>
struct Bare<std::optional<T>> : Bare<T> {};
}  // namespace field_values

template <Field kField>
using FieldType = typename field_values::Bare<
    std::remove_cvref_t<decltype(field_value<kField>(std::declval<const SessionRecord&>()))>>::Type;

template <typename T>
constexpr FieldKind kind_of_type() {
  if constexpr (std::is_same_v<T, std::string_view>) return FieldKind::kText;
  if constexpr (std::is_same_v<T, IpAddress>) return FieldKind::kAddress;
  if constexpr (std::is_same_v<T, UnixMs>) return FieldKind::kTime;
  if constexpr (std::is_same_v<T, SessionId>) return FieldKind::kId;
  if constexpr (std::is_enum_v<T>) return FieldKind::kWord;
  return FieldKind::kNumber;
}

// A value as all fields have it, for code that goes by the field at run time; nothing where there is none.
// Words and ids are numbers.
using FieldValue = std::variant<std::monostate, std::uint64_t, IpAddress, std::string_view, UnixMs>;

template <typename Value>
FieldValue to_field_value(const Value& value) {
  if constexpr (std::is_same_v<Value, Count>) {
    return value.known() ? FieldValue(value.value()) : FieldValue();
  } else if constexpr (std::is_same_v<Value, SessionId>) {
    return value.value;
  } else if constexpr (std::is_enum_v<Value>) {
    return to_string(value).empty() ? FieldValue() : FieldValue(static_cast<std::uint64_t>(value));
  } else if constexpr (std::is_unsigned_v<Value>) {
    return std::uint64_t{value};
  } else if constexpr (requires { value.has_value(); }) {
    return value ? to_field_value(*value) : FieldValue();
  } else {
    return value;
  }
}

// A row, for code that goes by the field at run time.
struct FieldSpec {
  Field field;
  std::string_view name;
  FieldKind kind;
  FieldGroup group;
  Stored stored;
  std::uint16_t column;
  bool in_gap;
  bool of_session;
  bool groups;
  std::size_t max_length;  // of the value in the longest format; 0 for texts, which are measured
  std::uint64_t limit;     // the largest number; kWord: of the last word
  std::string_view (*word)(std::uint64_t number);    // kWord: empty for none
  FieldValue (*value)(const SessionRecord& record);  // in a record that is no gap
};

inline constexpr std::size_t kMaxNumberLength = 20;
inline constexpr std::size_t kMaxWordLength = 16;

constexpr std::size_t max_length_of(FieldKind kind) {
  switch (kind) {
    case FieldKind::kText:
      return 0;
    case FieldKind::kAddress:
      return IpAddress::kMaxTextLength;
    case FieldKind::kNumber:
      return kMaxNumberLength;
    case FieldKind::kWord:
      return kMaxWordLength;
    case FieldKind::kTime:
      return kMaxTimeLength;
    case FieldKind::kId:
      break;
  }
  return kHex64Length;
}

template <Field kField>
constexpr FieldSpec make_spec() {
  using Type = FieldType<kField>;
  constexpr auto& row = kRow<kField>;
  constexpr FieldKind kind = kind_of_type<Type>();
  FieldSpec spec{row.field,
                 row.name,
                 kind,
                 row.group,
                 row.stored,
                 row.column,
                 (row.rules & kInGap) != 0,
                 (row.rules & kOfSession) != 0,
                 (row.rules & kGroups) != 0,
                 max_length_of(kind),
                 0,
                 nullptr,
                 [](const SessionRecord& record) { return to_field_value(field_value<kField>(record)); }};
  if constexpr (std::is_same_v<Type, Count>) {
    spec.limit = std::numeric_limits<std::uint64_t>::max() - 1;
  } else if constexpr (std::is_enum_v<Type>) {
    spec.limit = static_cast<std::uint64_t>(kLast<Type>);
    spec.word = [](std::uint64_t number) { return to_string(static_cast<Type>(number)); };
  } else if constexpr (std::is_unsigned_v<Type>) {
    spec.limit = std::numeric_limits<Type>::max();
  }
  return spec;
}

inline constexpr auto kFields = []<std::size_t... kPlaces>(std::index_sequence<kPlaces...>) {
  static_assert(((std::get<kPlaces>(field_table::kRows).field == static_cast<Field>(kPlaces)) && ...),
                "the table stands in the order of the enum");
  return std::array{make_spec<static_cast<Field>(kPlaces)>()...};
}
(std::make_index_sequence<kAllFields>());

template <Field kField>
inline constexpr const FieldSpec& kSpec = kFields[static_cast<std::size_t>(kField)];

[[nodiscard]] constexpr const FieldSpec& spec_of(Field field) {
  return kFields[static_cast<std::size_t>(field)];
}
[[nodiscard]] constexpr FieldKind kind_of(Field field) {
  return spec_of(field).kind;
}
[[nodiscard]] constexpr std::string_view name_of(Field field) {
  return spec_of(field).name;
}
// Whether 0 says that a word's field has no value.
[[nodiscard]] inline bool zero_is_none(Field field) {
  return spec_of(field).word != nullptr && spec_of(field).word(0).empty();
}
// The value that the field has in a record; nothing in a gap record that does not give it one.
[[nodiscard]] inline FieldValue value_of(const SessionRecord& record, Field field) {
  const FieldSpec& spec = spec_of(field);
  return record.event == RecordEvent::kGap && !spec.in_gap ? FieldValue() : spec.value(record);
}
// Errors: kUsage, naming the text and the names that would do.
[[nodiscard]] Result<Field> parse_field(std::string_view name);
// The number of a word of `field`, which is a kWord.
[[nodiscard]] std::optional<std::uint64_t> parse_word(Field field, std::string_view word);

// The session log's.
[[nodiscard]] constexpr std::span<const FieldSpec> session_fields() {
  return std::span(kFields).first(kFieldCount);
}

// Calls visit.operator()<Field>() for each field of the session log, in order.
template <typename Visit>
constexpr void visit_fields(Visit&& visit) {
  [&]<std::size_t... kPlaces>(std::index_sequence<kPlaces...>) {
    (visit.template operator()<static_cast<Field>(kPlaces)>(), ...);
  }
  (std::make_index_sequence<kFieldCount>());
}

// Which fields a line has, beyond the fifteen of the cloud schema.
struct Selection {
  bool extra = true;        // event to mark
  bool netns = false;       // only together with extra
  bool gap_fields = false;  // events_lost and log_status; only together with extra
};

// The same for each selected field.
template <typename Visit>
constexpr void visit_selected(const Selection& selection, Visit visit) {
  const auto visit_group = [&]<FieldGroup kGroup>() {
    visit_fields([&]<Field kField>() {
      if constexpr (kRow<kField>.group == kGroup) visit.template operator()<kField>();
    });
  };
  visit_group.template operator()<FieldGroup::kCloud>();
  if (!selection.extra) return;
  visit_group.template operator()<FieldGroup::kExtra>();
  if (selection.netns) visit_group.template operator()<FieldGroup::kNetns>();
  if (selection.gap_fields) visit_group.template operator()<FieldGroup::kGap>();
}

// The most that any format adds to a field's name and value: JSON's ,"":"" or ,"":null
inline constexpr std::size_t kMaxFieldOverhead = 8;

// An upper bound for a record's fields in a format that adds `overhead` to each name and value, and makes of
// a text what `of_text(size)` says.
template <std::size_t kOverhead = kMaxFieldOverhead, typename OfText>
std::size_t max_fields_length(const SessionRecord& record, OfText of_text) {
  static constexpr std::size_t kWithoutTexts = [] {
    std::size_t length = kMaxFieldOverhead + kTextSlack;
    for (const FieldSpec& spec : kFields) length += spec.name.size() + spec.max_length + kOverhead;
    return length;
  }();
  std::size_t length = kWithoutTexts;
  visit_fields([&]<Field kField>() {
    if constexpr (kSpec<kField>.kind == FieldKind::kText) {
      length += of_text(std::string_view(std::invoke(kRow<kField>.kMember, record)).size());
    }
  });
  return length;
}

// An upper bound for a line in any format, its newline included.
inline std::size_t max_record_length(const SessionRecord& record) {
  return max_fields_length(record, max_escaped_length);
}

// Writes one field's value through `format`, which has for each kind of value a member
//   template <Field> char* kind(char* out, value) const
// that writes name, value and punctuation as the format wants them and returns the new end. The kinds: text
// (any bytes at all), word (one of the log's own words), address, number, hex, time, and null, which has no
// value. The position goes through arguments and results, not through a member: it then stays in a register,
// whereas a store through a char* would make the compiler read the member again each time.
template <Field kField, typename Format, typename Value>
char* write_value(const Value& value, const Format& format, char* out) {
  if constexpr (std::is_same_v<Value, std::string_view>) {
    return format.template text<kField>(out, value);
  } else if constexpr (std::is_same_v<Value, IpAddress>) {
    return format.template address<kField>(out, value);
  } else if constexpr (std::is_same_v<Value, UnixMs>) {
    return format.template time<kField>(out, value);
  } else if constexpr (std::is_same_v<Value, SessionId>) {
    return format.template hex<kField>(out, value.value);
  } else if constexpr (std::is_same_v<Value, Count>) {
    return value.known() ? format.template number<kField>(out, value.value())
                         : format.template null<kField>(out);
  } else if constexpr (std::is_enum_v<Value>) {
    const std::string_view word = to_string(value);
    return !word.empty() ? format.template word<kField>(out, word) : format.template null<kField>(out);
  } else if constexpr (std::is_unsigned_v<Value>) {
    return format.template number<kField>(out, value);
  } else {
    return value ? write_value<kField>(*value, format, out) : format.template null<kField>(out);
  }
}

template <bool kGapRecord, typename Format>
char* write_selected(const SessionRecord& record, const Selection& selection, const Format& format,
                     char* out) {
  visit_selected(selection, [&]<Field kField>() {
    if constexpr (kGapRecord && !kSpec<kField>.in_gap) {
      out = format.template null<kField>(out);
    } else {
      out = write_value<kField>(field_value<kField>(record), format, out);
    }
  });
  return out;
}

// Writes the selected fields of a record and returns the new end.
template <typename Format>
char* write_fields(const SessionRecord& record, const Selection& selection, const Format& format, char* out) {
  if (record.event == RecordEvent::kGap) return write_selected<true>(record, selection, format, out);
  return write_selected<false>(record, selection, format, out);
}

// A format for write_fields() whose values stand between what `Own` writes: key<kField>() before, end()
// behind. What has no value is left out. `Own` adds text().
template <typename Own>
struct DelimitedFormat {
  TimeFormat time_format;

  template <Field kField>
  char* word(char* out, std::string_view value) const {
    return Own::end(write_text(Own::template key<kField>(out), value));
  }
  template <Field kField>
  char* address(char* out, const IpAddress& value) const {
    return Own::end(write_address(Own::template key<kField>(out), value));
  }
  template <Field kField>
  char* number(char* out, std::uint64_t value) const {
    return Own::end(write_uint(Own::template key<kField>(out), value));
  }
  template <Field kField>
  char* hex(char* out, std::uint64_t value) const {
    return Own::end(write_hex64(Own::template key<kField>(out), value));
  }
  template <Field kField>
  char* time(char* out, UnixMs value) const {
    return Own::end(write_time(Own::template key<kField>(out), value, time_format));
  }
  template <Field kField>
  char* null(char* out) const {
    return out;
  }
};

// The fields that frames have as plain numbers: their code is the number itself, a count's one more than it
// is.
template <typename Visit>
constexpr void visit_plain(Visit&& visit) {
  visit_fields([&]<Field kField>() {
    if constexpr (kRow<kField>.stored == Stored::kPlain) visit.template operator()<kField>();
  });
}
template <Field kField>
std::uint64_t plain_code(const SessionRecord& record) {
  const auto& value = record.*kRow<kField>.kMember;
  if constexpr (std::is_same_v<FieldType<kField>, Count>)
    return value.known() ? value.value() + 1 : 0;
  else
    return value;
}
template <Field kField>
void set_plain(std::uint64_t code, SessionRecord& record) {
  auto& value = record.*kRow<kField>.kMember;
  if constexpr (std::is_same_v<FieldType<kField>, Count>)
    value = code == 0 ? Count() : Count(code - 1);
  else
    value = static_cast<FieldType<kField>>(code);
}

}  // namespace natsession
