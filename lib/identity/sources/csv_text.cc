#include "identity/sources/csv_text.h"

#include <algorithm>
#include <cstring>

#include "identity/sources/words.h"

namespace natsession {
namespace {

constexpr std::array<std::string_view, 7> kCsvColumns{"prefix", "name", "from", "until", "mac", "host", "id"};
constexpr std::size_t kNoPlace = static_cast<std::size_t>(-1);

// False where quotes are not closed.
bool split_quoted(std::string_view line, std::vector<std::string>& cells) {
  constexpr std::size_t kMostCells = 64;
  cells.clear();
  while (cells.size() < kMostCells) {
    std::string cell;
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (line.starts_with('"')) {
      for (line.remove_prefix(1);;) {
        const std::size_t quote = line.find('"');
        if (quote == std::string_view::npos) return false;
        cell += line.substr(0, quote);
        line.remove_prefix(quote + 1);
        if (!line.starts_with('"')) break;
        cell += '"';
        line.remove_prefix(1);
      }
    }
    const std::size_t comma = std::min(line.find(','), line.size());
    cell += without_spaces(line.substr(0, comma));
    cells.push_back(std::move(cell));
    if (comma == line.size()) return true;
    line.remove_prefix(comma + 1);
  }
  return true;
}

}  // namespace

void CsvText::begin() {
  has_header_ = header_failed_ = false;
  if (!second_pass_) next_change_.reset();
  told_.clear();
}

bool CsvText::wants_another_pass() {
  second_pass_ = !second_pass_;
  return second_pass_;
}

void CsvText::read_header(IdentityOutput& output) {
  places_.fill(kNoPlace);
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    const auto found = std::find(kCsvColumns.begin(), kCsvColumns.end(), cells_[i]);
    if (found != kCsvColumns.end()) places_[static_cast<std::size_t>(found - kCsvColumns.begin())] = i;
  }
  has_header_ = true;
  header_failed_ = places_[kPrefix] == kNoPlace || places_[kName] == kNoPlace;
  if (header_failed_ && !second_pass_)
    output.refused(
        "the first line of the list does not name the columns prefix and name (and from, until, mac, "
        "host, id, where there are)");
}

void CsvText::line(std::string_view line, const LineTime& time, IdentityOutput& output) {
  static_assert(kCsvColumns.size() == kColumns);
  if (!has_header_ && line.starts_with("\xef\xbb\xbf"))
    line.remove_prefix(3);  // a byte order mark, from Windows
  const std::string_view text = without_spaces(line);
  if (text.empty() || text.starts_with('#')) return;
  const auto refuse = [&](std::string_view why) {
    if (!second_pass_) output.refused("a row of the list " + std::string(why), text);
  };
  if (!split_quoted(text, cells_)) return refuse("has quotes that are not closed");
  if (!has_header_) return read_header(output);
  if (header_failed_) return;
  const auto cell = [&](Column column) {
    const std::size_t place = places_[column];
    return place < cells_.size() ? std::string_view(cells_[place]) : std::string_view();
  };
  const auto prefix = Prefix::parse(cell(kPrefix));
  if (!prefix) return refuse("has no prefix: " + prefix.error().message);
  if (cell(kName).empty()) return refuse("has no name");
  std::optional<UnixMs> from;
  std::optional<UnixMs> until;
  if (!cell(kFrom).empty() && !(from = time_of(cell(kFrom)))) return refuse("has no such time (from)");
  if (!cell(kUntil).empty() && !(until = time_of(cell(kUntil)))) return refuse("has no such time (until)");
  if (from && until && *until <= *from) return refuse("ends before it begins");
  std::string mac = mac_of(cell(kMac));
  if (mac.empty() && !cell(kMac).empty()) return refuse("has no such MAC");

  const auto changes_at = [&](UnixMs at) {
    if (at > time.now && (!next_change_ || at < *next_change_)) next_change_ = at;
  };
  if (from) changes_at(*from);
  if (until) changes_at(*until);
  if (from && *from > time.now) return;
  const bool is_over = until && *until <= time.now;
  if (is_over == second_pass_) return;
  SeenAssignment seen;
  seen.prefix = *prefix;
  seen.kind = AssignmentKind::kStatic;
  seen.subscriber = cell(kName);
  seen.mac = mac;
  seen.host = cell(kHost);
  seen.id = cell(kId).empty() ? cell(kFrom) : cell(kId);
  seen.since = from;
  if (!is_over) seen.expires = until;
  if (is_over && !from) return;  // of a time that nobody names: there is nothing to log
  std::array<std::uint64_t, 3> words{0, 0, prefix->length()};
  std::memcpy(words.data(), prefix->lowest().bytes().data(), 16);
  if (!told_.insert(hash_.of_text(hash_(words), is_over ? seen.id : std::string_view())).second)
    return output.refused(
        is_over ? "a row of the list has the beginning and the id of one before that has its prefix"
                : "a row of the list holds while one before has its prefix",
        text);
  tell_seen(output, seen, is_over ? *from : std::max(from.value_or(UnixMs{}), time.written));
  if (is_over) tell_ended(output, seen.prefix, seen.id, *until);
}

}  // namespace natsession
