// The fields of a record: names, order, and in which records they stand. Every text format and the CSV header
// are made from this one table, so they cannot disagree.
// Threads: any; constants and pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

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
};

struct FieldSpec {
  Field field;
  std::string_view name;
  std::size_t max_length;  // of the value in the longest format; 0 for texts, which are measured
  bool in_gap;             // whether a gap record gives it a value
};

inline constexpr std::size_t kMaxNumberLength = 20;
inline constexpr std::size_t kMaxWordLength = 16;

// clang-format off
inline constexpr std::array kFields{
    FieldSpec{Field::kInstance,     "instance",       0,                          true},
    FieldSpec{Field::kVpcId,        "vpc_id",         0,                          true},
    FieldSpec{Field::kProtocol,     "protocol",       kMaxNumberLength,           false},
    FieldSpec{Field::kPriIp,        "pri_ip",         IpAddress::kMaxTextLength,  false},
    FieldSpec{Field::kPriPort,      "pri_port",       kMaxNumberLength,           false},
    FieldSpec{Field::kPubIp,        "pub_ip",         IpAddress::kMaxTextLength,  false},
    FieldSpec{Field::kPubPort,      "pub_port",       kMaxNumberLength,           false},
    FieldSpec{Field::kNatIp,        "nat_ip",         IpAddress::kMaxTextLength,  false},
    FieldSpec{Field::kNatPort,      "nat_port",       kMaxNumberLength,           false},
    FieldSpec{Field::kBytesFromPub, "bytes_from_pub", kMaxNumberLength,           false},
    FieldSpec{Field::kPktsFromPub,  "pkts_from_pub",  kMaxNumberLength,           false},
    FieldSpec{Field::kBytesFromVpc, "bytes_from_vpc", kMaxNumberLength,           false},
    FieldSpec{Field::kPktsFromVpc,  "pkts_from_vpc",  kMaxNumberLength,           false},
    FieldSpec{Field::kStartTime,    "start_time",     kMaxTimeLength,             true},
    FieldSpec{Field::kEndTime,      "end_time",       kMaxTimeLength,             true},
    FieldSpec{Field::kEvent,        "event",          kMaxWordLength,             true},
    FieldSpec{Field::kSessionId,    "session_id",     kHex64Length,               false},
    FieldSpec{Field::kSeq,          "seq",            kMaxNumberLength,           false},
    FieldSpec{Field::kSessionStart, "session_start",  kMaxTimeLength,             false},
    FieldSpec{Field::kTcpState,     "tcp_state",      kMaxWordLength,             false},
    FieldSpec{Field::kReason,       "reason",         kMaxWordLength,             true},
    FieldSpec{Field::kOrigDstIp,    "orig_dst_ip",    IpAddress::kMaxTextLength,  false},
    FieldSpec{Field::kOrigDstPort,  "orig_dst_port",  kMaxNumberLength,           false},
    FieldSpec{Field::kZone,         "zone",           kMaxNumberLength,           false},
    FieldSpec{Field::kMark,         "mark",           kMaxNumberLength,           false},
    FieldSpec{Field::kNetns,        "netns",          0,                          true},
    FieldSpec{Field::kEventsLost,   "events_lost",    kMaxNumberLength,           true},
    FieldSpec{Field::kLogStatus,    "log_status",     kMaxWordLength,             true},
};
// clang-format on

static_assert(
    [] {
      for (std::size_t i = 0; i < kFields.size(); ++i) {
        if (kFields[i].field != static_cast<Field>(i)) return false;
      }
      return true;
    }(),
    "the table stands in the order of the enum");

template <Field kField>
inline constexpr const FieldSpec& kSpec = kFields[static_cast<std::size_t>(kField)];

inline constexpr std::string_view kGapLogStatus = "SKIPDATA";

// Which fields a line has, beyond the fifteen of the cloud schema.
struct Selection {
  bool extra = true;        // event to mark
  bool netns = false;       // only together with extra
  bool gap_fields = false;  // events_lost and log_status; only together with extra
};

template <Field kFirst, Field kLast, typename Visit>
constexpr void visit_range(Visit& visit) {
  constexpr auto kBegin = static_cast<std::size_t>(kFirst);
  constexpr std::size_t kLength = static_cast<std::size_t>(kLast) - kBegin + 1;
  [&]<std::size_t... kOffsets>(std::index_sequence<kOffsets...>) {
    (visit.template operator()<static_cast<Field>(kBegin + kOffsets)>(), ...);
  }
  (std::make_index_sequence<kLength>());
}

// Calls visit.operator()<Field>() for each selected field, in order.
template <typename Visit>
constexpr void visit_selected(const Selection& selection, Visit visit) {
  visit_range<Field::kInstance, Field::kEndTime>(visit);
  if (!selection.extra) return;
  visit_range<Field::kEvent, Field::kMark>(visit);
  if (selection.netns) visit_range<Field::kNetns, Field::kNetns>(visit);
  if (selection.gap_fields) visit_range<Field::kEventsLost, Field::kLogStatus>(visit);
}

// The most that any format adds to a field's name and value: JSON's ,"":"" or ,"":null
inline constexpr std::size_t kMaxFieldOverhead = 8;

