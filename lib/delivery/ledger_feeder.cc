#include "delivery/ledger_feeder.h"

#include <algorithm>

#include "delivery/left_behind.h"

namespace natsession {
namespace {

// How often it is tried whether a full disk has room again.
constexpr std::chrono::milliseconds kTryAgain{200};

}  // namespace

Turn LedgerFeeder::step() {
  if (run_.abandoned.load(std::memory_order_acquire)) return {Turn::Kind::kDone};
  Receiver* const inbox = &inbox_;
  tell_who_is_left_behind({&inbox, 1}, desk_);
  const bool stopping = run_.stopping.load(std::memory_order_acquire);  // before the look
  const std::span<const SessionRecord> next = lanes_.front();
  if (next.empty()) {
    if (stopping) return complete();
    const std::optional<Time> due = input_.tick();
    watch();
    return {Turn::Kind::kSleep, Doorbell::Sleep::kLight,
            trouble_since_ ? std::min<Time>(due.value_or(kTryAgain), kTryAgain) : due};
  }
  const std::size_t taken = std::min(input_.append(next), next.size());
  const bool all = taken == next.size();
  if (taken > 0) {
    Lane& lane = lanes_.lane();
    lanes_.advance(taken);
    lane.taken.add(taken);
  }
  if (all && !trouble_since_) return {};
  watch();
  if (all) return {};
  return {Turn::Kind::kSleep, Doorbell::Sleep::kDeep, kTryAgain};
}

Turn LedgerFeeder::complete() {
  const Result<void> synced = input_.sync();
  watch();
  if (!synced && input_.status().pending > 0) return {Turn::Kind::kSleep, Doorbell::Sleep::kDeep, kTryAgain};
  run_.ledger_complete.store(true, std::memory_order_release);
  on_complete_();
  return {Turn::Kind::kDone};
}

void LedgerFeeder::watch() {
  const std::string failure = input_.status().failure;
  if (failure.empty() == !trouble_since_) return;
  const Time now = clock_.steady();
  share_.in_trouble.store(!failure.empty(), std::memory_order_release);
  if (failure.empty()) {
    const Time lasted = now - *trouble_since_;
    trouble_since_.reset();
    desk_.report({.kind = Report::Kind::kLedgerTroubleOver, .sink = inbox_.name, .lasted = lasted});
    return;
  }
  trouble_since_ = now;
  share_.failures.add(1);
  desk_.report({.kind = Report::Kind::kLedgerTrouble, .sink = inbox_.name, .why = failure});
}

}  // namespace natsession
