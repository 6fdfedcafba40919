#include "identity/identity_answer.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>
#include <tuple>
#include <utility>

namespace natsession {
namespace {

// Of several who are as certain: who names a person before who names a piece of hardware.
int rank_of(AssignmentKind kind) {
  switch (kind) {
    case AssignmentKind::kSession:
      return 0;
    case AssignmentKind::kStatic:
      return 1;
    case AssignmentKind::kLease:
      return 2;
    case AssignmentKind::kDelegation:
      return 3;
    case AssignmentKind::kOther:
      return 4;
    case AssignmentKind::kNeighbour:
      break;
  }
  return 5;
}

struct SourceSpans {
  const std::vector<SourceSpan>& spans;  // by source, then by beginning

  [[nodiscard]] SourceFollowed at(const std::string& source, UnixMs from, UnixMs until) const {
    SourceFollowed followed{source, false, {}, {}};
    auto one =
        std::lower_bound(spans.begin(), spans.end(), source,
                         [](const SourceSpan& span, const std::string& key) { return span.source < key; });
    for (; one != spans.end() && one->source == source; ++one) {
      if (one->from <= from && one->until >= until) return {source, true, one->from, one->until};
      if (one->until < until && (!followed.until || *followed.until < one->until))
        followed.until = one->until;
      if (one->from > from && !followed.from) followed.from = one->from;
    }
    return followed;
  }
};

// Whether an assignment may be the answer, and what speaks against it.
std::optional<IdentityHolder> holder_of(const IdentityQuestion& question, UnixMs until,
                                        const AddressAssignment& a, bool followed, bool damaged) {
  IdentityHolder holder{a, HolderDoubt::kNone, {}};
  const UnixMs from = question.from;
  // It ends at the moment at which somebody else may have it.
  const UnixMs end = a.until.value_or(UnixMs::max());
  const UnixMs latest = std::max(a.until_latest.value_or(end), end);
  const UnixMs earliest = std::min(a.from_earliest, a.from);
  if (a.from <= from && until < end) {
    holder.doubt = !followed ? HolderDoubt::kNotFollowed
                   : damaged ? HolderDoubt::kDamage
                             : HolderDoubt::kNone;
  } else if (a.from <= until && from < end) {
    holder.doubt = HolderDoubt::kPartly;
  } else if (earliest <= until && from < a.from) {
    holder.doubt = HolderDoubt::kBegan;
  } else if (latest > end && from < latest && until >= end) {
    holder.doubt = HolderDoubt::kEnded;
  } else if (until < earliest) {
    holder.doubt = HolderDoubt::kBefore;
    holder.distance = earliest - until;
  } else {
    holder.doubt = HolderDoubt::kAfter;
    holder.distance = from - latest;
  }
  if (holder.distance > question.slack) return std::nullopt;
  return holder;
}

// What a source says of what was not told to it at the time.
enum class Telling : std::uint8_t {
  kAll,     // all that there is, now and then: what is not in it has ended
  kBegins,  // what is there, but not who was before it was followed: of a time without an entry nothing is
            // known
  kEvents,  // likewise, and an end that was missed it never tells
};

Telling telling_of(std::string_view source) {
  static constexpr std::array<std::pair<std::string_view, Telling>, 4> kKinds{{
      {"radius", Telling::kEvents},
      {"exec", Telling::kEvents},
      {"radius-detail", Telling::kBegins},
      {"neighbours", Telling::kBegins},
  }};
  const std::string_view kind = source.substr(0, source.find_first_of(":?"));
  for (const auto& [name, telling] : kKinds) {
    if (name == kind) return telling;
  }
  return Telling::kAll;
}

}  // namespace

bool may_miss_ends(std::string_view source) {
  return telling_of(source) == Telling::kEvents;
}

std::string IdentityHolder::why() const {
  const auto seconds = [](std::chrono::milliseconds time) {
    char text[32];
    std::snprintf(text, sizeof(text), "%.1f s", static_cast<double>(time.count()) / 1000);
    return std::string(text);
  };
  switch (doubt) {
    case HolderDoubt::kNone:
      return "its source was followed then";
    case HolderDoubt::kDamage:
      return "something that the log had of this time cannot be read";
    case HolderDoubt::kNotFollowed:
      return "its source was not followed in all of this time";
    case HolderDoubt::kPartly:
      return "it was so in a part of this time";
    case HolderDoubt::kBegan:
      return "when it began was not seen: it may have begun already";
    case HolderDoubt::kEnded:
      return "when it ended was not seen: it may have ended already";
    case HolderDoubt::kBefore:
      return "it began " + seconds(distance) + " later";
    case HolderDoubt::kAfter:
      break;
  }
  return distance.count() == 0 ? "it ended at that moment" : "it ended " + seconds(distance) + " before";
}

std::string_view to_string(IdentityVerdict verdict) {
  switch (verdict) {
    case IdentityVerdict::kCertain:
      return "certain";
    case IdentityVerdict::kPossible:
      return "possible";
    case IdentityVerdict::kNobody:
      return "nobody";
    case IdentityVerdict::kNotKnown:
      break;
  }
  return "not known";
}

IdentityAnswer judge_holders(const IdentityQuestion& question,
                             const std::vector<AddressAssignment>& assignments,
                             const std::vector<SourceSpan>& spans, const std::vector<IdentityDamage>& damage,
                             UnixMs forgotten_until) {
  IdentityAnswer answer;
  const UnixMs until = std::max(question.from, question.until);
  for (const IdentityDamage& one : damage) {
    if (one.from <= until && one.until >= question.from) answer.damage.push_back(one);
  }
  answer.forgotten = question.from <= forgotten_until;
  const SourceSpans known{spans};
  for (auto one = spans.begin(); one != spans.end();) {
    answer.sources.push_back(known.at(one->source, question.from, until));
    const std::string& source = one->source;
    one = std::find_if(one, spans.end(), [&](const SourceSpan& span) { return span.source != source; });
  }
  for (const AddressAssignment& one : assignments) {
    if (!one.prefix.contains(question.address)) continue;
    if (!question.netns.empty() && !one.netns.empty() && question.netns != one.netns) continue;
    SourceFollowed followed = known.at(one.source, question.from, until);
    // An end that was missed is told by nobody later: what is open counts as far as it was followed from its
    // beginning on.
    if (!one.until && followed.throughout && may_miss_ends(one.source) && followed.from &&
        *followed.from > one.from)
      followed.throughout = false;
    auto holder = holder_of(question, until, one, followed.throughout, !answer.damage.empty());
    if (!holder) continue;
    answer.holders.push_back(std::move(*holder));
    const bool told = std::any_of(answer.sources.begin(), answer.sources.end(),
                                  [&](const SourceFollowed& source) { return source.source == one.source; });
    if (!told) answer.sources.push_back(followed);
  }
  const auto rank = [](const IdentityHolder& holder) {
    const AddressAssignment& a = holder.assignment;
    return std::tuple(!holder.certain(), -static_cast<int>(a.prefix.length()), holder.doubt, holder.distance,
                      rank_of(a.kind));
  };
  std::stable_sort(answer.holders.begin(), answer.holders.end(), [&](const auto& a, const auto& b) {
    if (rank(a) != rank(b)) return rank(a) < rank(b);
    if (a.assignment.from != b.assignment.from) return a.assignment.from > b.assignment.from;
    return a.assignment.source < b.assignment.source;
  });
  if (!answer.holders.empty()) {
    // The same address in two network namespaces is two people's, and the question says not which.
    const auto other =
        std::find_if(answer.holders.begin(), answer.holders.end(), [&](const IdentityHolder& holder) {
          return holder.certain() && holder.assignment.netns != answer.holders.front().assignment.netns &&
                 holder.assignment.subscriber != answer.holders.front().assignment.subscriber &&
                 !holder.assignment.netns.empty() && !answer.holders.front().assignment.netns.empty();
        });
    const bool certain =
        answer.holders.front().certain() && (!question.netns.empty() || other == answer.holders.end());
    answer.verdict = certain ? IdentityVerdict::kCertain : IdentityVerdict::kPossible;
    return answer;
  }
  const bool all = std::all_of(answer.sources.begin(), answer.sources.end(),
                               [](const SourceFollowed& source) { return source.throughout; });
  if (answer.sources.empty()) {
    answer.why_not = "no source was ever followed";
  } else if (!all) {
    answer.why_not = "not all sources were followed then";
  } else if (const auto partial = std::find_if(
                 answer.sources.begin(), answer.sources.end(),
                 [](const SourceFollowed& source) { return telling_of(source.source) != Telling::kAll; });
             partial != answer.sources.end()) {
    answer.why_not = partial->source + " tells what begins, and not all that there is";
  } else if (!answer.damage.empty()) {
    answer.why_not = "something that the log had of this time cannot be read";
  } else if (answer.forgotten) {
    answer.why_not = "something of this time may have been deleted on request";
  } else {
    answer.verdict = IdentityVerdict::kNobody;
  }
  return answer;
}

}  // namespace natsession
