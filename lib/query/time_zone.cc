#include "query/time_zone.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>

#include <cctz/time_zone.h>
#include <fmt/core.h>

namespace natsession {
namespace {

using std::chrono::seconds;

struct Abbreviation {
  std::string_view name;
  int minutes;
};
constexpr std::array kAbbreviations{
    Abbreviation{"UTC", 0},    Abbreviation{"GMT", 0},    Abbreviation{"UT", 0},
    Abbreviation{"Z", 0},      Abbreviation{"WET", 0},    Abbreviation{"WEST", 60},
    Abbreviation{"CET", 60},   Abbreviation{"CEST", 120}, Abbreviation{"MEZ", 60},
    Abbreviation{"MESZ", 120}, Abbreviation{"EET", 120},  Abbreviation{"EEST", 180},
    Abbreviation{"MSK", 180},  Abbreviation{"JST", 540},  Abbreviation{"KST", 540},
    Abbreviation{"EST", -300}, Abbreviation{"EDT", -240}, Abbreviation{"CST", -360},
    Abbreviation{"CDT", -300}, Abbreviation{"MST", -420}, Abbreviation{"MDT", -360},
    Abbreviation{"PST", -480}, Abbreviation{"PDT", -420},
};

bool is_name_letter(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0;
}

// "europe/berlin" as the database writes it: a capital behind each / and _ but in few names, which are then
// not found.
std::string capitalised(std::string_view name) {
  std::string text(name);
  bool first = true;
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    c = static_cast<char>(first ? std::toupper(byte) : std::tolower(byte));
    first = !is_name_letter(c);
  }
  return text;
}

// A name with a path in it that leads elsewhere, or an absolute one, is none.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name.find("..") == std::string_view::npos && is_name_letter(name[0]) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return is_name_letter(c) || (c >= '0' && c <= '9') || c == '/' || c == '_' || c == '-' || c == '+';
         });
}

}  // namespace

TimeZone::TimeZone() : show_(to_local) {}

TimeZone TimeZone::fixed(seconds offset, std::string name) {
  return TimeZone([offset, name = std::move(name)](UnixMs time) {
    return LocalTime{to_utc(time + offset), offset, name};
  });
}

TimeZone TimeZone::fixed(seconds offset) {
  return fixed(offset, offset.count() == 0 ? "UTC" : offset_text(offset));
}

std::optional<TimeZone> TimeZone::find(std::string_view name) {
  std::string upper(name);
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  for (const Abbreviation& known : kAbbreviations) {
    if (upper != known.name) continue;
    const std::string shown = known.minutes == 0 && upper != "WET" && upper != "GMT" ? "UTC" : upper;
    return fixed(std::chrono::minutes(known.minutes), shown);
  }
  // A word without a place is mostly an abbreviation that several zones have, or no zone at all.
  if (!is_plain_name(name) || name.find('/') == std::string_view::npos) return std::nullopt;
  cctz::time_zone zone;
  if (!cctz::load_time_zone(std::string(name), &zone) && !cctz::load_time_zone(capitalised(name), &zone))
    return std::nullopt;
  return TimeZone([zone](UnixMs time) {
    const auto at = zone.lookup(std::chrono::time_point_cast<std::chrono::milliseconds>(time));
    const seconds offset(at.offset);
    const std::string_view shown = at.abbr;
    return LocalTime{to_utc(time + offset), offset,
                     shown.empty() || !is_name_letter(shown[0]) ? offset_text(offset) : std::string(shown)};
  });
}

LocalReading TimeZone::read(const CivilTime& civil) const {
  return read_civil(civil, [this](UnixMs time) { return show_(time).utc_offset; });
}

LocalTime TimeZone::show(UnixMs time) const {
  return show_(time);
}

std::string trouble_with_local_zone() {
  const char* const variable = std::getenv("TZ");
  std::string_view name = variable == nullptr ? "" : variable;
  if (name.starts_with(':')) name.remove_prefix(1);
  // Rules, as "CET-1CEST", have a number in them; a path is the C library's to read.
  if (name.empty() || name.starts_with('/') || name.find_first_of("0123456789<") != std::string_view::npos)
    return {};
  cctz::time_zone zone;
  if (name == "UTC" || cctz::load_time_zone(std::string(name), &zone)) return {};
  return fmt::format(
      "TZ is '{}', and there is no such time zone here (is tzdata installed?): times are read and "
      "shown in UTC",
      name);
}

}  // namespace natsession
