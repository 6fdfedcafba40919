// TimeZone: one that a text names, beside the process's own: an offset, an abbreviation, or a name of the
// zone database. Local times in it are read and shown as local_time.h does for the process's zone.
// Source:  RFC 2822 4.3 for the abbreviations of North America; the others are widely used and mean one offset.
//          What means several, as IST and BST do, is none here.
// Threads: any; setenv("TZ") is not touched.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "query/local_time.h"

namespace natsession {

class TimeZone {
 public:
  // The process's: TZ, /etc/localtime.
  TimeZone();
  // "UTC", or "+05:30" for another offset.
  [[nodiscard]] static TimeZone fixed(std::chrono::seconds offset);
  // "GMT", "CEST", "EST"; "Europe/Berlin" if the zone database is there. Capitals or not.
  [[nodiscard]] static std::optional<TimeZone> find(std::string_view name);

  [[nodiscard]] LocalReading read(const CivilTime& civil) const;
  [[nodiscard]] LocalTime show(UnixMs time) const;

 private:
  explicit TimeZone(std::function<LocalTime(UnixMs)> show) : show_(std::move(show)) {}
  static TimeZone fixed(std::chrono::seconds offset, std::string name);

  std::function<LocalTime(UnixMs)> show_;
};

// What is wrong with the process's zone: TZ names none that there is, so that times are read in UTC. Empty:
// nothing.
[[nodiscard]] std::string trouble_with_local_zone();

}  // namespace natsession
