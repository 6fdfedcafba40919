#include "delivery/log_consumer.h"

#include <algorithm>

namespace natsession {
namespace {

// What goes out at once is gathered from several reads up to so many records: where collectors take turns in
// the log each read is short.
constexpr std::size_t kWorthABatch = 256;

// A line of JSON with IPv4 addresses and counters of nine digits; IPv6 adds up to 24 for each of four.
constexpr std::size_t kLineBytes = 560;
constexpr std::size_t kLineBytesV6 = kLineBytes + std::size_t{4} * 24;

}  // namespace

LogConsumer::LogConsumer(ConsumerState& state, LogReader& reader, const DeliveryContext& context, Takes takes,
                         std::optional<Cursor> cursor, const CursorState& place)
    : state_(state),
      reader_(reader),
      context_(context),
      takes_(takes),
      cursor_(std::move(cursor)),
      reached_(place),
      place_(place) {
  publish_position();
}

LogConsumer::Offer LogConsumer::offer(const BatchLimits& limits, Time arrived) {
  const bool gathers = limits.linger > Time::zero();
  const std::size_t wanted = gathers ? limits.records : std::min(limits.records, kWorthABatch);
  if (held_.empty()) held_since_ = arrived;
  // What is promised goes out as one batch again.
  const auto short_of_promise = [this] {
    return !held_.empty() && next_behind(held_.size() - 1) < reached_.promised;
  };
  if (held_.empty() || gathers || short_of_promise()) {
    while (held_.size() < wanted || short_of_promise()) {
      const Result<bool> more = read_more();
      if (!more && held_.empty()) return {{}, arrived, more.error().message};
      if (!more || !*more) break;
    }
  }
  return {held_, held_since_, {}};
}

// False at the end.
Result<bool> LogConsumer::read_more() {
  if (!held_.empty()) make_own();
  auto block = reader_.read();
  if (!block) return block.error();
  if (block->skipped) {
    hold_gap(*block->skipped);
  } else if (block->records.empty()) {
    return false;
  } else {
    hold(block->records, block->first);
  }
  return true;
}

// The reader's next read() takes its block away.
void LogConsumer::make_own() {
  const auto held = static_cast<std::ptrdiff_t>(held_.size());
  if (own_) {
    records_.erase(records_.begin(), records_.end() - held);
  } else {
    records_.assign(held_.begin(), held_.end());
  }
  next_.erase(next_.begin(), next_.end() - held);
  own_ = true;
  held_ = records_;
}

void LogConsumer::hold(std::span<const SessionRecord> records, Ordinal first) {
  read_to_ = first + records.size();
  const auto is_flow = [](const SessionRecord& record) { return record.flow != 0; };
  if (takes_ == Takes::kSessionLog && std::any_of(records.begin(), records.end(), is_flow))
    return hold_session_log(records, first);
  const bool only_these = held_.empty();
  if (only_these) {
    next_.clear();
    own_ = false;
    held_ = records;
  } else {
    records_.insert(records_.end(), records.begin(), records.end());
    held_ = records_;
  }
  for (std::size_t i = 0; i < records.size(); ++i) next_.push_back(first + i + 1);
  if (only_these) publish_position();
}

// Where none of them is, they are done with.
void LogConsumer::hold_session_log(std::span<const SessionRecord> records, Ordinal first) {
  const bool only_these = held_.empty();
  if (only_these) {
    next_.clear();
    records_.clear();
    own_ = true;
  }
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i].flow != 0) continue;
    records_.push_back(records[i]);
    next_.push_back(first + i + 1);
  }
  held_ = records_;
  if (held_.empty()) {
    if (cursor_ && place_.next == reached_.next) {  // else it is commit() that moves it
      place_.next = read_to_;
      dirty_ = true;
    }
    reached_.next = read_to_;
    reader_.acknowledge(reached_.next);
  }
  if (only_these) publish_position();
}

