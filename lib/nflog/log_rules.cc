#include "nflog/log_rules.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <optional>

#include "base/quoted_words.h"

namespace natsession {
namespace {

using Words = std::vector<std::string_view>;

// The groups that rules log to, one for each rule, and whether there was one that does not tell its own.
struct Found {
  std::vector<std::uint16_t> groups;
  bool hidden = false;
};

std::optional<std::uint16_t> group_in(std::string_view word) {
  std::uint16_t group = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), group);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return group;
}

template <typename Visit>
void for_each_line(std::string_view text, Visit&& visit) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    visit(line);
  }
}

// log [prefix "…"] [level …] group N [snaplen N] [queue-threshold N], in any order: what stands behind
// "group", behind "log", before another statement could use that word.
void read_nft_rule(const Words& words, Found& found) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    // What iptables-nft cannot say in nft's words is shown by its name alone.
    if (words[i] == "xt" && i + 2 < words.size() && words[i + 1] == "target" && words[i + 2] == "\"NFLOG")
      found.hidden = true;
    // "jump log" is a chain's name.
    if (words[i] != "log" || (i > 0 && (words[i - 1] == "jump" || words[i - 1] == "goto"))) continue;
    for (std::size_t option = i + 1; option + 1 < words.size(); option += 2) {
      if (words[option] == "group") {
        if (const auto group = group_in(words[option + 1])) {
          found.groups.push_back(*group);
        } else {
          found.hidden = true;
        }
      } else if (words[option] != "prefix" && words[option] != "snaplen" &&
                 words[option] != "queue-threshold" && words[option] != "level" && words[option] != "flags") {
        break;
      }
    }
  }
}

void read_legacy_rule(const Words& words, Found& found) {
  if (words.empty() || words.front() != "-A") return;
  bool logs = false;
  std::uint16_t group = 0;  // where the rule names none
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    logs |= (words[i] == "-j" || words[i] == "--jump") && words[i + 1] == "NFLOG";
    if (words[i] == "--nflog-group") group = group_in(words[i + 1]).value_or(0);
  }
  if (logs) found.groups.push_back(group);
}

// What a program prints.
// Errors: kUnavailable if it is not there, or fails.
Result<std::string> output_of(const std::string& program) {
  std::FILE* const pipe =
      ::popen(("PATH=\"$PATH:/usr/sbin:/sbin\" " + program + " 2>/dev/null").c_str(), "re");
  if (pipe == nullptr) return system_error(program, errno, ErrorKind::kUnavailable);
  std::string text;
  std::array<char, 16'384> part;
  for (std::size_t count = 0; (count = std::fread(part.data(), 1, part.size(), pipe)) > 0;)
    text.append(part.data(), count);
  if (::pclose(pipe) == 0) return text;
  return Error{ErrorKind::kUnavailable, program + " is not there, or failed"};
}

bool has_tables(const char* names) {
  std::ifstream file(names);
  std::string table;
  return static_cast<bool>(std::getline(file, table));
}

}  // namespace

std::vector<LogRules> find_log_rules(std::span<const std::uint16_t> groups, const Result<std::string>& nft,
                                     const Result<std::string>& legacy) {
  Found found;
  found.hidden = !nft || !legacy;
  if (nft) for_each_line(*nft, [&](std::string_view line) { read_nft_rule(quoted_words(line), found); });
  if (legacy) {
    for_each_line(*legacy, [&](std::string_view line) {
      read_legacy_rule(quoted_words(line, Escapes::kBackslash), found);
    });
  }
  std::vector<LogRules> all;
  for (const std::uint16_t group : groups) {
    const auto rules = static_cast<std::size_t>(std::count(found.groups.begin(), found.groups.end(), group));
    all.push_back({group,
                   rules > 0      ? LogRules::Seen::kRule
                   : found.hidden ? LogRules::Seen::kUnknown
                                  : LogRules::Seen::kNone,
                   rules});
  }
  return all;
}

Result<std::string> list_legacy_rules() {
  std::string text;
  struct Family {
    const char* names;
    const char* legacy;
    const char* usual;
  };
  for (const Family& family :
       {Family{"/proc/thread-self/net/ip_tables_names", "iptables-legacy-save", "iptables-save"},
        Family{"/proc/thread-self/net/ip6_tables_names", "ip6tables-legacy-save", "ip6tables-save"}}) {
    if (!has_tables(family.names)) continue;
    auto listed = output_of(family.legacy);
    // Where the program of that name is not there, the other one is legacy's own, or shows what nft shows
    // too.
    if (!listed) listed = output_of(family.usual);
    if (!listed) return listed;
    text += *listed;
  }
  return text;
}

}  // namespace natsession
