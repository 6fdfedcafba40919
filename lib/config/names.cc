#include "config/names.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "config/text.h"

namespace natsession {
namespace {

template <typename T>
using Named = std::pair<std::string_view, T>;

constexpr std::array<Named<NatSelection>, 3> kNatSelections{
    {{"snat", NatSelection::kSnat}, {"dnat", NatSelection::kDnat}, {"any", NatSelection::kAny}}};

constexpr std::array<Named<RecordMode>, 3> kRecordModes{
    {{"window", RecordMode::kWindow}, {"end", RecordMode::kEnd}, {"start-end", RecordMode::kStartEnd}}};

constexpr std::array<Named<ReliableMode>, 3> kReliableModes{
    {{"auto", ReliableMode::kAuto}, {"on", ReliableMode::kOn}, {"off", ReliableMode::kOff}}};

constexpr std::array<Named<LogLevel>, 4> kLogLevels{{{"error", LogLevel::kError},
                                                     {"warning", LogLevel::kWarning},
                                                     {"info", LogLevel::kInfo},
                                                     {"debug", LogLevel::kDebug}}};

constexpr std::array<Named<bool>, 2> kSwitches{{{"true", true}, {"false", false}}};

constexpr std::array<Named<bool EventGroups::*>, 3> kEventGroups{
    {{"new", &EventGroups::new_}, {"update", &EventGroups::update}, {"destroy", &EventGroups::destroy}}};

// "a, b or c"
template <typename T>
std::string listed(std::span<const Named<T>> names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += names[i].first;
  }
  return text;
}

template <typename T, std::size_t kCount>
Result<T> find(const std::array<Named<T>, kCount>& names, std::string_view name) {
  for (const auto& [text, value] : names) {
    if (text == name) return value;
  }
  return Error{ErrorKind::kUsage,
               in_quotes(name) + " is not one of " + listed(std::span<const Named<T>>(names))};
}

template <typename T, std::size_t kCount>
std::string_view name_of(const std::array<Named<T>, kCount>& names, T wanted) {
  for (const auto& [text, value] : names) {
    if (value == wanted) return text;
  }
  return {};
}

}  // namespace

Result<NatSelection> parse_nat_selection(std::string_view name) {
  return find(kNatSelections, name);
}
Result<RecordMode> parse_record_mode(std::string_view name) {
  return find(kRecordModes, name);
}
Result<ReliableMode> parse_reliable_mode(std::string_view name) {
  return find(kReliableModes, name);
}
Result<LogLevel> parse_log_level(std::string_view name) {
  return find(kLogLevels, name);
}
Result<bool> parse_switch(std::string_view name) {
  return find(kSwitches, name);
}

Result<EventGroups> parse_event_groups(std::string_view names, EventGroups groups) {
  std::size_t begin = 0;
  while (begin <= names.size()) {
    const std::size_t end = std::min(names.find(',', begin), names.size());
    std::string_view name = names.substr(begin, end - begin);
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    const auto group = find(kEventGroups, name);
    if (!group) return group.error();
    groups.*(*group) = true;
    begin = end + 1;
  }
  return groups;
}

std::string_view to_string(NatSelection selection) {
  return name_of(kNatSelections, selection);
}
std::string_view to_string(RecordMode mode) {
  return name_of(kRecordModes, mode);
}
std::string_view to_string(ReliableMode mode) {
  return name_of(kReliableModes, mode);
}

std::string_view to_string(LogLevel level) {
  return name_of(kLogLevels, level);
}

}  // namespace natsession
