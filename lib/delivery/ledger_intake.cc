#include "delivery/ledger_intake.h"

#include <algorithm>

namespace natsession {

Result<std::unique_ptr<Intake>> LedgerIntake::open(SinkShare& share, const LedgerScene& scene,
                                                   std::unique_ptr<LedgerOutput> output,
                                                   std::unique_ptr<CursorPort> cursor) {
  const std::optional<CursorState> known = cursor->state();
  const Ordinal end = output->end();
  // What was before a new sink's beginning is not missing in it.
  const CursorState beginning = share.spec.from_start ? CursorState{output->begin(), UnixMs()}
                                                      : CursorState{end, to_ms(scene.clock.now())};
  CursorState place = known.value_or(beginning);
  place.next = std::min(place.next, end);
  if (!known || known->next != place.next) {
    // Also if nothing is ever delivered, a restart must not move a new sink's beginning.
    if (auto stored = cursor->store(place, true); !stored) return stored.error();
  }
  output->seek(place.next, place.delivered_to);
  std::unique_ptr<LedgerIntake> intake(new LedgerIntake(share, scene, std::move(output), std::move(cursor)));
  intake->place_ = intake->reached_ = place;
  share.position.store(place.next, std::memory_order_release);
  return std::unique_ptr<Intake>(std::move(intake));
}

LedgerIntake::Offer LedgerIntake::offer(const BatchLimits& limits, Time arrived) {
  if (held() == 0) held_since_ = arrived;
  const std::size_t wanted = limits.linger > Time::zero() ? limits.records : 1;
  while (held() < wanted) {
    const Result<bool> more = read_more();
    if (!more && held() == 0) return {{}, arrived, more.error().message};
    if (!more || !*more) break;
  }
  return {std::span(records_).subspan(head_), held_since_, {}};
}

// False at the end.
Result<bool> LedgerIntake::read_more() {
  RecordBlock block;
  auto outcome = output_->read(block);
  if (!outcome) return outcome.error();
  if (outcome->skipped) {
    hold_gap(*outcome->skipped);
  } else if (block.records.empty()) {
    return false;
  } else {
    hold(std::move(block));
  }
  return true;
}

void LedgerIntake::hold(RecordBlock block) {
  for (Ordinal& ordinal : block.ordinals) ++ordinal;
  if (held() == 0) {
    records_ = std::move(block.records);
    next_ = std::move(block.ordinals);
  } else {
    const auto head = static_cast<std::ptrdiff_t>(head_);
    records_.erase(records_.begin(), records_.begin() + head);
    next_.erase(next_.begin(), next_.begin() + head);
    records_.insert(records_.end(), block.records.begin(), block.records.end());
    next_.insert(next_.end(), block.ordinals.begin(), block.ordinals.end());
  }
  head_ = 0;
  texts_.push_back({std::move(block.origins), std::move(block.texts), settled_ + records_.size()});
}

void LedgerIntake::hold_gap(const Skipped& skipped) {
  share_.missed.add(skipped.records());
  scene_.desk.report({.kind = Report::Kind::kSkipped,
                      .sink = share_.name,
                      .why = skipped.why,
                      .records = skipped.records()});
  if (held() == 0) {
    records_.clear();
    next_.clear();
    head_ = 0;
  }
  records_.push_back(skipped.gap(scene_.origin));
  next_.push_back(skipped.last + 1);
}

void LedgerIntake::settle(std::size_t count) {
  if (count == 0) return;
  head_ += count;
  settled_ += count;
  reached_ = {next_[head_ - 1], records_[head_ - 1].end_time};
  while (!texts_.empty() && texts_.front().last <= settled_) texts_.pop_front();
}

void LedgerIntake::commit() {
  if (place_.next != reached_.next) {
    place_ = reached_;
    dirty_ = true;
  }
  if (!dirty_) return;
  share_.position.store(place_.next, std::memory_order_release);
  store(false);
}

// A cursor that cannot be stored does not stop delivery: what was delivered would come again after a restart,
// which is told.
void LedgerIntake::store(bool flush) {
  const Result<void> stored = cursor_->store(place_, flush);
  if (stored) {
    dirty_ = false;
    unflushed_ = !flush;
  }
  if (in_trouble_ == !stored) return;
  in_trouble_ = !stored;
  scene_.desk.report({.kind = stored ? Report::Kind::kCursorTroubleOver : Report::Kind::kCursorTrouble,
                      .sink = share_.name,
                      .why = stored ? std::string() : stored.error().message});
}

std::optional<Intake::Time> LedgerIntake::tick(Time now) {
  if (!unflushed_ && !dirty_) return std::nullopt;
  const Time due = flushed_at_ + scene_.cursor_flush;
  if (now < due) return due - now;
  flushed_at_ = now;
  store(true);
  if (!unflushed_ && !dirty_) return std::nullopt;
  return scene_.cursor_flush;
}

// The reader may see a frame before the writer has told of it.
std::uint64_t LedgerIntake::frontier() const {
  return std::max<std::uint64_t>(scene_.input.status().written, output_->place());
}

bool LedgerIntake::complete() const {
  return scene_.run.stopping.load(std::memory_order_acquire) &&
         scene_.run.ledger_complete.load(std::memory_order_acquire);
}

void LedgerIntake::finish() {
  if (dirty_ || unflushed_) store(true);
}

}  // namespace natsession
