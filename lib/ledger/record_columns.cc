#include "ledger/record_columns.h"

#include <algorithm>

namespace natsession {
namespace {

std::uint64_t bits_of(UnixMs time) {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}

unsigned reason_code(const SessionRecord& record) {
  const bool ended = record.event == RecordEvent::kEnd;
  return static_cast<unsigned>(record.reason) ^
         (ended ? static_cast<unsigned>(RecordReason::kDestroyed) : 0U);
}

}  // namespace

std::uint64_t RecordColumns::origin_index(const Origin& origin) {
  for (std::size_t place = 0; place < origin_texts.size(); place += 2) {
    if (origin_texts[place] == origin.instance && origin_texts[place + 1] == origin.netns) return place / 2;
  }
  origin_texts.push_back(origin.instance);
  origin_texts.push_back(origin.netns);
  return origin_texts.size() / 2 - 1;
}

// Nearly all records point to the texts that the one before points to.
void RecordColumns::find_texts(const SessionRecord& record, LastTexts& last) {
  if (record.origin != last.origin) {
    last.origin = record.origin;
    last.origin_index = origin_index(*record.origin);
  }
  if (!last.any || record.vpc_id.data() != last.vpc_id.data() || record.vpc_id.size() != last.vpc_id.size()) {
    last.any = true;
    last.vpc_id = record.vpc_id;
    last.vpc_index = vpc_ids.add(record.vpc_id);
  }
}

template <typename ValueOf>
void RecordColumns::fill(ColumnId id, std::span<const SessionRecord> records, bool any, ValueOf value_of) {
  std::vector<std::uint64_t>& column = (*this)[id];
  column.resize(any ? records.size() : 0);
  for (std::size_t i = 0; i < column.size(); ++i) column[i] = value_of(records[i]);
}

// What most frames have in none of their records: a column is filled only if there is something to fill it
// with.
void RecordColumns::load_rare(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals,
                              const Rare& rare) {
  fill(ColumnId::kReason, records, rare.reason,
       [](const SessionRecord& record) { return reason_code(record); });
  fill(ColumnId::kNoSessionStart, records, rare.no_session_start,
       [](const SessionRecord& record) { return record.session_start ? 0U : 1U; });
  fill(ColumnId::kHasOrigDst, records, rare.orig_dst,
       [](const SessionRecord& record) { return record.has_orig_dst ? 1U : 0U; });
  visit_plain([&]<Field kField>() {
    fill(kColumn<kField>, records, rare.plain[static_cast<std::size_t>(kField)] != 0, plain_code<kField>);
  });

  LastTexts last;
  origin_texts.clear();
  vpc_ids.clear();
  find_texts(records[0], last);
  (*this)[ColumnId::kOrigin].assign(records.size(), 0);
  (*this)[ColumnId::kVpcId].assign(records.size(), 0);
  if (rare.texts) {
    for (std::size_t i = 0; i < records.size(); ++i) {
      find_texts(records[i], last);
      (*this)[ColumnId::kOrigin][i] = last.origin_index;
      (*this)[ColumnId::kVpcId][i] = last.vpc_index;
    }
  }

  auto& ordinal = (*this)[ColumnId::kOrdinal];
  ordinal.clear();
  if (info.last - info.first != records.size() - 1) {
    for (std::size_t i = 0; i < ordinals.size(); ++i)
      ordinal.push_back(i == 0 ? 0 : ordinals[i] - ordinals[i - 1] - 1);
  }

  orig_dst_ip.clear();
  auto& orig_dst_port = (*this)[ColumnId::kOrigDstPort];
  orig_dst_port.clear();
  for (std::size_t i = 0; rare.orig_dst && i < records.size(); ++i) {
    if (!records[i].has_orig_dst) continue;
    orig_dst_ip.add(records[i].orig_dst_ip);
    orig_dst_port.push_back(records[i].orig_dst_port);
  }
}

void RecordColumns::load(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals) {
  info = FrameInfo();
  info.first = ordinals.front();
  info.last = ordinals.back();
  info.records = static_cast<std::uint32_t>(records.size());
  info.min_start = info.max_start = records[0].start_time;
  info.min_end = info.max_end = records[0].end_time;
  for (AddressIndexer* indexer : {&pri_ip, &pub_ip, &nat_ip}) indexer->clear();
  const auto column = [&](ColumnId id) {
    (*this)[id].resize(records.size());
    return (*this)[id].data();
  };
  std::uint64_t* const pri_port = column(ColumnId::kPriPort);
  std::uint64_t* const pub_port = column(ColumnId::kPubPort);
  std::uint64_t* const nat_port = column(ColumnId::kNatPort);
  std::uint64_t* const protocol = column(ColumnId::kProtocol);
  std::uint64_t* const outcome = column(ColumnId::kOutcome);
  std::uint64_t* const seq = column(ColumnId::kSeq);
  std::uint64_t* const pkts_from_vpc = column(ColumnId::kPktsFromVpc);
  std::uint64_t* const pkts_from_pub = column(ColumnId::kPktsFromPub);
  std::uint64_t* const bytes_from_vpc = column(ColumnId::kBytesFromVpc);
  std::uint64_t* const bytes_from_pub = column(ColumnId::kBytesFromPub);
  std::uint64_t* const ends = column(ColumnId::kEndTime);
  std::uint64_t* const starts = column(ColumnId::kStartTime);
  std::uint64_t* const ages = column(ColumnId::kSessionAge);
  const Origin* const origin = records[0].origin;
  const std::string_view vpc_id = records[0].vpc_id;
  Rare rare;
  std::uint64_t end_before = bits_of(records[0].end_time);
  for (std::size_t i = 0; i < records.size(); ++i) {
    constexpr std::size_t kAhead = 12;
    if (i + kAhead < records.size()) {
      const SessionRecord& soon = records[i + kAhead];
      pri_ip.ask(soon.pri_ip);
      pub_ip.ask(soon.pub_ip);
    }
    const SessionRecord& record = records[i];
    pri_ip.add(record.pri_ip);
    pub_ip.add(record.pub_ip);
    nat_ip.add(record.nat_ip);
    pri_port[i] = record.pri_port;
    pub_port[i] = record.pub_port;
    nat_port[i] = static_cast<std::uint16_t>(record.nat_port - record.pri_port);
    info.min_start = std::min(info.min_start, record.start_time);
    info.max_start = std::max(info.max_start, record.start_time);
    info.min_end = std::min(info.min_end, record.end_time);
    info.max_end = std::max(info.max_end, record.end_time);
    const std::uint64_t start = bits_of(record.start_time);
    const std::uint64_t end = bits_of(record.end_time);
    ends[i] = zigzag(end - end_before);
    end_before = end;
    ages[i] = record.session_start ? start - bits_of(*record.session_start) : 0;
    starts[i] = ages[i] != 0 ? start : end - start;
    pkts_from_vpc[i] = count_code(record.pkts_from_vpc);
    pkts_from_pub[i] = count_code(record.pkts_from_pub);
    bytes_from_vpc[i] = count_code(record.bytes_from_vpc);
    bytes_from_pub[i] = count_code(record.bytes_from_pub);
    protocol[i] = record.protocol;
    outcome[i] = static_cast<unsigned>(record.event) + 4 * static_cast<unsigned>(record.tcp_state);
    seq[i] = record.seq;
    visit_plain(
        [&]<Field kField>() { rare.plain[static_cast<std::size_t>(kField)] |= plain_code<kField>(record); });
    rare.reason |= reason_code(record) != 0;
    rare.orig_dst |= record.has_orig_dst;
    rare.no_session_start |= !record.session_start;
    rare.texts |= record.origin != origin || record.vpc_id.data() != vpc_id.data() ||
                  record.vpc_id.size() != vpc_id.size();
  }
  const std::uint64_t min_start = bits_of(info.min_start);
  for (std::size_t i = 0; i < records.size(); ++i) starts[i] -= ages[i] != 0 ? min_start : 0;
  ends[0] = zigzag(bits_of(records[0].end_time) - bits_of(info.min_end));
  load_rare(records, ordinals, rare);
}

}  // namespace natsession
