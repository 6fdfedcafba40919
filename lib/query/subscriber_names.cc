#include "query/subscriber_names.h"

#include <algorithm>
#include <limits>

namespace natsession {
namespace {

constexpr std::size_t kMaxPiecesOfPart = 65'536;
constexpr std::chrono::hours kAround{1};  // of a time that is asked for: others are asked for near it

std::int64_t piece_ms(UnixMs time) {
  return time.time_since_epoch().count();
}

}  // namespace

SubscriberNames::SubscriberNames(std::unique_ptr<IdentityReader> reader) : reader_(std::move(reader)) {}

IdentityAnswer SubscriberNames::of_session(const IpAddress& pri_ip, std::string_view netns, UnixMs earliest,
                                           UnixMs seen, std::chrono::milliseconds slack) {
  const std::lock_guard lock(mutex_);
  IdentityQuestion question{pri_ip, std::min(earliest, seen), seen, std::chrono::milliseconds(0),
                            std::string(netns)};
  IdentityAnswer exact = reader_->who(question);
  std::erase_if(exact.holders,
                [&](const IdentityHolder& one) { return exact.holders.front().certain() && !one.certain(); });
  if (exact.verdict == IdentityVerdict::kCertain) return exact;
  question.slack = slack;
  return reader_->who(question);
}

std::string_view SubscriberNames::intern(std::string_view text) {
  const std::lock_guard lock(mutex_);
  return *texts_.emplace(text).first;
}

std::vector<IdentityDamage> SubscriberNames::damage() {
  const std::lock_guard lock(mutex_);
  return reader_->damage();
}

SubscriberNames::Piece SubscriberNames::piece_at(const IpAddress& pri_ip, std::string_view netns,
                                                 UnixMs begun) {
  const std::lock_guard lock(mutex_);
  const IdentityQuestion question{pri_ip, begun, begun, std::chrono::milliseconds(0), std::string(netns)};
  Piece piece{piece_ms(begun - kAround), piece_ms(begun + kAround), {}};
  const auto assignments = reader_->assignments_at(pri_ip, begun - kAround, begun + kAround);
  const IdentityAnswer answer =
      judge_holders(question, assignments, reader_->spans(), reader_->damage(), reader_->forgotten_until());
  // Up to where something else may be true.
  const std::int64_t now = piece_ms(begun);
  const auto border = [&](UnixMs time, std::int64_t behind = 0) {
    if (time == UnixMs::max() || time == UnixMs::min()) return;
    const std::int64_t at = piece_ms(time) + behind;
    if (at <= now) piece.from = std::max(piece.from, at);
    if (at > now) piece.until = std::min(piece.until, at);
  };
  for (const AddressAssignment& one : assignments) {
    border(one.from_earliest);
    border(one.from);
    // The moment of the end itself is neither before nor behind it.
    for (const auto& end : {one.until, one.until_latest}) {
      if (!end) continue;
      border(*end);
      border(*end, 1);
    }
  }
  for (const SourceSpan& span : reader_->spans()) {
    border(span.from);
    border(span.until, 1);
  }
  for (const IdentityDamage& one : reader_->damage()) {
    border(one.from);
    border(one.until, 1);
  }
  border(reader_->forgotten_until(), 1);
  std::string_view label = kUnknownSubscriber;
  if (answer.verdict == IdentityVerdict::kCertain) label = answer.holders.front().assignment.subscriber;
  if (answer.verdict == IdentityVerdict::kPossible) label = kUncertainSubscriber;
  if (answer.verdict == IdentityVerdict::kNobody) label = kNoSubscriber;
  piece.label = *texts_.emplace(label).first;
  return piece;
}

std::string_view SubscriberNames::label(const IpAddress& pri_ip, std::string_view netns, UnixMs begun) {
  std::string key(reinterpret_cast<const char*>(pri_ip.bytes().data()), 16);
  key += netns;
  Part& part = parts_[std::hash<std::string>()(key) % parts_.size()];
  const std::lock_guard lock(part.mutex);
  begun = within_block(begun);
  const std::int64_t at = piece_ms(begun);
  if (const auto known = part.pieces.find(key); known != part.pieces.end()) {
    const auto behind =
        std::upper_bound(known->second.begin(), known->second.end(), at,
                         [](std::int64_t time, const Piece& piece) { return time < piece.from; });
    if (behind != known->second.begin() && at < std::prev(behind)->until) return std::prev(behind)->label;
  }
  if (part.count >= kMaxPiecesOfPart) {
    part.pieces.clear();
    part.count = 0;
  }
  std::vector<Piece>& pieces = part.pieces[key];
  Piece piece = piece_at(pri_ip, netns, begun);
  const auto place = std::upper_bound(pieces.begin(), pieces.end(), at,
                                      [](std::int64_t time, const Piece& one) { return time < one.from; });
  // Pieces do not overlap: what is known already has the same borders.
  if (place != pieces.begin()) piece.from = std::max(piece.from, std::prev(place)->until);
  if (place != pieces.end()) piece.until = std::min(piece.until, place->from);
  pieces.insert(place, piece);
  ++part.count;
  return piece.label;
}

}  // namespace natsession
