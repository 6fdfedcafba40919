#include "query/flow_store.h"

#include <algorithm>
#include <array>

#include "flow/flow_entries.h"

namespace natsession {
namespace {

struct NamedField {
  std::string_view name;
  Field field;
};
constexpr std::array kFlowFields{
    NamedField{"instance", Field::kInstance},   NamedField{"netns", Field::kNetns},
    NamedField{"vpc_id", Field::kVpcId},        NamedField{"interface", Field::kInterface},
    NamedField{"direction", Field::kDirection}, NamedField{"action", Field::kAction},
    NamedField{"protocol", Field::kProtocol},   NamedField{"srcaddr", Field::kPriIp},
    NamedField{"dstaddr", Field::kPubIp},       NamedField{"srcport", Field::kPriPort},
    NamedField{"dstport", Field::kPubPort},     NamedField{"packets", Field::kPktsFromVpc},
    NamedField{"bytes", Field::kBytesFromVpc},  NamedField{"start_time", Field::kStartTime},
    NamedField{"end_time", Field::kEndTime},    NamedField{"tcp_flags", Field::kTcpFlags},
    NamedField{"tcp_state", Field::kTcpState},  NamedField{"seq", Field::kSeq}};

// What a record says of each of its entries.
bool is_of_record(Field field) {
  return field == Field::kInstance || field == Field::kNetns || field == Field::kVpcId ||
         field == Field::kProtocol || field == Field::kTcpState || field == Field::kSeq;
}

}  // namespace

std::optional<Field> flow_field(std::string_view name) {
  for (const NamedField& one : kFlowFields) {
    if (one.name == name) return one.field;
  }
  return std::nullopt;
}

std::vector<Field> flow_fields() {
  std::vector<Field> fields;
  for (const NamedField& one : kFlowFields) fields.push_back(one.field);
  return fields;
}

std::string_view flow_name(Field field) {
  for (const NamedField& one : kFlowFields) {
    if (one.field == field) return one.name;
  }
  return {};
}

std::string flow_names() {
  std::string names;
  for (const NamedField& one : kFlowFields) names += (names.empty() ? "" : " ") + std::string(one.name);
  return names;
}

Result<std::unique_ptr<FlowStore>> FlowStore::open(const SegmentList& ledger,
                                                   std::optional<std::chrono::seconds> window,
                                                   ScanControl control) {
  control.from_records = true;
  if (!window) {
    Query query;
    query.flows = true;
    query.whole = true;
    control.threads = 1;
    Scan scan(ledger, query, control, Scan::Order::kNewestFirst);
    std::uint32_t shortest = 0;
    while (shortest == 0) {
      const ScanBatch* const batch = scan.next();
      if (batch == nullptr) break;
      RecordBlock block;
      if (!batch->materialise(batch->rows(), block)) continue;
      for (const SessionRecord& record : block.records) {
        if (record.flow != 0 && (shortest == 0 || record.flow < shortest)) shortest = record.flow;
      }
    }
    if (auto read = scan.error(); !read) return read.error();
    scan.stop();
    if (shortest == 0) {
      return Error{
          ErrorKind::kUnavailable,
          "the ledger has nothing of flow logs: is one configured, and on (natsessiond-flow-log(7))?"};
    }
    window = std::chrono::seconds(shortest);
    control.threads = 0;
  }
  return std::unique_ptr<FlowStore>(new FlowStore(ledger, *window, std::move(control)));
}

// The session log's own records tell of what is translated where their windows are these.
bool FlowStore::is_wanted(const SessionRecord& record) const {
  if (record.event == RecordEvent::kGap) return true;
  if (record.flow == 0)
    return (!record.iif.empty() || !record.oif.empty()) && ledger_.window_since(record.end_time) == window_;
  return record.flow == static_cast<std::uint32_t>(window_.count());
}

Result<void> FlowStore::read(const Query& query, bool newest_first, const Take& take) {
  Query own;
  own.start = query.start;
  own.end = query.end;
  own.moments = query.moments;
  own.gap_records = query.gap_records;
  own.flows = true;
  own.whole = true;
  // A test of what was asked for outside, or of the translated end, is one of entries.
  std::copy_if(query.where.begin(), query.where.end(), std::back_inserter(own.where),
               [](const FieldTest& test) { return is_of_record(test.field); });
  Scan scan(ledger_, own, control_, newest_first ? Scan::Order::kNewestFirst : Scan::Order::kOldestFirst);
  std::vector<SessionRecord> entries;
  const auto hand_on = [&] {
    for (std::size_t at = 0; at < entries.size(); at += kMaxFrameRecords) {
      const auto end = std::min(entries.size(), at + kMaxFrameRecords);
      if (!take({entries.begin() + static_cast<std::ptrdiff_t>(at),
                 entries.begin() + static_cast<std::ptrdiff_t>(end)}))
        return false;
    }
    entries.clear();
    return true;
  };
  RecordBlock block;
  while (const ScanBatch* const batch = scan.next()) {
    block.clear();
    if (auto made = batch->materialise(batch->rows(), block); !made) return made;
    for (const SessionRecord& record : block.records) {
      if (!is_wanted(record)) continue;
      if (record.event == RecordEvent::kGap) {
        entries.push_back(record);
        continue;
      }
      const std::size_t before = entries.size();
      append_entries(record, entries);
      // One direction is all that an entry has.
      for (std::size_t i = before; i < entries.size(); ++i)
        entries[i].pkts_from_pub = entries[i].bytes_from_pub = Count(0);
    }
    if (!hand_on()) {
      scan.stop();
      return {};
    }
  }
  return scan.error();
}

}  // namespace natsession
