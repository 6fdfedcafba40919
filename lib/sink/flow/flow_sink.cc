#include "sink/flow/flow_sink.h"

#include <algorithm>

#include "flow/flow_entries.h"
#include "record/labels.h"

namespace natsession {

FlowSink::FlowSink(std::unique_ptr<Sink> behind, FlowSinkSettings settings,
                   const InterfaceDirectory& interfaces)
    : behind_(std::move(behind)),
      settings_(std::move(settings)),
      name_("flow_log " + settings_.name),
      interfaces_(interfaces),
      windows_(settings_.window, settings_.limits) {}

bool FlowSink::is_of_this_log(const SessionRecord& record) const {
  if (record.flow == 0) return settings_.shares_session_log && settings_.traffic != FlowTraffic::kReject;
  if (record.flow != static_cast<std::uint32_t>(settings_.window.count())) return false;
  const bool of_refused = record.flow_kind == FlowKind::kRefused || record.flow_kind == FlowKind::kSkipped ||
                          (record.flow_kind == FlowKind::kWindowClosed && record.seq != 0);
  return settings_.traffic == FlowTraffic::kAll || of_refused == (settings_.traffic == FlowTraffic::kReject);
}

// What ended while it was off; what ended later is told, from where it began.
const TimeOff* FlowSink::time_off_of(const SessionRecord& record) const {
  const auto found = std::find_if(settings_.off.begin(), settings_.off.end(), [&](const TimeOff& off) {
    return off.from < record.end_time && record.end_time <= off.until;
  });
  return found == settings_.off.end() ? nullptr : &*found;
}

// Of what lies in no time off.
void FlowSink::skip(UnixMs from, UnixMs until, const FlowWindows::Interface& interface,
                    FlowWindows& windows) const {
  for (const TimeOff& off : settings_.off) {
    if (off.from <= from && from < off.until) from = off.until;
    if (off.from < until && until <= off.until) until = off.from;
  }
  if (from <= until) windows.skip(from, until, interface);
}

// The windows in which it was turned off and on are not whole.
void FlowSink::remember(std::string_view memory) {
  windows_.restore(memory);
  constexpr std::chrono::milliseconds kMoment{1};
  for (const TimeOff& off : settings_.off) {
    windows_.skip(off.from - kMoment, off.from, {"", ""});
    windows_.skip(off.until, off.until + kMoment, {"", ""});
  }
}

void FlowSink::look_at_interfaces() {
  const std::uint64_t generation = interfaces_.generation();
  if (generation == seen_generation_) return;
  seen_generation_ = generation;
  covered_.clear();
  for (const std::string& netns : settings_.netns) {
    if (settings_.resource.kind == FlowResource::Kind::kInterface)
      covered_.emplace(netns, settings_.resource.name);
    for (const KnownInterface& interface : *interfaces_.of(netns)) {
      if (settings_.resource.covers(interface)) covered_.emplace(netns, interface.name);
    }
  }
}

bool FlowSink::covers(const SessionRecord& entry) {
  if (settings_.resource.kind == FlowResource::Kind::kNat) return true;  // its record was looked at
  if (settings_.resource.kind == FlowResource::Kind::kInterface)
    return interface_of(entry) == settings_.resource.name;
  return covered_.contains(FlowWindows::Interface(entry.origin->netns, interface_of(entry)));
}

void FlowSink::make_entries(const SessionRecord& record, FlowWindows& windows) {
  if (record.event == RecordEvent::kGap) {
    // A rule's copies are not lost with conntrack's events, but nobody takes them while nobody runs.
    const bool nobody_ran =
        record.reason == RecordReason::kStopped || record.reason == RecordReason::kStarted;
    if (nobody_ran || settings_.traffic != FlowTraffic::kReject)
      skip(record.start_time, record.end_time, {record.origin->netns, ""}, windows);
    return;
  }
  if (!is_of_this_log(record) || time_off_of(record) != nullptr) return;
  switch (record.flow_kind) {
    case FlowKind::kWindowClosed: {
      const bool both = settings_.traffic == FlowTraffic::kAll && settings_.refused;
      for (const auto& status : windows.close(record, settings_.netns.size() * (both ? 2 : 1)))
        make_status(status);
      return;
    }
    case FlowKind::kSkipped:
      if (interface_of(record).empty() || covers(record))
        skip(record.start_time, record.end_time, {record.origin->netns, std::string(interface_of(record))},
             windows);
      return;
    case FlowKind::kSession:
    case FlowKind::kRefused:
      break;
  }
  if (settings_.resource.kind == FlowResource::Kind::kNat && !is_translated(record)) return;
  made_.clear();
  append_entries(record, made_);
  for (const SessionRecord& entry : made_) {
    if (covers(entry) && windows.admit(entry)) told_.push_back(entry);
  }
}

void FlowSink::add_status(const FlowWindows::Status& status, const FlowWindows::Interface& interface,
                          bool had_entries) {
  const auto label = intern_label(interface.second);
  const std::string_view name = label ? *label : std::string_view();
  if (!had_entries && !status.is_first) told_.push_back(status_entry(status.window, name, false));
  if (status.all_skipped || status.skipped.contains(interface))
    told_.push_back(status_entry(status.window, name, true));
}

void FlowSink::make_status(const FlowWindows::Status& status) {
  if (settings_.resource.kind == FlowResource::Kind::kNat) {
    FlowWindows::Status all = status;  // it has no interface of its own
    all.all_skipped = all.all_skipped || !all.skipped.empty();
    return add_status(all, {}, !status.had_entries.empty());
  }
  std::set<FlowWindows::Interface> interfaces(covered_.begin(), covered_.end());
  interfaces.insert(status.had_entries.begin(), status.had_entries.end());
  interfaces.insert(status.skipped.begin(), status.skipped.end());
  for (const FlowWindows::Interface& interface : interfaces)
    add_status(status, interface, status.had_entries.contains(interface));
}

void FlowSink::count(std::span<const SessionRecord> sent) {
  for (const SessionRecord& entry : sent) {
    if (!is_status(entry)) continue;
    const bool skipped = entry.flow_kind == FlowKind::kSkipped;
    (skipped ? counts_->skipped : counts_->no_data).fetch_add(1, std::memory_order_relaxed);
  }
}

Answer FlowSink::deliver(std::span<const SessionRecord> records) {
  look_at_interfaces();
  told_.clear();
  ends_.clear();
  FlowWindows windows = windows_;
  for (const SessionRecord& record : records) {
    make_entries(record, windows);
    ends_.push_back(told_.size());
  }
  const SessionRecord& first = records.front();
  const bool goes_on = part_.sent > 0 && part_.session_id == first.session_id && part_.seq == first.seq &&
                       part_.end_time == first.end_time && part_.kind == first.flow_kind;
  const std::size_t out = goes_on ? std::min(part_.sent, ends_.front()) : 0;
  const std::span<const SessionRecord> to_tell = std::span<const SessionRecord>(told_).subspan(out);

  Answer answer = to_tell.empty() ? Answer::delivered(0) : behind_->deliver(to_tell);
  const std::size_t sent = answer.kind == Answer::Kind::kDelivered ? told_.size() : out + answer.taken;
  count(to_tell.first(sent - out));
  answer.taken = static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), sent) - ends_.begin());
  answer.lost = std::min(answer.lost, answer.taken);
  part_ = {};
  if (answer.taken == records.size()) {
    windows_ = std::move(windows);
    counts_->left_out.store(windows_.left_out(), std::memory_order_relaxed);
    return answer;
  }
  const SessionRecord& rest = records[answer.taken];
  part_ = {rest.session_id, rest.seq, rest.end_time, rest.flow_kind,
           sent - (answer.taken > 0 ? ends_[answer.taken - 1] : 0)};
  for (const SessionRecord& record : records.first(answer.taken)) make_entries(record, windows_);
  counts_->left_out.store(windows_.left_out(), std::memory_order_relaxed);
  return answer;
}

}  // namespace natsession
