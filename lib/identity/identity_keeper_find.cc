// Whose an address is or was a moment ago, by what the keeper has in memory.
#include <algorithm>
#include <array>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "identity/identity_keeper.h"
#include "identity/identity_keeper_source.h"

namespace natsession {

using Index = AssignmentTable::Index;

bool IdentityKeeper::find(std::string_view netns, const IpAddress& address, UnixMs start, UnixMs end,
                          const Names& names) const {
  const std::shared_lock lock(mutex_);
  return find_held({netns, address, start, end, names}, nullptr);
}

void IdentityKeeper::find_all(std::span<Question> questions) const {
  std::array<IpAddress, AssignmentTable::kTogether> addresses;
  std::array<const AssignmentTable::Entry*, AssignmentTable::kTogether> brought;
  while (!questions.empty()) {
    const auto some = questions.first(std::min(questions.size(), addresses.size()));
    std::transform(some.begin(), some.end(), addresses.begin(),
                   [](const Question& one) { return one.address; });
    {
      const std::shared_lock lock(mutex_);
      table_.bring(std::span(addresses).first(some.size()), brought);
      for (std::size_t i = 0; i < some.size(); ++i) some[i].known = find_held(some[i], brought[i]);
    }
    questions = questions.subspan(some.size());
  }
}

bool IdentityKeeper::find_held(const Question& asked, const AssignmentTable::Entry* brought) const {
  const Names& names = asked.names;
  const auto had_it_from_the_start = [&](const AssignmentTable::Entry& entry) {
    return entry.from() <= asked.start || AssignmentTable::from_earliest_of(entry) <= asked.start;
  };
  if (table_.is_alone_of(brought, asked.address)) {  // as nearly always
    if (!was_there(*brought, asked.netns, asked.end) || !had_it_from_the_start(*brought)) return false;
    table_.read_texts(*brought, *names.subscriber, *names.mac, *names.host);
    return true;
  }
  Holders holders = holders_at(asked, asked.end);
  if (holders.count > 0 && !had_it_from_the_start(table_.at(holders.index[0])))
    holders = holders_at(asked, asked.start);
  if (holders.count == 0) return false;
  table_.read_texts(table_.at(holders.index[0]), *names.subscriber, *names.mac, *names.host);
  // What that source does not tell, another may.
  for (std::size_t i = 1; i < holders.count; ++i) {
    if (!names.subscriber->empty() && !names.mac->empty() && !names.host->empty()) break;
    const OwnIdentityTexts more = table_.texts_of(holders.index[i]);
    if (names.subscriber->empty()) names.subscriber->assign(more.subscriber);
    if (names.mac->empty()) names.mac->assign(more.mac);
    if (names.host->empty()) names.host->assign(more.host);
  }
  return true;
}

bool IdentityKeeper::was_there(const AssignmentTable::Entry& entry, std::string_view netns,
                               UnixMs time) const {
  const Source& source = *sources_[entry.source];
  if (!source.netns_.empty() && source.netns_ != netns) return false;
  if (entry.from() > time && AssignmentTable::from_earliest_of(entry) > time) return false;
  const auto end = AssignmentTable::end_of(entry);
  if (end && time > *end + (entry.ended ? std::chrono::milliseconds(0) : settings_.grace)) return false;
  if (entry.ended) return true;
  const auto followed = source.followed_until();
  return !entry.unconfirmed && followed && time <= *followed + settings_.behind;
}

IdentityKeeper::Holders IdentityKeeper::holders_at(const Question& asked, UnixMs time) const {
  Holders holders;
  table_.of_address(asked.address, [&](Index index) {
    const AssignmentTable::Entry& entry = table_.at(index);
    if (!was_there(entry, asked.netns, time)) return;
    // One of each source, in the sources' order: the longest prefix, and of one prefix the last that began.
    std::size_t place = 0;
    while (place < holders.count && table_.at(holders.index[place]).source < entry.source) ++place;
    if (place < holders.count && table_.at(holders.index[place]).source == entry.source) {
      const AssignmentTable::Entry& other = table_.at(holders.index[place]);
      // One that was there goes before one that may have been.
      const auto rank = [&](const AssignmentTable::Entry& one) {
        return std::pair(one.from() <= time, one.from());
      };
      if (other.bits == entry.bits && rank(other) < rank(entry)) holders.index[place] = index;
      return;
    }
    if (holders.count == holders.index.size()) return;
    std::copy_backward(holders.index.begin() + place, holders.index.begin() + holders.count,
                       holders.index.begin() + holders.count + 1);
    holders.index[place] = index;
    ++holders.count;
  });
  return holders;
}

}  // namespace natsession
