#include "sink/rotated_files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

namespace natsession {
namespace {

constexpr std::string_view kStampPattern =
    "dddddddd.dddddd.";  // what a stamp's characters are: 20261121T143422Z

// What stands between PATH and the suffix of a compressed file: its order is the order of the files.
struct Turn {
  std::string stamp;
  std::uint64_t number = 0;
  friend auto operator<=>(const Turn&, const Turn&) = default;
};

bool is_stamp(std::string_view text) {
  if (text.size() != kStampPattern.size() || text[8] != 'T' || text[15] != 'Z') return false;
  return std::equal(text.begin(), text.end(), kStampPattern.begin(),
                    [](char have, char want) { return want != 'd' || (have >= '0' && have <= '9'); });
}

std::optional<Turn> parse_turn(std::string_view text) {
  const std::string_view stamp = text.substr(0, kStampPattern.size());
  if (!is_stamp(stamp)) return std::nullopt;
  Turn turn{std::string(stamp), 0};
  text.remove_prefix(stamp.size());
  if (text.empty()) return turn;
  if (text.size() < 2 || text[0] != '.' || text[1] == '0') return std::nullopt;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + 1, end, turn.number);
  if (error != std::errc() || rest != end) return std::nullopt;
  return turn;
}

bool take_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

std::string stamp_of(UnixNs now) {
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &parts)};
}

std::string path_of(const std::string& path, const Turn& turn) {
  return path + "." + turn.stamp + (turn.number == 0 ? "" : "." + std::to_string(turn.number));
}

Result<std::map<Turn, RotatedFile>> find_all(const std::string& path) {
  const std::filesystem::path file(path);
  const std::string prefix = file.filename().string() + ".";
  const std::filesystem::path directory = file.has_parent_path() ? file.parent_path() : ".";
  std::map<Turn, RotatedFile> found;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(prefix)) continue;
    std::string_view rest = std::string_view(name).substr(prefix.size());
    const bool gzip = take_suffix(rest, ".gz");
    const bool zstd = !gzip && take_suffix(rest, ".zst");
    const std::optional<Turn> turn = parse_turn(rest);
    if (!turn) continue;
    RotatedFile& one = found[*turn];
    one.path = path_of(path, *turn);
    one.gzip = one.gzip || gzip;
    one.zstd = one.zstd || zstd;
    one.plain = one.plain || (!gzip && !zstd);
  }
  if (error) return system_error("read the directory " + directory.string(), error.value());
  return found;
}

}  // namespace

Result<std::vector<RotatedFile>> list_rotated(const std::string& path) {
  auto found = find_all(path);
  if (!found) return found.error();
  std::vector<RotatedFile> files;
  for (auto& [turn, file] : *found) files.push_back(std::move(file));
  return files;
}

Result<std::string> name_rotated(const std::string& path, UnixNs now) {
  const auto found = find_all(path);
  if (!found) return found.error();
  Turn turn{stamp_of(now), 0};
  for (const auto& [other, file] : *found) {
    if (other.stamp == turn.stamp) turn.number = other.number + 1;
  }
  return path_of(path, turn);
}

}  // namespace natsession
