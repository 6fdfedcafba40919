// What the parsers of sources share: words, numbers, times and hardware addresses as programs write them.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/time.h"
#include "identity/identity_source.h"

namespace natsession {

// Takes the next word and the spaces and tabs around it away from `rest`; empty: there is none.
[[nodiscard]] std::string_view take_word(std::string_view& rest);

[[nodiscard]] std::string_view without_spaces(std::string_view text);  // at both ends; '\r' too

[[nodiscard]] std::optional<std::uint64_t> whole_number(std::string_view text);

// Of seconds since 1970 up to the end of the year 9999; none: beyond.
[[nodiscard]] std::optional<UnixMs> at_second(std::uint64_t seconds);
// 1796067501, 1796067501.250, 1796067501250 (milliseconds: from 100,000,000,000 on), 2026-11-30,
// 2026-11-30T19:38:21Z, 2026-11-30T19:38:21.5+02:00
[[nodiscard]] std::optional<UnixMs> time_of(std::string_view text);
// From parts in UTC; none where they are no date.
[[nodiscard]] std::optional<UnixMs> time_of(int year, unsigned month, unsigned day, unsigned hour,
                                            unsigned minute, unsigned second);

// 02:00:00:00:00:01, from that, 02-00-00-00-00-01, 0200.0000.0001, 020000000001 in either case; empty: it is
// none of these.
[[nodiscard]] std::string mac_of(std::string_view text);
[[nodiscard]] std::string colons_of(std::span<const std::uint8_t> bytes);  // 01:02:ff

// output.seen(), with texts that are UTF-8 without control characters, and no longer than is kept: what is
// not has a '?' in its place.
void tell_seen(IdentityOutput& output, SeenAssignment seen, UnixMs at);
void tell_ended(IdentityOutput& output, const Prefix& prefix, std::string_view id, UnixMs at);
void tell_ended_between(IdentityOutput& output, const Prefix& prefix, std::string_view id, UnixMs earliest,
                        UnixMs latest);
void tell_ended_group(IdentityOutput& output, std::string_view group, UnixMs at);
void tell_ended_session(IdentityOutput& output, std::string_view group, std::string_view id, UnixMs at);
// The same of any text, for a reason that names it. At most `limit` bytes.
[[nodiscard]] std::string shown(std::string_view text, std::size_t limit = 60);

}  // namespace natsession
