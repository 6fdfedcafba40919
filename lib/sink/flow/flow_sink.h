// FlowSink: a flow log's part before its destination: makes entries of the log's records, those that the flow
// log wants, and tells of each window what there is to tell. It stands before another sink, which delivers,
// and whose encoder writes entries (flow/flow_encoder.h).
//
// Each entry goes out once: what the destination took of a record's entries is remembered until the rest is
// taken, and what was told of windows outlives the program with the place in the log (memory()).
// Threads: as sink.h says.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "flow/flow_resource.h"
#include "sink/flow/flow_windows.h"
#include "sink/flow/time_off.h"
#include "sink/sink.h"

namespace natsession {

struct FlowSinkSettings {
  std::string name;  // the flow log's
  FlowResource resource;
  FlowTraffic traffic = FlowTraffic::kAll;
  std::chrono::seconds window{600};
  // The session log's own records tell of what is translated, in windows of this length.
  bool shares_session_log = false;
  std::vector<std::string> netns{""};  // that are watched
  bool refused = false;                // refused packets are told of
  std::vector<TimeOff> off;            // of these times nothing is told
  FlowLimits limits;
};

class FlowSink final : public Sink {
 public:
  // `interfaces` outlives the sink.
  FlowSink(std::unique_ptr<Sink> behind, FlowSinkSettings settings, const InterfaceDirectory& interfaces);

  [[nodiscard]] std::string_view name() const override { return name_; }
  Answer deliver(std::span<const SessionRecord> records) override;
  [[nodiscard]] std::string memory() const override { return windows_.text(); }
  void remember(std::string_view memory) override;
  [[nodiscard]] std::shared_ptr<const FlowCounts> flow_counts() const override { return counts_; }
  Result<void> reopen() override { return behind_->reopen(); }
  Result<void> flush() override { return behind_->flush(); }

 private:
  // What names a record of which a part is out.
  struct Part {
    std::uint64_t session_id = 0;
    std::uint32_t seq = 0;
    UnixMs end_time;
    FlowKind kind = FlowKind::kSession;
    std::size_t sent = 0;  // so many of its entries
  };
  [[nodiscard]] bool is_of_this_log(const SessionRecord& record) const;
  [[nodiscard]] const TimeOff* time_off_of(const SessionRecord& record) const;
  void skip(UnixMs from, UnixMs until, const FlowWindows::Interface& interface, FlowWindows& windows) const;
  [[nodiscard]] bool covers(const SessionRecord& entry);
  void look_at_interfaces();
  void make_entries(const SessionRecord& record, FlowWindows& windows);
  void count(std::span<const SessionRecord> sent);
  void make_status(const FlowWindows::Status& status);
  void add_status(const FlowWindows::Status& status, const FlowWindows::Interface& interface,
                  bool had_entries);

  const std::unique_ptr<Sink> behind_;
  const FlowSinkSettings settings_;
  const std::string name_;
  const InterfaceDirectory& interfaces_;
  std::uint64_t seen_generation_ = ~std::uint64_t{0};
  std::set<FlowWindows::Interface, std::less<>> covered_;
  FlowWindows windows_;
  const std::shared_ptr<FlowCounts> counts_ = std::make_shared<FlowCounts>();
  Part part_;
  std::vector<SessionRecord> told_;
  std::vector<std::size_t> ends_;  // of each record: so many of told_ stand up to it
  std::vector<SessionRecord> made_;
};

}  // namespace natsession
