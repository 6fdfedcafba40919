// Settings from TOML files.
// Threads: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/byte_count.h"
#include "base/result.h"
#include "config/options.h"

namespace natsession {

inline constexpr ByteCount kMaxSettingsFile{1ULL << 20};
inline constexpr std::size_t kMaxDropIns = 256;
// Folders beside the file. That of flow logs may belong to a user who is neither root nor this program's: so
// what stands in it may be flow logs alone, and none that starts a program.
inline constexpr std::string_view kDropInFolder = "conf.d";
inline constexpr std::string_view kFlowLogFolder = "flow-logs.d";
[[nodiscard]] std::string folder_beside(const std::string& path, std::string_view folder);
// Brackets in one another, and dots of a line's keys. No setting needs any; the parser of TOML takes a
// stack's room for each.
inline constexpr std::size_t kMaxNesting = 64;

// Reads the settings that a file's text gives, in the order in which they stand.
// Errors: kUsage, with file, line and column: a syntax error, an unknown key (with the nearest known one), a
// value of the wrong type; or nesting beyond kMaxNesting, which the parser does not get to see.
[[nodiscard]] Result<std::vector<Assignment>> parse_settings(std::string_view text, const std::string& path);

// Reads `path`, then each *.toml in the folder conf.d beside it, then those in flow-logs.d, in byte order of
// their names; hidden ones are passed over.
// Errors: those of parse_settings(); kPermission or kUsage if something that is there cannot be read; kPermission
// if somebody else may write it, or add to the folder.
[[nodiscard]] Result<std::vector<Assignment>> read_settings(const std::string& path);

}  // namespace natsession
