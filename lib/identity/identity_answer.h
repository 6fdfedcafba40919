// Whose an address was at a time: what the log's assignments and what was followed add up to. An answer never
// claims more than the log saw:
//   certain    it is within what the source says, and the source was followed then
//   possible   it may be: the beginning or the end was not seen, the source was not followed, a change lies
//   so
//              near that clocks may differ (slack), or something that the log had is damaged
//   nobody     all sources were followed then, and none of them names anybody; not said where one tells only
//   what
//              begins (RADIUS, neighbours, a command)
//   not known  else
// Threads: plain value types and functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "identity/assignment.h"
#include "identity/identity_file.h"

namespace natsession {

struct IdentityQuestion {
  IpAddress address;
  UnixMs from, until;  // the same for a point of time
  std::chrono::milliseconds slack{5'000};
  std::string netns = {};  // empty: of any
};

// Why it is no more than possible; the smaller the better.
enum class HolderDoubt : std::uint8_t {
  kNone,
  kDamage,       // something that the log had of this time cannot be read
  kNotFollowed,  // its source was not followed in all of this time
  kPartly,       // it was in a part of this time
  kBegan,        // it may have begun already
  kEnded,        // it may have ended already
  kBefore,       // it began later, by no more than the slack
  kAfter,        // it ended before, by no more than the slack
};

struct IdentityHolder {
  AddressAssignment assignment;
  HolderDoubt doubt = HolderDoubt::kNone;
  std::chrono::milliseconds distance{};  // of kBefore and kAfter

  [[nodiscard]] bool certain() const { return doubt == HolderDoubt::kNone; }
  // "the source was followed then", "it ended 2.0 s before" …
  [[nodiscard]] std::string why() const;
};

// What of a source was followed around the time asked for.
struct SourceFollowed {
  std::string source;
  bool throughout = false;
  std::optional<UnixMs> from,
      until;  // throughout: of the span; else from: when it was followed again, until: last before
  friend bool operator==(const SourceFollowed&, const SourceFollowed&) = default;
};

// Whether a source of this name never tells an end that it missed: it says what happens, and not all that
// there is.
[[nodiscard]] bool may_miss_ends(std::string_view source);

enum class IdentityVerdict : std::uint8_t { kCertain, kPossible, kNobody, kNotKnown };
[[nodiscard]] std::string_view to_string(IdentityVerdict verdict);  // certain, possible, nobody, not known

struct IdentityAnswer {
  IdentityVerdict verdict = IdentityVerdict::kNotKnown;
  std::vector<IdentityHolder> holders;  // certain ones first, then by length of the prefix
  std::vector<SourceFollowed> sources;
  std::vector<IdentityDamage> damage;  // that meets this time
  bool forgotten = false;              // of this time something may have been deleted on request
  std::string why_not;                 // of kNotKnown, in words
};

// `assignments`: those whose prefix has the address, each once; `spans`: sorted, as joined_spans() has them.
[[nodiscard]] IdentityAnswer judge_holders(const IdentityQuestion& question,
                                           const std::vector<AddressAssignment>& assignments,
                                           const std::vector<SourceSpan>& spans,
                                           const std::vector<IdentityDamage>& damage, UnixMs forgotten_until);

}  // namespace natsession
