#include "identity/identity_keeper_source.h"

#include <algorithm>

namespace natsession {

using Index = AssignmentTable::Index;

namespace {

// What a source is told as followed may lie a moment before what it was told before.
constexpr std::chrono::seconds kSetBack{1};

}  // namespace

void IdentityKeeper::Source::tell_late() {
  in_whole_ = false;
  late_sessions_.clear();
  for (const auto& [prefix, late] : std::exchange(late_, {})) {
    if (late.expires && *late.expires + keeper_.settings_.grace <= *before_) continue;  // it ended by itself
    SeenAssignment seen;
    seen.prefix = prefix;
    seen.kind = late.kind;
    seen.subscriber = late.texts.subscriber;
    seen.mac = late.texts.mac;
    seen.host = late.texts.host;
    seen.id = late.texts.id;
    seen.group = late.group;
    seen.since = late.since;
    seen.expires = late.expires;
    keeper_.begin(*this, seen, late.at);
  }
}

void IdentityKeeper::Source::end_whole(UnixMs at) {
  tell_late();
  AssignmentTable& table = keeper_.table_;
  table.of_places(0, table.places(), [&](Index index) {
    AssignmentTable::Entry& entry = table.at(index);
    if (entry.source != number_ || entry.ended) return;
    const bool is_in_it = entry.in_this_whole;
    if (is_in_it) {
      const std::unique_lock lock(keeper_.mutex_);
      entry.in_this_whole = false;
      return;
    }
    const auto expires = table.end_of(index);
    const UnixMs latest = expires ? std::min(*expires, at) : at;
    const UnixMs known = expires && *expires <= at ? *expires : known_until().value_or(entry.from());
    keeper_.end(index, std::min(known, latest), latest);
  });
  in_whole_ = marking_ = false;
  had_whole_ = true;
}

void IdentityKeeper::Source::end_at(const Prefix& prefix, std::string_view id, UnixMs told, UnixMs until,
                                    UnixMs latest) {
  id = cut_identity_text(id);
  if (const auto late = late_.find(prefix);
      late != late_.end() && (id.empty() || late->second.texts.id == id))
    late_.erase(late);
  Found found{};
  std::size_t count = 0;
  const AssignmentTable& table = keeper_.table_;
  table.of_prefix(prefix, [&](Index index) {
    const AssignmentTable::Entry& entry = table.at(index);
    if (entry.source != number_ || entry.ended || count == found.size()) return;
    if (id.empty() && told < entry.from()) return;  // told late: it is of one that was there before
    if (id.empty() || table.texts_of(index).id == id) found[count++] = index;
  });
  end_these(std::span(found).first(count), until, latest);
}

void IdentityKeeper::Source::end_these(std::span<const Index> meant, UnixMs until, UnixMs latest) {
  for (const Index index : meant) {
    // One that nobody renewed was there no longer than it was given for.
    const auto expires = keeper_.table_.end_of(index);
    keeper_.end(index, expires ? std::min(until, *expires) : until,
                expires ? std::min(latest, *expires) : latest);
  }
}

void IdentityKeeper::Source::ended_session(std::string_view group, std::string_view id, UnixMs at) {
  id = cut_identity_text(id);
  if (const auto late = late_sessions_.equal_range(session_name(group, id)); late.first != late.second) {
    // Where another session has the prefix by now, it is that one's.
    for (auto one = late.first; one != late.second; ++one) {
      const auto there = late_.find(one->second);
      if (there != late_.end() && there->second.texts.id == id && there->second.group == group)
        late_.erase(there);
    }
    late_sessions_.erase(late.first, late.second);
  }
  const std::uint16_t number = keeper_.known_group(group);
  if (number == 0) return;
  Found found{};
  std::size_t all = 0, open = 0;
  const AssignmentTable& table = keeper_.table_;
  table.of_id(number, id, [&](Index index) {
    const AssignmentTable::Entry& entry = table.at(index);
    if (entry.source == number_ && !entry.ended) found[open++] = index;
    ++all;
  });
  // What so many have names no session.
  if (all == found.size())
    return refused("the end of a session whose id many sessions of its client have", {});
  end_these(std::span(found).first(open), at, at);
}

void IdentityKeeper::Source::ended_group(std::string_view group, UnixMs at) {
  const std::uint16_t number = keeper_.group_of(*this, group);
  if (number == 0) return;
  const AssignmentTable& table = keeper_.table_;
  keeper_.table_.of_places(0, table.places(), [&](Index index) {
    const AssignmentTable::Entry& entry = table.at(index);
    if (entry.source != number_ || entry.ended) return;
    // Of whose group nobody has ever said anything: it may be of this one. If it is not, it is seen again.
    const bool may_be = entry.group == 0 && entry.unconfirmed;
    if (entry.group != number && !may_be) return;
    // What nobody has told of since the start may have ended before it.
    keeper_.end(index, entry.unconfirmed ? before_.value_or(entry.from()) : at, at);
  });
}

void IdentityKeeper::Source::followed(UnixMs until) {
  if (const auto before = followed_until(); before && until + kSetBack < *before)
    keeper_.clock_was_set_back(*this, until);
  const auto before = followed_until();
  const bool goes_on = before && !std::exchange(broken_, false) && *before <= until;
  broken_ = false;
  keeper_.writer_->follow({.source = name_, .from = goes_on ? *before : until, .until = until});
  followed_until_.store(until.time_since_epoch().count(), std::memory_order_release);
}

}  // namespace natsession
