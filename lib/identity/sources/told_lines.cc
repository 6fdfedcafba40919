#include "identity/sources/told_lines.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <nlohmann/json.hpp>

#include "identity/sources/words.h"

namespace natsession {
namespace {

using Json = nlohmann::json;

std::string text_in(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) return {};
  if (found->is_string()) return found->get<std::string>();
  if (found->is_number_unsigned()) return std::to_string(found->get<std::uint64_t>());
  return {};
}

// False: it is there, and no time.
bool time_in_json(const Json& object, const char* key, std::optional<UnixMs>& time) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return true;
  if (found->is_number_float()) {
    const double value = found->get<double>();
    if (!std::isfinite(value) || value < 0 || value > 253'402'300'799.0) return false;
    time = UnixMs(std::chrono::milliseconds(std::llround(value * 1000)));
    return true;
  }
  time = time_of(text_in(object, key));
  return time.has_value();
}

}  // namespace

void ToldLines::line(std::string_view line, UnixMs now, IdentityOutput& output) {
  const auto refuse = [&](std::string_view why) { output.refused("a line " + std::string(why), line); };
  line = without_spaces(line);
  if (line.empty()) return;
  bool too_deep = false;
  const Json object = Json::parse(
      line.begin(), line.end(),
      [&](int depth, Json::parse_event_t, Json&) {
        too_deep |= depth > 8;
        return !too_deep;
      },
      false);
  if (object.is_discarded() || too_deep || !object.is_object()) return refuse("is no object of JSON");
  std::optional<UnixMs> told;
  std::optional<UnixMs> since;
  std::optional<UnixMs> expires;
  if (!time_in_json(object, "at", told) || !time_in_json(object, "since", since) ||
      !time_in_json(object, "expires", expires))
    return refuse("has no such time");
  const UnixMs at = std::min(told.value_or(now), now);
  const std::string event = text_in(object, "event");
  if (event == "begin") return output.begin_whole();
  if (event == "end") return output.end_whole(at);
  if (event == "lost") return output.lost(shown(text_in(object, "why"), kMaxIdentityText));
  if (event == "followed") {
    tells_followed_ = true;
    return output.followed(at);
  }
  const std::string group = text_in(object, "group");
  if (event == "ended_group") {
    if (group.empty()) return refuse("has no group");
    return tell_ended_group(output, group, at);
  }
  const bool is_seen = event.empty() || event == "seen";
  if (!is_seen && event != "ended")
    return refuse("has an event that is none of seen, ended, ended_group, begin, end, followed, lost");
  const auto prefix = Prefix::parse(text_in(object, "prefix"));
  if (!prefix) return refuse("has no prefix");
  const std::string id = text_in(object, "id");
  if (!is_seen) return tell_ended(output, *prefix, id, at);
  SeenAssignment seen;
  seen.prefix = *prefix;
  const std::string kind = text_in(object, "kind");
  const auto known = kind.empty() ? AssignmentKind::kOther : parse_assignment_kind(kind);
  if (!known)
    return refuse("has a kind that is none of lease, delegation, session, neighbour, static, other");
  seen.kind = *known;
  const std::string mac_text = text_in(object, "mac");
  const std::string mac = mac_of(mac_text);
  if (mac.empty() && !mac_text.empty()) return refuse("has no such mac");
  const std::string subscriber = text_in(object, "subscriber");
  if (subscriber.empty() && mac.empty()) return refuse("has neither subscriber nor mac");
  const std::string host = text_in(object, "host");
  seen.subscriber = subscriber.empty() ? mac : subscriber;
  seen.mac = mac;
  seen.host = host;
  seen.id = id;
  seen.group = group;
  if (since) seen.since = std::min(*since, now);
  seen.expires = expires;
  tell_seen(output, seen, at);
}

}  // namespace natsession
