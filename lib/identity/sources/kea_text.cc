#include "identity/sources/kea_text.h"

#include <algorithm>

#include "identity/sources/words.h"

namespace natsession {
namespace {

constexpr std::array<std::string_view, 11> kKeaColumns{"address",        "hwaddr",   "client_id",  "duid",
                                                       "valid_lifetime", "expire",   "lease_type", "iaid",
                                                       "prefix_len",     "hostname", "state"};
constexpr std::chrono::milliseconds kRounded{999};  // Kea tells seconds, rounded down
constexpr std::size_t kMostReleased = 4096;         // that wait for a line with a time
constexpr std::uint64_t kForever = 0xffff'ffff;
enum KeaState : std::uint64_t { kInUse = 0, kDeclined = 1, kReclaimed = 2, kReleased = 3, kRegistered = 4 };

// Kea writes a comma in a text as &#x2c.
std::string kea_unescaped(std::string_view text) {
  static constexpr std::string_view kComma = "&#x2c";
  std::string out(text);
  for (std::size_t at = 0; (at = out.find(kComma, at)) != std::string::npos; ++at)
    out.replace(at, kComma.size(), ",");
  return out;
}

void split_cells(std::string_view line, std::vector<std::string_view>& cells) {
  constexpr std::size_t kMostCells = 64;
  cells.clear();
  for (std::size_t begin = 0; begin <= line.size() && cells.size() < kMostCells;) {
    const std::size_t end = std::min(line.find(',', begin), line.size());
    cells.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
}

}  // namespace

void KeaText::begin() {
  has_header_ = false;
  latest_ = {};
}

bool KeaText::read_header(const std::vector<std::string_view>& names) {
  static_assert(kKeaColumns.size() == kColumns);
  for (std::size_t column = 0; column < kColumns; ++column) {
    const auto found = std::find(names.begin(), names.end(), kKeaColumns[column]);
    places_[column] = found == names.end() ? kAbsent : static_cast<std::size_t>(found - names.begin());
  }
  has_header_ = places_[kAddress] != kAbsent && places_[kValid] != kAbsent && places_[kExpire] != kAbsent;
  return has_header_;
}

std::string_view KeaText::at(const std::vector<std::string_view>& cells, Column column) const {
  const std::size_t place = places_[column];
  return place < cells.size() ? cells[place] : std::string_view();
}

void KeaText::tell_released(UnixMs latest, IdentityOutput& output) {
  for (const Released& one : released_)
    tell_ended_between(output, one.prefix, one.id, std::min(one.earliest, latest), latest);
  released_.clear();
}

void KeaText::line(std::string_view line, const LineTime& time, IdentityOutput& output) {
  line = without_spaces(line);
  if (line.empty()) return;
  const auto refuse = [&](std::string_view why) {
    output.refused("a lease of Kea's " + std::string(why), line);
  };
  split_cells(line, cells_);
  if (std::find(cells_.begin(), cells_.end(), kKeaColumns[kAddress]) != cells_.end()) {
    if (!read_header(cells_)) refuse("file begins with columns that lack valid_lifetime or expire");
    return;
  }
  if (!has_header_) return refuse("stands before the names of the columns");

  const auto valid = whole_number(at(cells_, kValid));
  const auto expire = whole_number(at(cells_, kExpire));
  if (!valid || *valid > kForever || !expire || *expire < *valid) return refuse("has no time");
  const auto renewed = at_second(*expire - *valid);
  const auto expires = *valid == kForever ? std::optional<UnixMs>() : at_second(*expire);
  if (!renewed || (!expires && *valid != kForever)) return refuse("has no time");
  const std::string_view state_text = at(cells_, kState);
  const auto state = state_text.empty() ? std::optional<std::uint64_t>(kInUse) : whole_number(state_text);
  if (!state) return refuse("has no state");
  const auto address = IpAddress::parse(at(cells_, kAddress));
  if (!address) return refuse("has no address");

  SeenAssignment seen;
  seen.prefix = Prefix::of(*address, 128);
  seen.kind = AssignmentKind::kLease;
  if (at(cells_, kLeaseType) == "2") {
    const auto length = whole_number(at(cells_, kPrefixLength));
    if (address->is_v4() || !length || *length > 128) return refuse("has no length of its prefix");
    seen.prefix = Prefix::of(*address, static_cast<unsigned>(*length));
    seen.kind = AssignmentKind::kDelegation;
  }
  const std::string mac = mac_of(at(cells_, kHwaddr));
  const std::string_view duid = at(cells_, kDuid);
  const std::string_view client = at(cells_, kClientId);
  seen.id = address->is_v4() ? client : at(cells_, kIaid);

  const bool in_use = *state == kInUse || *state == kRegistered;
  if (!in_use || *valid == 0) {
    // What is read long after it was written: the line is not older than those before it, whose times are
    // rounded down.
    const UnixMs not_before = std::min(std::max(latest_, *renewed) + kRounded, time.written);
    if (expires && *valid != 0 && *state == kReclaimed) {
      tell_ended(output, seen.prefix, seen.id, std::min(*expires, time.written));
    } else if (time.exact) {
      tell_released(time.written, output);
      tell_ended(output, seen.prefix, seen.id, time.written);
    } else {
      if (released_.size() >= kMostReleased) tell_released(time.written, output);
      released_.push_back({seen.prefix, std::string(seen.id), not_before});
    }
    return;
  }
  tell_released(std::min(*renewed + kRounded, time.written), output);
  latest_ = std::max(latest_, std::min(*renewed, time.written));
  seen.mac = mac;
  seen.subscriber = !duid.empty() && !address->is_v4() ? duid : !mac.empty() ? std::string_view(mac) : client;
  const std::string host = kea_unescaped(at(cells_, kHostname));
  seen.host = host;
  if (seen.host.ends_with('.')) seen.host.remove_suffix(1);
  seen.expires = expires;
  // Kea tells seconds; what was written within this one was given at that moment.
  const bool is_sharp =
      time.exact && time.written >= *renewed && time.written < *renewed + std::chrono::seconds(1);
  const UnixMs given = is_sharp ? time.written : std::min(*renewed, time.written);
  seen.since = given;
  tell_seen(output, seen, given);
}

}  // namespace natsession
