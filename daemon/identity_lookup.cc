#include "identity_lookup.h"

#include <array>
#include <cstddef>
#include <optional>
#include <utility>

namespace natsession {
namespace {

// What is read of the log is what it was for so long at most: who is forgotten meanwhile is told no longer.
constexpr std::chrono::seconds kFresh{5};
constexpr std::size_t kMostKnown = 100'000;

}  // namespace

void IdentityLookup::find(const SessionRecord& record, Subscriber& out) const {
  if (keeper_->find(record.origin->netns, record.pri_ip, record.start_time, record.end_time,
                    {&out.subscriber, &out.mac, &out.host}))
    return;
  find_the_past(record, out);
}

void IdentityLookup::find_all(std::span<const SessionRecord> records, std::span<Subscriber> out) const {
  std::array<IdentityKeeper::Question, kMostTogether> questions;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const SessionRecord& record = records[i];
    questions[i] = {.netns = record.origin->netns,
                    .address = record.pri_ip,
                    .start = record.start_time,
                    .end = record.end_time,
                    .names = {&out[i].subscriber, &out[i].mac, &out[i].host}};
  }
  keeper_->find_all(std::span(questions).first(records.size()));
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (!questions[i].known) find_the_past(records[i], out[i]);
  }
}

void IdentityLookup::find_the_past(const SessionRecord& record, Subscriber& out) const {
  out.clear();
  if (record.start_time < keeper_->remembers_since(to_ms(clock_.now()))) out = find_in_the_log(record);
}

bool IdentityLookup::open(Past& past) const {
  if (past.reader != nullptr && clock_.steady() - past.opened < kFresh) return true;
  past = Past();
  auto reader = IdentityReader::open(ledger_);
  if (!reader) return false;  // it is told by the keeper, which writes it
  past.reader = *std::move(reader);
  past.opened = clock_.steady();
  return true;
}

Subscriber IdentityLookup::find_in_the_log(const SessionRecord& record) const {
  return past_.with([&](Past& past) -> Subscriber {
    if (!open(past)) return {};
    const auto holder_at = [&](UnixMs time) -> std::optional<AddressAssignment> {
      const UnixMs hour = std::chrono::floor<std::chrono::hours>(time);
      const auto& address = record.pri_ip.bytes();
      std::string key(address.begin(), address.end());
      key += std::to_string(hour.time_since_epoch().count());
      if (past.known.size() >= kMostKnown) past.known.clear();
      const auto [known, is_new] = past.known.try_emplace(std::move(key));
      if (is_new)
        known->second = past.reader->assignments_at(record.pri_ip, hour, hour + std::chrono::hours(1));
      const IdentityAnswer answer = judge_holders({.address = record.pri_ip,
                                                   .from = time,
                                                   .until = time,
                                                   .slack = std::chrono::milliseconds(0),
                                                   .netns = std::string(record.origin->netns)},
                                                  known->second, past.reader->spans(), past.reader->damage(),
                                                  past.reader->forgotten_until());
      if (answer.holders.empty() || !answer.holders.front().certain()) return std::nullopt;
      return answer.holders.front().assignment;
    };
    auto holder = holder_at(record.end_time);
    if (holder && holder->from > record.start_time) holder = holder_at(record.start_time);
    if (!holder) return {};
    return {holder->subscriber, holder->mac, holder->host};
  });
}

}  // namespace natsession
