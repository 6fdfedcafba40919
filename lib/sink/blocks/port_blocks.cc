#include "sink/blocks/port_blocks.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace natsession {
namespace {

// Behind these a session may have ended of which this sink has no record.
bool loses_records(const SessionRecord& record) {
  return record.event == RecordEvent::kGap &&
         (record.reason == RecordReason::kSinkStalled || record.reason == RecordReason::kLedgerFull ||
          record.reason == RecordReason::kDamaged);
}

}  // namespace

std::size_t PortBlocks::KeyHash::operator()(const Key& key) const {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  std::memcpy(&high, key.nat_ip.bytes().data(), 8);
  std::memcpy(&low, key.nat_ip.bytes().data() + 8, 8);
  std::uint64_t hash = high * 0x9e37'79b9'7f4a'7c15U ^ low;
  hash = (hash ^ key.first ^ std::uint64_t{key.zone} << 16 ^
          reinterpret_cast<std::uintptr_t>(key.origin) << 32) *
         0xd6e8'feb8'6659'fd93U;
  return static_cast<std::size_t>(hash ^ hash >> 32);
}

PortBlocks::PortBlocks(PortBlockSettings settings) : settings_(std::move(settings)) {}

bool PortBlocks::covers(const SessionRecord& record) const {
  return record.nat_port >= settings_.from &&
         std::any_of(settings_.prefixes.begin(), settings_.prefixes.end(),
                     [&](const Prefix& prefix) { return prefix.contains(record.pri_ip); });
}

PortBlocks::Key PortBlocks::key_of(const SessionRecord& record) const {
  const unsigned above = static_cast<unsigned>(record.nat_port) - settings_.from;
  const auto first = static_cast<std::uint16_t>(record.nat_port - above % settings_.size);
  return {record.nat_ip, record.origin, record.zone, first};
}