// An upper bound for a line in any format, its newline included.
inline std::size_t max_record_length(const SessionRecord& record) {
  static constexpr std::size_t kWithoutTexts = [] {
    std::size_t length = kMaxFieldOverhead + kTextSlack;
    for (const FieldSpec& spec : kFields) length += spec.name.size() + spec.max_length + kMaxFieldOverhead;
    return length;
  }();
  return kWithoutTexts + max_escaped_length(record.origin->instance.size()) +
         max_escaped_length(record.vpc_id.size()) + max_escaped_length(record.origin->netns.size());
}

// Writes one field's value through `format`, which has for each kind of value a member
//   template <Field> char* kind(char* out, value) const
// that writes name, value and punctuation as the format wants them and returns the new end. The kinds: text
// (any bytes at all), word (one of the log's own words), address, number, hex, time, and null, which has no
// value. The position goes through arguments and results, not through a member: it then stays in a register,
// whereas a store through a char* would make the compiler read the member again each time.
template <Field kField, typename Format>
char* write_field(const SessionRecord& record, const Format& format, char* out) {
  const auto count = [&](Count value) {
    return value.known() ? format.template number<kField>(out, value.value())
                         : format.template null<kField>(out);
  };
  const auto unless_zero = [&](std::uint64_t value) {
    return value != 0 ? format.template number<kField>(out, value) : format.template null<kField>(out);
  };
  const auto unless_empty = [&](std::string_view value) {
    return !value.empty() ? format.template word<kField>(out, value) : format.template null<kField>(out);
  };

  if constexpr (kField == Field::kInstance) {
    return format.template text<kField>(out, record.origin->instance);
  } else if constexpr (kField == Field::kVpcId) {
    return format.template text<kField>(out, record.vpc_id);
  } else if constexpr (kField == Field::kProtocol) {
    return format.template number<kField>(out, record.protocol);
  } else if constexpr (kField == Field::kPriIp) {
    return format.template address<kField>(out, record.pri_ip);
  } else if constexpr (kField == Field::kPriPort) {
    return format.template number<kField>(out, record.pri_port);
  } else if constexpr (kField == Field::kPubIp) {
    return format.template address<kField>(out, record.pub_ip);
  } else if constexpr (kField == Field::kPubPort) {
    return format.template number<kField>(out, record.pub_port);
  } else if constexpr (kField == Field::kNatIp) {
    return format.template address<kField>(out, record.nat_ip);
  } else if constexpr (kField == Field::kNatPort) {
    return format.template number<kField>(out, record.nat_port);
  } else if constexpr (kField == Field::kBytesFromPub) {
    return count(record.bytes_from_pub);
  } else if constexpr (kField == Field::kPktsFromPub) {
    return count(record.pkts_from_pub);
  } else if constexpr (kField == Field::kBytesFromVpc) {
    return count(record.bytes_from_vpc);
  } else if constexpr (kField == Field::kPktsFromVpc) {
    return count(record.pkts_from_vpc);
  } else if constexpr (kField == Field::kStartTime) {
    return format.template time<kField>(out, record.start_time);
  } else if constexpr (kField == Field::kEndTime) {
    return format.template time<kField>(out, record.end_time);
  } else if constexpr (kField == Field::kEvent) {
    return format.template word<kField>(out, to_string(record.event));
  } else if constexpr (kField == Field::kSessionId) {
    return format.template hex<kField>(out, record.session_id);
  } else if constexpr (kField == Field::kSeq) {
    return format.template number<kField>(out, record.seq);
  } else if constexpr (kField == Field::kSessionStart) {
    return record.session_start ? format.template time<kField>(out, *record.session_start)
                                : format.template null<kField>(out);
  } else if constexpr (kField == Field::kTcpState) {
    return unless_empty(to_string(record.tcp_state));
  } else if constexpr (kField == Field::kReason) {
    return unless_empty(to_string(record.reason));
  } else if constexpr (kField == Field::kOrigDstIp) {
    return record.has_orig_dst ? format.template address<kField>(out, record.orig_dst_ip)
                               : format.template null<kField>(out);
  } else if constexpr (kField == Field::kOrigDstPort) {
    return record.has_orig_dst ? format.template number<kField>(out, record.orig_dst_port)
                               : format.template null<kField>(out);
  } else if constexpr (kField == Field::kZone) {
    return unless_zero(record.zone);
  } else if constexpr (kField == Field::kMark) {
    return unless_zero(record.mark);
  } else if constexpr (kField == Field::kNetns) {
    return format.template text<kField>(out, record.origin->netns);
  } else if constexpr (kField == Field::kEventsLost) {
    return record.event == RecordEvent::kGap ? count(record.events_lost) : format.template null<kField>(out);
  } else {
    static_assert(kField == Field::kLogStatus);
    return record.event == RecordEvent::kGap ? format.template word<kField>(out, kGapLogStatus)
                                             : format.template null<kField>(out);
  }
}

template <bool kInGap, typename Format>
char* write_selected(const SessionRecord& record, const Selection& selection, const Format& format,
                     char* out) {
  visit_selected(selection, [&]<Field kField>() {
    if constexpr (kInGap && !kSpec<kField>.in_gap) {
      out = format.template null<kField>(out);
    } else {
      out = write_field<kField>(record, format, out);
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

}  // namespace natsession
