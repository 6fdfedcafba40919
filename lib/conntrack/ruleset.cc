#include "conntrack/ruleset.h"

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "base/quoted_words.h"

namespace natsession {
namespace {

constexpr int kNotFound = 127;  // as the shell has it

template <std::size_t kCount>
bool is_one_of(std::string_view word, const std::array<std::string_view, kCount>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// The statements of one rule. "jump snat" is none, nor is "ct status snat".
class Rule {
 public:
  explicit Rule(std::vector<std::string_view> words) : words_(std::move(words)) {}

  void add_to(Ruleset& ruleset) const {
    static constexpr std::array<std::string_view, 3> kSource{"\"MASQUERADE", "\"SNAT", "\"NETMAP"};
    static constexpr std::array<std::string_view, 2> kDestination{"\"DNAT", "\"REDIRECT"};
    for (std::size_t i = 0; i < words_.size(); ++i) {
      const std::string_view word = words_[i];
      if (at(i, -1) == "jump" || at(i, -1) == "goto" || at(i, -1) == "status") continue;
      if (word == "masquerade" || (word == "snat" && translates(i))) ++ruleset.source_rules;
      if (word == "redirect" || (word == "dnat" && translates(i))) ++ruleset.destination_rules;
      if (word == "helper" && at(i, -1) == "ct" && at(i, 1) == "set")
        ruleset.helpers.emplace_back(name_at(i + 2));
      if (word != "target" || at(i, -1) != "xt") continue;
      if (is_one_of(at(i, 1), kSource)) ++ruleset.source_rules;
      if (is_one_of(at(i, 1), kDestination)) ++ruleset.destination_rules;
      if (at(i, 1) == "\"CT") ruleset.helpers.emplace_back("CT");
    }
  }

 private:
  [[nodiscard]] std::string_view at(std::size_t place, int step) const {
    const std::size_t index = place + static_cast<std::size_t>(step);  // before the first it is beyond all
    return index < words_.size() ? words_[index] : std::string_view();
  }
  [[nodiscard]] bool translates(std::size_t place) const {
    static constexpr std::array<std::string_view, 5> kNext{"to", "ip", "ip6", "prefix", "numgen"};
    return is_one_of(at(place, 1), kNext);
  }
  [[nodiscard]] std::string_view name_at(std::size_t place) const {
    const std::string_view name = at(place, 0);
    return name.starts_with('"') ? name.substr(1) : name;
  }

  std::vector<std::string_view> words_;
};

}  // namespace

Ruleset Ruleset::read(std::string_view text) {
  Ruleset ruleset;
  std::string table;
  std::string flowtable;  // the one that the line is in; empty: none
  bool counted = false;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::vector<std::string_view> words = quoted_words(line);
    if (words.empty()) continue;
    if (words.front() == "table" && words.size() >= 3) {
      table = std::string(words[1]) + " " + std::string(words[2]);
    } else if (words.front() == "flowtable" && words.size() >= 2) {
      flowtable = table + " " + std::string(words[1]);
      counted = false;
    } else if (!flowtable.empty()) {
      counted |= words.front() == "counter";
      if (words.back() != "}" || words.size() > 1) continue;
      if (counted) {
        ++ruleset.counted_flowtables;
      } else {
        ruleset.uncounted_flowtables.push_back(flowtable);
      }
      flowtable.clear();
    } else if (words.back() != "{") {
      Rule(words).add_to(ruleset);
    }
  }
  std::sort(ruleset.helpers.begin(), ruleset.helpers.end());
  ruleset.helpers.erase(std::unique(ruleset.helpers.begin(), ruleset.helpers.end()), ruleset.helpers.end());
  return ruleset;
}

Result<std::string> list_ruleset() {
  // Without the contents of sets, which may be large.
  std::FILE* const pipe = ::popen("PATH=\"$PATH:/usr/sbin:/sbin\" nft -s -t list ruleset 2>&1", "re");
  if (pipe == nullptr) return system_error("nft", errno, ErrorKind::kUnavailable);
  std::string text;
  std::array<char, 16'384> part;
  for (std::size_t count = 0; (count = std::fread(part.data(), 1, part.size(), pipe)) > 0;)
    text.append(part.data(), count);
  const int status = ::pclose(pipe);
  if (status == 0) return text;
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotFound)
    return Error{ErrorKind::kUnavailable, "there is no command nft here"};
  return Error{ErrorKind::kUnavailable, "nft list ruleset: " + text.substr(0, text.find('\n'))};
}

}  // namespace natsession
