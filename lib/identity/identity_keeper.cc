#include "identity/identity_keeper.h"

#include <algorithm>
#include <array>
#include <limits>
#include <mutex>
#include <utility>

#include "identity/identity_answer.h"
#include "identity/identity_keeper_source.h"

namespace natsession {

using Index = AssignmentTable::Index;

IdentityKeeper::IdentityKeeper(std::unique_ptr<IdentityWriter> writer, const Settings& settings)
    : writer_(std::move(writer)), settings_(settings) {}

IdentityKeeper::~IdentityKeeper() = default;

IdentityOutput& IdentityKeeper::add_source(std::string name, std::string netns) {
  auto source = std::make_unique<Source>(*this, std::move(name), std::move(netns),
                                         static_cast<std::uint8_t>(sources_.size()));
  source->before_ = writer_->followed_until(source->name_);
  source->had_whole_ = source->before_.has_value();
  source->report_.with([&](IdentitySourceReport& report) { report.source = source->name_; });
  bool has_room = true;
  writer_->each_open_of(source->name_, [&](const AssignmentView& one) {
    if (one.netns != source->netns_ || !has_room) return;
    const std::unique_lock lock(mutex_);
    const Index index = table_.add({.prefix = one.prefix,
                                    .source = source->number_,
                                    .kind = one.kind,
                                    .from = one.from,
                                    .from_earliest = one.from_earliest,
                                    .expires = {},
                                    .texts = {one.subscriber, one.mac, one.host, one.id},
                                    .group = group_of(*source, one.group)});
    has_room = index != AssignmentTable::kNone;
    if (has_room) table_.at(index).unconfirmed = true;
  });
  const std::unique_lock lock(mutex_);
  sources_.push_back(std::move(source));
  return *sources_.back();
}

AddressAssignment IdentityKeeper::assignment_of(Index index) const {
  const AssignmentTable::Entry& entry = table_.at(index);
  const Source& source = *sources_[entry.source];
  OwnIdentityTexts texts = table_.texts_of(index);
  AddressAssignment assignment;
  assignment.source = source.name_;
  assignment.netns = source.netns_;
  assignment.prefix = table_.prefix_of(index);
  assignment.kind = entry.kind;
  assignment.subscriber = std::move(texts.subscriber);
  assignment.mac = std::move(texts.mac);
  assignment.host = std::move(texts.host);
  assignment.id = std::move(texts.id);
  assignment.group = group_names_[entry.group];
  assignment.from = entry.from();
  assignment.from_earliest = table_.from_earliest_of(index);
  return assignment;
}

// What is told of one log is committed before the log would have to let something go.
void IdentityKeeper::put(const AddressAssignment& assignment) {
  constexpr std::size_t kMostWaiting = 65'536;
  writer_->put(assignment);
  if (++waiting_ < kMostWaiting) return;
  waiting_ = 0;
  (void)writer_->commit(false);  // work() tells an error
}

void IdentityKeeper::each_open_of(const Source& source, void (*change)(AssignmentTable::Entry&)) {
  const std::unique_lock lock(mutex_);
  table_.of_places(0, table_.places(), [&](Index index) {
    AssignmentTable::Entry& entry = table_.at(index);
    if (entry.source == source.number_ && !entry.ended) change(entry);
  });
}

void IdentityKeeper::end(Index index, UnixMs until, UnixMs until_latest) {
  AddressAssignment ended = assignment_of(index);
  until = std::max(until, ended.from);
  ended.until = until;
  ended.until_latest = std::max(until, until_latest);
  put(ended);
  sources_[table_.at(index).source]->report_.with([](IdentitySourceReport& report) { ++report.ended; });
  const std::unique_lock lock(mutex_);
  table_.end(index, until);
}

void IdentityKeeper::begin(Source& source, const SeenAssignment& seen, UnixMs at) {
  const UnixMs told = seen.since ? std::min(*seen.since, at) : at;
  const std::uint16_t group = group_of(source, seen.group);
  Index before = AssignmentTable::kNone;
  bool is_again = false;               // the same, behind a time of which the source tells no ends
  std::optional<UnixMs> ended_before;  // the one before was there up to then for certain
  table_.of_prefix(seen.prefix, [&](Index index) {
    const AssignmentTable::Entry& entry = table_.at(index);
    if (entry.source != source.number_) return;
    if (!entry.ended)
      before = index;
    else if (const auto ended = table_.end_of(index); ended && *ended <= at)
      ended_before = std::max(ended_before.value_or(*ended), *ended);
  });
  if (before != AssignmentTable::kNone) {
    const OwnIdentityTexts kept = table_.texts_of(before);
    const auto expired = table_.end_of(before);
    // Nobody renewed it while the source was followed: this is another one, whoever has it.
    const bool is_over = expired && source.followed_until() && !source.broken_ &&
                         *expired + settings_.grace < *source.followed_until() && *expired < at;
    const bool is_same = kept.subscriber == cut_identity_text(seen.subscriber) &&
                         kept.mac == cut_identity_text(seen.mac) && kept.id == cut_identity_text(seen.id) &&
                         (seen.host.empty() || kept.host == cut_identity_text(seen.host)) &&
                         table_.at(before).kind == seen.kind;
    // It may have been another's in between: all that is said is that it is so again.
    is_again = is_same && table_.at(before).unconfirmed && may_miss_ends(source.name_);
    if (is_same && !is_over && !is_again) {
      const std::unique_lock lock(mutex_);
      table_.set_end(before, seen.expires);
      table_.at(before).in_this_whole = source.marking_;
      table_.at(before).unconfirmed = false;
      table_.set_group(before, group);
      return;
    }
    // Told late: what came behind it is known already.
    if (told < table_.at(before).from() && !is_again) return;
    UnixMs latest = is_again ? at : told;
    if (expired) latest = std::min(latest, *expired);
    const UnixMs from = table_.at(before).from();
    const UnixMs known = std::max(from, source.known_until().value_or(from));
    ended_before = std::max(from, std::min(known, latest));
    end(before, is_over ? *expired : *ended_before, latest);
  }

  source.late_.erase(seen.prefix);
  // What a list says of the past is news however old it is.
  if (before == AssignmentTable::kNone && source.in_whole_ && source.before_ && told <= *source.before_ &&
      seen.kind != AssignmentKind::kStatic) {
    source.late_[seen.prefix] = {{std::string(seen.subscriber), std::string(seen.mac), std::string(seen.host),
                                  std::string(cut_identity_text(seen.id))},
                                 std::string(seen.group),
                                 seen.kind,
                                 seen.since,
                                 seen.expires,
                                 at};
    if (!seen.group.empty())
      source.late_sessions_.emplace(Source::session_name(seen.group, cut_identity_text(seen.id)),
                                    seen.prefix);
    return;
  }

  AssignmentTable::New begun{.prefix = seen.prefix,
                             .source = source.number_,
                             .kind = seen.kind,
                             .from = is_again ? at : told,
                             .from_earliest = {},
                             .expires = seen.expires,
                             .texts = {seen.subscriber, seen.mac, seen.host, seen.id},
                             .group = group};
  begun.from_earliest = begun.from;
  if (is_again || !seen.since) {
    // It was not there when the source was looked at before, if that ever told all that there was.
    begun.from_earliest = source.had_whole_ ? source.known_until().value_or(kUnknownBegin) : kUnknownBegin;
    if (ended_before) begun.from_earliest = std::max(begun.from_earliest, *ended_before);
    begun.from_earliest = std::min(begun.from_earliest, begun.from);
  }
  if (!add(begun)) return source.lost("more assignments are open than fit in memory");
  source.report_.with([](IdentitySourceReport& report) { ++report.begun; });
}

bool IdentityKeeper::add(const AssignmentTable::New& begun) {
  Index index = AssignmentTable::kNone;
  {
    const std::unique_lock lock(mutex_);
    index = table_.add(begun);
    if (index == AssignmentTable::kNone) return false;
    table_.at(index).in_this_whole = sources_[begun.source]->marking_;
  }
  put(assignment_of(index));
  return true;
}

std::uint16_t IdentityKeeper::group_of(Source& source, std::string_view group) {
  if (group.empty()) return 0;
  if (const std::uint16_t known = known_group(group); known != 0) return known;
  if (groups_.size() == std::numeric_limits<std::uint16_t>::max()) {
    source.lost("more than 65,535 groups: what ends with one of the others is not told");
    return 0;
  }
  group_names_.emplace_back(group);
  return groups_.emplace(group, static_cast<std::uint16_t>(groups_.size() + 1)).first->second;
}

std::uint16_t IdentityKeeper::known_group(std::string_view group) const {
  const auto known = groups_.find(group);
  return known != groups_.end() ? known->second : std::uint16_t{0};
}

// Times come a second time. So of those in memory nothing is claimed that was told of the first: what has
// ended is left to the log, which names all whom either tells of; and what is open began, by this clock, now.
void IdentityKeeper::clock_was_set_back(Source& source, UnixMs now) {
  {
    const std::unique_lock lock(mutex_);
    table_.forget_ended(UnixMs::max());
  }
  std::vector<Index> later;
  table_.of_places(0, table_.places(), [&](Index index) {
    const AssignmentTable::Entry& entry = table_.at(index);
    if (entry.source == source.number_ && !entry.ended && entry.from() > now) later.push_back(index);
  });
  for (const Index index : later) {
    const AddressAssignment before = assignment_of(index);
    const AssignmentTable::New again{.prefix = before.prefix,
                                     .source = source.number_,
                                     .kind = before.kind,
                                     .from = now,
                                     .from_earliest = now,
                                     .expires = table_.end_of(index),
                                     .texts = {before.subscriber, before.mac, before.host, before.id},
                                     .group = table_.at(index).group};
    end(index, before.from, before.from);
    if (!add(again)) source.lost("more assignments are open than fit in memory");
  }
  remembered_since_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  const std::unique_lock lock(mutex_);
  table_.forget_ended(UnixMs::max());
}

void IdentityKeeper::forget(std::string_view subscriber) {
  const std::string_view wanted = cut_identity_text(subscriber);
  const std::unique_lock lock(mutex_);
  table_.remove_all([&](Index index) { return table_.texts_of(index).subscriber == wanted; });
}

// What the log could not keep is told once more, and of the time between nothing is claimed. What it has as
// open, and is not, has ended some time.
void IdentityKeeper::put_all_anew(UnixMs now) {
  for (const auto& source : sources_) {
    source->interrupted("the log of assignments took nothing for too long");
    std::vector<AddressAssignment> over;
    writer_->each_open_of(source->name_, [&](const AssignmentView& one) {
      bool is_open = false;
      table_.of_prefix(one.prefix, [&](Index index) {
        const AssignmentTable::Entry& entry = table_.at(index);
        is_open = is_open || (entry.source == source->number_ && !entry.ended && entry.from() == one.from);
      });
      if (!is_open) over.push_back(one.copy());
    });
    for (AddressAssignment& one : over) {
      one.until = one.from;
      one.until_latest = std::max(one.from, now);
      put(one);
    }
  }
  table_.of_places(0, table_.places(), [&](Index index) {
    if (!table_.at(index).ended) put(assignment_of(index));
  });
}

void IdentityKeeper::expire(UnixMs now) {
  // All are looked at every few seconds: an end that is found later is told by its own time, but who asks
  // meanwhile is told that it is open.
  constexpr std::chrono::seconds kRound{4}, kStep{1};
  if (swept_ && *swept_ <= now && now - *swept_ < kStep) return;
  swept_ = now;
  const Index part = table_.places() / static_cast<Index>(kRound / kStep) + 1;
  if (sweep_ >= table_.places()) sweep_ = 0;
  table_.of_places(sweep_, sweep_ + part, [&](Index index) {
    const AssignmentTable::Entry& entry = table_.at(index);
    if (entry.ended) return;
    const auto expires = table_.end_of(index);
    const auto followed = sources_[entry.source]->followed_until();
    if (expires && followed && *expires + settings_.grace < *followed) end(index, *expires, *expires);
  });
  sweep_ += part;
  const std::unique_lock lock(mutex_);
  table_.forget_ended(now - settings_.remember);
}

IdentityKeeper::Worked IdentityKeeper::work(UnixMs now, std::optional<UnixMs> age_now) {
  if (!committed_) remembered_since_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  expire(now);
  Worked worked{.next = settings_.commit_every};
  if (committed_ && now >= *committed_ && now - *committed_ < settings_.commit_every) return worked;
  committed_ = now;
  auto done = writer_->commit(settings_.sync);
  waiting_ = 0;
  worked.committed = done.has_value();
  writer_->set_age_now(age_now.value_or(UnixMs{}));
  if (done) done = writer_->tidy(now);
  for (const std::string& subscriber : writer_->take_forgotten()) forget(subscriber);
  if (worked.committed && writer_->take_lost()) put_all_anew(now);
  failure_.with([&](std::string& failure) { failure = done ? std::string() : done.error().message; });
  return worked;
}

Result<void> IdentityKeeper::finish(UnixMs now) {
  expire(now);
  return writer_->commit(settings_.sync);
}

IdentityReport IdentityKeeper::report() const {
  IdentityReport all;
  std::vector<std::uint64_t> open(sources_.size());
  {
    const std::shared_lock lock(mutex_);
    for (std::size_t i = 0; i < open.size(); ++i) open[i] = table_.open_of(static_cast<std::uint8_t>(i));
    all.memory_bytes = table_.bytes();
  }
  for (const auto& source : sources_) {
    IdentitySourceReport report = source->report_.with([](const IdentitySourceReport& kept) { return kept; });
    report.open = open[source->number_];
    report.followed_until = source->followed_until();
    all.sources.push_back(std::move(report));
  }
  all.failure = failure_.with([](const std::string& failure) { return failure; });
  return all;
}

}  // namespace natsession