void LogConsumer::hold_gap(const Skipped& skipped) {
  state_.missed.add(skipped.records());
  context_.reporter.report({.kind = Report::Kind::kSkipped,
                            .sink = state_.name,
                            .why = skipped.why,
                            .records = skipped.records()});
  gap_ = skipped.gap(context_.origin);
  hold({&gap_, 1}, skipped.last);
}

// What waits is counted from there: a gap record as the one that it is.
void LogConsumer::publish_position() {
  state_.position.store(held_.empty() ? reached_.next : next_behind(0) - 1, std::memory_order_release);
}

void LogConsumer::acknowledge(std::size_t count) {
  if (count == 0) return;
  reached_.next = next_behind(count - 1);
  reached_.delivered_to = held_[count - 1].end_time;
  held_ = held_.subspan(count);
  if (held_.empty()) reached_.next = read_to_;  // what was passed over behind it is done with as well
  reader_.acknowledge(reached_.next);
}

void LogConsumer::note_lost(UnixMs end_time) {
  if (reached_.stream == 0) return;
  reached_.complete_since = std::max(reached_.complete_since, end_time + std::chrono::milliseconds(1));
}

Batch LogConsumer::settle(Batch batch, std::size_t most) const {
  const Ordinal first = first_offered();
  const bool again = reached_.promised > first;
  const Ordinal end = again ? reached_.promised : (first / most + 1) * most;
  std::size_t count = 1;  // a gap record may reach beyond
  while (count < batch.count && next_behind(count) <= end) ++count;
  const bool whole = again || count < batch.count || next_behind(count - 1) >= end;
  return {count, batch.full || whole};
}

void LogConsumer::promise(std::size_t count, bool certain) {
  const Ordinal end = next_behind(count - 1);
  if (reached_.promised >= end) return;
  reached_.promised = end;
  if (certain || !cursor_) return;
  place_.promised = end;
  store(true);
}

void LogConsumer::commit(std::string memory) {
  publish_position();
  if (!cursor_) return;
  if (place_.next != reached_.next || place_.promised != reached_.promised) {
    place_ = reached_;
    place_.memory = std::move(memory);
    dirty_ = true;
  }
  if (dirty_) store(false);
}

// A cursor that cannot be stored does not stop delivery: what was delivered would come again after a restart,
// which is told.
void LogConsumer::store(bool flush) {
  const Result<void> stored = cursor_->store(place_, flush);
  if (stored) {
    dirty_ = false;
    unflushed_ = !flush;
  }
  if (in_trouble_ == !stored) return;
  in_trouble_ = !stored;
  context_.reporter.report({.kind = stored ? Report::Kind::kCursorTroubleOver : Report::Kind::kCursorTrouble,
                            .sink = state_.name,
                            .why = stored ? std::string() : stored.error().message});
}

std::optional<LogConsumer::Time> LogConsumer::tick(Time now) {
  if (!unflushed_ && !dirty_) return std::nullopt;
  const Time interval = context_.settings.cursor_flush;
  if (now < flushed_at_ + interval) return flushed_at_ + interval - now;
  flushed_at_ = now;
  store(true);
  if (!unflushed_ && !dirty_) return std::nullopt;
  return interval;
}

void LogConsumer::finish() {
  if (dirty_ || unflushed_) store(true);
}

std::size_t estimated_bytes(const SessionRecord& record) {
  return (record.pub_ip.is_v4() ? kLineBytes : kLineBytesV6) + record.origin->instance.size() +
         record.origin->netns.size() + record.vpc_id.size();
}

Batch cut_batch(std::span<const SessionRecord> records, const BatchLimits& limits) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (i == limits.records) return {i, true};
    bytes += estimated_bytes(records[i]);
    if (bytes > limits.bytes.bytes && i > 0) return {i, true};
  }
  return {records.size(), records.size() == limits.records || bytes >= limits.bytes.bytes};
}

}  // namespace natsession
