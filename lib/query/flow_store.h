// FlowStore: what a ledger has of flows, as entries of a flow log by interface and direction, so that the
// questions that a log is asked can be asked of these too: who is refused, at which interface, since when.
// An entry is a record whose pri is the source and pub the destination, with packets and bytes from_vpc
// (flow/flow_entries.h). Those of one length of window are taken, since a flow has records of each.
// Threads: as RemoteLog.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "query/log_store.h"
#include "query/scan.h"
#include "record/fields.h"

namespace natsession {

class FlowStore final : public RemoteLog {
 public:
  // `window`: of which records are taken; none: the shortest of which the ledger tells last. `ledger`
  // outlives the store.
  // Errors: kUnavailable if the ledger has nothing of flow logs; kIo, kPermission.
  [[nodiscard]] static Result<std::unique_ptr<FlowStore>> open(const SegmentList& ledger,
                                                               std::optional<std::chrono::seconds> window,
                                                               ScanControl control);

  Result<void> read(const Query& query, bool newest_first, const Take& take) override;
  [[nodiscard]] LedgerSpan span() const override { return ledger_.span(); }
  [[nodiscard]] std::chrono::milliseconds window() const override { return window_; }
  [[nodiscard]] std::string why_unproved() const override {
    return "whether all flows of a time are in the log is not proved: see SKIPDATA";
  }
  [[nodiscard]] bool tells_flows() const override { return true; }

 private:
  FlowStore(const SegmentList& ledger, std::chrono::seconds window, ScanControl control)
      : ledger_(ledger), window_(window), control_(std::move(control)) {}
  [[nodiscard]] bool is_wanted(const SessionRecord& record) const;

  const SegmentList& ledger_;
  const std::chrono::seconds window_;
  const ScanControl control_;
};

// Under which name an entry's field is asked for: srcaddr, dstport, packets …; and back.
[[nodiscard]] std::optional<Field> flow_field(std::string_view name);
[[nodiscard]] std::string_view flow_name(Field field);  // empty: entries have no such field
[[nodiscard]] std::vector<Field> flow_fields();
[[nodiscard]] std::string flow_names();  // for messages

}  // namespace natsession
