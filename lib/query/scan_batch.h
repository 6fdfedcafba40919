// ScanBatch: the records of one frame that passed a query's tests, as columns. Only what the query named in
// Query::columns is there; asking for anything else gives an empty column.
//
//   const AddressColumn& hosts = batch.addresses(Field::kPriIp);
//   for (std::uint32_t row : batch.rows()) use(hosts.distinct[hosts.index[row]], batch.counters(…)[row]);
//   for (std::size_t i = 0; i < batch.size(); ++i) use(batch.record(i));      // all fields of a record at
//   once
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ledger/frame_columns.h"
#include "query/query.h"
#include "query/scan_report.h"

namespace natsession {

class ScanBatch {
 public:
  ScanBatch();
  ScanBatch(ScanBatch&&) noexcept;
  ScanBatch& operator=(ScanBatch&&) noexcept;
  ~ScanBatch();

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] const FrameInfo& frame() const;

  // Which records of the frame passed, ascending: indexes into the columns below, which have a value for each
  // of the frame's records.
  [[nodiscard]] std::span<const std::uint32_t> rows() const;

  // Fields that are columns of their own.
  [[nodiscard]] AddressColumn addresses(Field field) const;               // pri_ip, pub_ip, nat_ip
  [[nodiscard]] std::span<const std::uint16_t> ports(Field field) const;  // pri_port, pub_port, nat_port
  // start_time, end_time, session_start: ms since 1970, or kUnknownTime
  [[nodiscard]] std::span<const std::int64_t> times(Field field) const;
  // bytes_…, pkts_…: or kUnknownCount; seq
  [[nodiscard]] std::span<const std::uint64_t> counters(Field field) const;
  [[nodiscard]] std::span<const std::uint8_t> small(Field field) const;  // protocol, event, reason, tcp_state

  // The i-th record that passed, whole: if Query::columns names one of the other fields
  // (fields_of_records()), else null.
  [[nodiscard]] const SessionRecord* record(std::size_t i) const;
  [[nodiscard]] std::span<const SessionRecord> records() const;  // empty, or one for each of rows()

  // Whether the i-th is a gap record: fields that a gap does not have mean nothing then. Query::gap_records.
  [[nodiscard]] bool is_gap(std::size_t i) const;
  // Of the i-th; decoded when it is first asked for. Where that column is damaged, a number above all
  // ordinals that no other record has.
  [[nodiscard]] Ordinal ordinal(std::size_t i) const;

  // Adds the records at some of rows() to `out`, whatever Query::columns names. Slow: decodes all columns.
  // Errors: kMalformed if a column is damaged.
  Result<void> materialise(std::span<const std::uint32_t> rows, RecordBlock& out) const;

  // What to tell when materialise() failed: the frame, its times, and why.
  [[nodiscard]] Trouble damage(const Error& error) const;

  // The fields that only record() has.
  [[nodiscard]] static Columns fields_of_records();

  struct State;
  [[nodiscard]] State& state() { return *state_; }  // for Scan

 private:
  std::unique_ptr<State> state_;
};

}  // namespace natsession