SessionRecord PortBlocks::told(const Key& key, const Block& block, RecordEvent event) const {
  SessionRecord record;
  record.origin = key.origin;
  record.vpc_id = block.vpc_id;
  record.pri_ip = block.pri_ip;
  record.nat_ip = key.nat_ip;
  record.zone = key.zone;
  record.nat_port = key.first;
  record.orig_dst_port = static_cast<std::uint16_t>(std::min(65'535, key.first + settings_.size - 1));
  record.start_time = block.start;
  record.end_time = event == RecordEvent::kFree ? block.last : block.start;
  record.event = event;
  return record;
}

PortBlocks::Change& PortBlocks::note(Change::Kind kind) {
  Change& change = changes_.emplace_back();
  change.record = put_;
  change.kind = kind;
  return change;
}

// How the block is before it is changed.
void PortBlocks::remember(const Key& key) {
  Change& change = note(Change::Kind::kBlock);
  change.key = key;
  if (const auto found = state_.blocks.find(key); found != state_.blocks.end()) change.block = found->second;
}

void PortBlocks::remember_freed(const Key& key) {
  Change& change = note(Change::Kind::kFreed);
  change.key = key;
  if (const auto found = state_.freed.find(key); found != state_.freed.end()) change.freed = found->second;
}

void PortBlocks::put(const SessionRecord& record, std::vector<SessionRecord>& out) {
  advance(record.end_time, out);
  if (loses_records(record)) forget();
  if (record.event == RecordEvent::kGap || !covers(record)) {
    out.push_back(record);
    ++put_;
    return;
  }
  const Key key = key_of(record);
  if (is_anothers(record, key)) {
    out.push_back(record);
    ++put_;
    return;
  }
  auto found = state_.blocks.find(key);
  remember(key);
  if (found == state_.blocks.end()) {
    found = state_.blocks.emplace(key, Block()).first;
    found->second.pri_ip = record.pri_ip;
    found->second.vpc_id = record.vpc_id;
    found->second.start = record.start_time;
    found->second.last = record.end_time;
    out.push_back(told(key, found->second, RecordEvent::kAllocate));
  }
  Block& block = found->second;
  if (record.start_time < block.start) {
    block.start = record.start_time;
    out.push_back(told(key, block, RecordEvent::kAllocate));
  }
  block.last = std::max(block.last, record.end_time);
  if (record.event == RecordEvent::kEnd) {
    if (state_.sessions.erase(record.session_id) > 0) {
      note(Change::Kind::kEnded).session = record.session_id;
      --block.open;
    }
  } else if (state_.sessions.insert(record.session_id).second) {
    note(Change::Kind::kBegan).session = record.session_id;
    ++block.open;
  }
  if (block.open == 0 && !block.waits) wait(key, block);
  ++put_;
}

// Whether the block was another host's at some time of the record.
bool PortBlocks::is_anothers(const SessionRecord& record, const Key& key) {
  const auto held = state_.blocks.find(key);
  if (held != state_.blocks.end() && held->second.pri_ip != record.pri_ip) {
    if (!shared_ && !shared_told_)
      shared_ = Shared{record.nat_ip, record.nat_port, held->second.pri_ip, record.pri_ip};
    return true;
  }
  const auto freed = state_.freed.find(key);
  return freed != state_.freed.end() && freed->second.pri_ip != record.pri_ip &&
         record.start_time < freed->second.last;
}

// Looks at the block again when it has been idle for long enough.
void PortBlocks::wait(const Key& key, Block& block) {
  block.waits = true;
  state_.idle.push_back({key, block.last + settings_.idle});
  note(Change::Kind::kWaits);
}

void PortBlocks::advance(UnixMs time, std::vector<SessionRecord>& out) {
  if (state_.now && time <= *state_.now) return;
  Change& change = note(Change::Kind::kMoment);
  change.now = state_.now;
  change.due = state_.settled;
  if (!state_.now) state_.settled = time + settings_.settle;
  state_.now = time;
  if (time < state_.settled) return;
  // As many as there are now: what is still in use is put behind them.
  for (std::size_t left = state_.idle.size(); left > 0 && state_.idle.front().due <= time; --left) {
    const Idle idle = state_.idle.front();
    state_.idle.pop_front();
    Change& popped = note(Change::Kind::kDue);
    popped.key = idle.key;
    popped.due = idle.due;
    const auto found = state_.blocks.find(idle.key);
    if (found == state_.blocks.end()) continue;
    remember(idle.key);
    Block& block = found->second;
    block.waits = false;
    if (block.open > 0) continue;
    if (block.last + settings_.idle > time) {
      wait(idle.key, block);
      continue;
    }
    out.push_back(told(idle.key, block, RecordEvent::kFree));
    remember_freed(idle.key);
    state_.freed[idle.key] = {block.pri_ip, block.last};
    state_.blocks.erase(found);
  }
}

// What is not known to be open any more cannot be known to be free.
void PortBlocks::forget() {
  note(Change::Kind::kForgot);
  State fresh;
  fresh.now = state_.now;
  fresh.settled = *state_.now + settings_.settle;
  forgotten_.push_back(std::exchange(state_, std::move(fresh)));
}

void PortBlocks::undo(Change& change) {
  switch (change.kind) {
    case Change::Kind::kBegan:
      state_.sessions.erase(change.session);
      break;
    case Change::Kind::kEnded:
      state_.sessions.insert(change.session);
      break;
    case Change::Kind::kBlock:
      if (change.block) {
        state_.blocks.insert_or_assign(change.key, *change.block);
      } else {
        state_.blocks.erase(change.key);
      }
      break;
    case Change::Kind::kFreed:
      if (change.freed) {
        state_.freed.insert_or_assign(change.key, *change.freed);
      } else {
        state_.freed.erase(change.key);
      }
      break;
    case Change::Kind::kWaits:
      state_.idle.pop_back();
      break;
    case Change::Kind::kDue:
      state_.idle.push_front({change.key, change.due});
      break;
    case Change::Kind::kMoment:
      state_.now = change.now;
      state_.settled = change.due;
      break;
    case Change::Kind::kForgot:
      state_ = std::move(forgotten_.back());
      forgotten_.pop_back();
      break;
  }
}

void PortBlocks::keep(std::size_t count) {
  while (!changes_.empty() && changes_.back().record >= count) {
    undo(changes_.back());
    changes_.pop_back();
  }
  changes_.clear();
  forgotten_.clear();
  put_ = 0;
}

std::optional<PortBlocks::Shared> PortBlocks::take_shared() {
  shared_told_ = shared_told_ || shared_;
  return std::exchange(shared_, std::nullopt);
}

}  // namespace natsession
