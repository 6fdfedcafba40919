#include "delivery/delivery_core.h"

#include <algorithm>

#include "delivery/lane_intake.h"
#include "delivery/ledger_intake.h"

namespace natsession {

DeliveryCore::DeliveryCore(std::vector<SinkSpec> sinks, const DeliverySettings& settings, const Clock& clock,
                           DeliveryCallbacks callbacks, LedgerSetup ledger)
    : settings_(settings),
      clock_(clock),
      origin_{std::move(ledger.instance), ""},
      desk_(std::move(callbacks)),
      ledger_(std::move(ledger.port)),
      inbox_(ledger_ ? ledger_->directory() : std::string()) {
  for (SinkSpec& sink : sinks) shares_.push_back(std::make_unique<SinkShare>(std::move(sink)));
  if (ledger_) {
    receivers_.push_back(&inbox_);
  } else {
    for (const auto& share : shares_) receivers_.push_back(share.get());
  }
}

// The writer may write its last when it is destroyed, and the sinks' doorbells are gone by then.
DeliveryCore::~DeliveryCore() {
  if (ledger_) ledger_->input().on_written([] {});
}

Producer& DeliveryCore::add_producer() {
  return *producers_.emplace_back(std::make_unique<Producer>(receivers_, settings_, clock_));
}

Result<void> DeliveryCore::open() {
  if (ledger_) {
    if (auto disabled = disable_as_before(); !disabled) return disabled;
  }
  for (const auto& share : shares_) {
    auto intake = open_intake(*share);
    if (!intake) return intake.error();
    workers_.push_back(std::make_unique<SinkWorker>(
        *share, std::move(*intake), dead_letters_of(*share),
        WorkerScene{ledger_ ? std::span<Receiver* const>() : std::span<Receiver* const>(receivers_), run_,
                    settings_, clock_, desk_}));
  }
  if (!ledger_) return {};
  std::vector<std::string> names;
  for (const auto& share : shares_) names.push_back(share->name);
  ledger_->keeper().set_sinks(std::move(names));
  ledger_->input().on_written([this] {
    for (const auto& share : shares_) share->doorbell.ring();
  });
  feeder_ =
      std::make_unique<LedgerFeeder>(inbox_, ledger_->input(), run_, feeder_share_, clock_, desk_, [this] {
        for (const auto& share : shares_) share->doorbell.ring_urgently();
      });
  return {};
}

Result<void> DeliveryCore::disable_as_before() {
  SinkNames seen;
  for (const auto& share : shares_) {
    if (!seen.insert(share->name).second) {
      return Error{ErrorKind::kUsage,
                   "sink " + share->name + ": is there twice, and would have one place in the ledger"};
    }
  }
  auto names = read_disabled_sinks(disabled_path());
  if (!names) return names.error();
  for (const auto& share : shares_) {
    if (names->contains(share->name)) share->enabled_wanted.store(false, std::memory_order_relaxed);
    share->disabled.store(!share->enabled_wanted.load(std::memory_order_relaxed), std::memory_order_relaxed);
  }
  disabled_.with([&](SinkNames& known) { known = std::move(*names); });
  return {};
}

Result<std::unique_ptr<Intake>> DeliveryCore::open_intake(SinkShare& share) {
  if (!ledger_) return std::unique_ptr<Intake>(std::make_unique<LaneIntake>(share, run_));
  auto output = ledger_->open_output();
  if (!output) return output.error();
  auto cursor = ledger_->open_cursor(share.name);
  if (!cursor) return cursor.error();
  const LedgerScene scene{run_, ledger_->input(), origin_, desk_, clock_, settings_.cursor_flush};
  return LedgerIntake::open(share, scene, std::move(*output), std::move(*cursor));
}

DeadLetters DeliveryCore::dead_letters_of(const SinkShare& share) const {
  std::string path = share.spec.dead_letters;
  if (path.empty() && ledger_)
    path = ledger_->directory() + "/dead-letters/" + file_name_of(share.name) + ".jsonl";
  return {std::move(path), settings_.dead_letter_limit, share.name, clock_};
}

std::vector<Job> DeliveryCore::jobs() {
  std::vector<Job> jobs;
  for (std::size_t i = 0; i < shares_.size(); ++i) {
    SinkShare& share = *shares_[i];
    jobs.push_back({share.name, [this, i] { return workers_[i]->step(); }, &share.doorbell, &share.finished});
  }
  if (!ledger_) return jobs;
  jobs.push_back({inbox_.name, [this] { return feeder_->step(); }, &inbox_.doorbell, &feeder_finished_});
  jobs.push_back({inbox_.name, [this] { return keep(); }, &keeper_bell_, &keeper_finished_, true});
  return jobs;
}

Turn DeliveryCore::keep() {
  if (run_.stopping.load(std::memory_order_acquire)) return {Turn::Kind::kDone};
  const std::chrono::nanoseconds wait = ledger_->keeper().step();
  const std::string failure = ledger_->keeper().status().failure;
  if (failure != keeper_failure_) {
    keeper_failure_ = failure;
    desk_.report({.kind = failure.empty() ? Report::Kind::kKeeperTroubleOver : Report::Kind::kKeeperTrouble,
                  .sink = inbox_.name,
                  .why = failure});
  }
  if (wait <= std::chrono::nanoseconds::zero()) return {};
  return {Turn::Kind::kSleep, Doorbell::Sleep::kLight, wait};
}

void DeliveryCore::ring_all() {
  for (const auto& share : shares_) share->doorbell.ring_urgently();
  inbox_.doorbell.ring_urgently();
  keeper_bell_.ring_urgently();
}

void DeliveryCore::request_reopen() {
  for (const auto& share : shares_) {
    share->reopen_wanted.store(true, std::memory_order_release);
    share->doorbell.ring_urgently();
  }
}

Result<void> DeliveryCore::set_enabled(std::string_view name, bool enabled) {
  return disabled_.with([&](SinkNames& disabled) -> Result<void> {
    bool found = false;
    std::string names;
    for (const auto& share : shares_) {
      found = found || share->name == name;
      names += (names.empty() ? "" : ", ") + share->name;
    }
    if (!found)
      return Error{ErrorKind::kUsage, "no sink is called " + std::string(name) + "; there are: " + names};
    if (ledger_) {
      SinkNames wanted = disabled;
      if (enabled) {
        wanted.erase(std::string(name));
      } else {
        wanted.insert(std::string(name));
      }
      if (wanted != disabled) {
        if (auto written = write_disabled_sinks(disabled_path(), wanted); !written) return written;
        disabled = std::move(wanted);
      }
    }
    for (const auto& share : shares_) {
      if (share->name != name) continue;
      share->enabled_wanted.store(enabled, std::memory_order_release);
      share->doorbell.ring_urgently();
    }
    return {};
  });
}

std::vector<SinkStatus> DeliveryCore::status() const {
  std::vector<SinkStatus> all;
  std::optional<Ordinal> end;
  if (ledger_) end = ledger_->input().status().written;
  for (const auto& share : shares_) all.push_back(status_of(*share, end, clock_));
  return all;
}

std::optional<LedgerDeliveryStatus> DeliveryCore::ledger_status() const {
  if (!ledger_) return std::nullopt;
  LedgerDeliveryStatus status;
  status.directory = ledger_->directory();
  status.writer = ledger_->input().status();
  status.keeper = ledger_->keeper().status();
  status.queued = inbox_.queued();
  status.dropped = inbox_.kept_from_it();
  status.failures = feeder_share_.failures.value();
  return status;
}

Drained DeliveryCore::outcome() const {
  Drained drained;
  std::vector<Drained::Undelivered>& unfinished = ledger_ ? drained.kept : drained.undelivered;
  const std::vector<SinkStatus> all = status();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool hung = !shares_[i]->finished.load(std::memory_order_acquire);
    if (all[i].waiting > 0 || hung) unfinished.push_back({all[i].name, all[i].waiting, hung});
  }
  if (!ledger_) return drained;
  const bool hung = !feeder_finished();
  const std::uint64_t unwritten = inbox_.queued() + ledger_->input().status().pending;
  if (unwritten > 0 || hung) drained.undelivered.push_back({"ledger " + inbox_.name, unwritten, hung});
  if (!keeper_finished()) drained.kept.push_back({"ledger " + inbox_.name, 0, true});
  return drained;
}

void DeliveryCore::destroy_sinks() {
  for (const auto& share : shares_) {
    if (share->finished.load(std::memory_order_acquire)) share->spec.sink.reset();
  }
}

}  // namespace natsession
