#include "conntrack/network_check.h"

#include <linux/netfilter/nfnetlink_compat.h>
#include <linux/netlink.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>

#include "base/processes.h"
#include "conntrack/ruleset.h"

namespace natsession {
namespace {

using Level = Finding::Level;

constexpr std::string_view kBucketsSysctl = "net.netfilter.nf_conntrack_buckets";
// Each flow stands in two chains of the table; with a chain of so many on average, each packet's look-up
// costs several misses of the cache.
constexpr std::uint64_t kLongChain = 8;

std::optional<std::uint64_t> number_in(std::string_view text, int base = 10) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::uint64_t> sysctl_number(const char* name, std::string_view proc) {
  const auto text = read_sysctl(std::string("net.netfilter.nf_conntrack_") + name, proc);
  return text && *text ? number_in(**text) : std::nullopt;
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + text;
  return out;
}

// Legacy iptables has a table of its own, which nft does not see; nobody but it can read the rules in it.
bool has_legacy_nat(std::string_view proc) {
  for (const char* const name : {"/net/ip_tables_names", "/net/ip6_tables_names"}) {
    std::ifstream file(std::string(proc) + name);
    for (std::string table; std::getline(file, table);) {
      if (table == "nat") return true;
    }
  }
  return false;
}

Finding check_rules(const Ruleset& ruleset, const NetworkCheckInput& input) {
  const bool source = input.nat != NatSelection::kDnat;
  const bool destination = input.nat != NatSelection::kSnat;
  const std::size_t count =
      (source ? ruleset.source_rules : 0) + (destination ? ruleset.destination_rules : 0);
  const std::string kind = source && destination ? "NAT" : source ? "source NAT" : "destination NAT";
  Finding finding{
      "rules of " + kind, std::to_string(count) + " in nftables", "1 or more", Level::kOk, "", ""};
  if (count > 0) return finding;
  finding.value = "none in nftables";
  if (has_legacy_nat(input.proc)) {
    finding.level = Level::kUnknown;
    finding.value += "; those of legacy iptables were not looked at";
    return finding;
  }
  finding.level = Level::kWarning;
  finding.meaning =
      "what nothing translates is not logged; translation by tc, Open vSwitch or BPF was not looked at";
  const std::size_t other = ruleset.source_rules + ruleset.destination_rules;
  finding.remedy =
      other > 0 ? "natsessiond --nat any, which logs the " + std::to_string(other) + " others, too"
      : input.netns.empty() ? "a rule of NAT; or, where another network namespace translates, --netns NAME"
                            : "a rule of NAT in this network namespace";
  return finding;
}

Finding check_flowtables(const Ruleset& ruleset) {
  Finding finding{"flowtables without counter", "none", "none", Level::kOk, "", ""};
  if (ruleset.uncounted_flowtables.empty()) return finding;
  finding.level = Level::kWarning;
  finding.value = joined(ruleset.uncounted_flowtables);
  finding.meaning = "bytes and packets of offloaded flows stand still: records say less than was moved";
  finding.remedy = "add the line `counter` to the flowtable, in the file that nft loads its rules from";
  return finding;
}

Finding check_helpers(const Ruleset& ruleset, const NetworkCheckInput& input) {
  Finding finding{"conntrack helpers", "none assigned in nftables", "", Level::kOk, "", ""};
  if (ruleset.helpers.empty()) return finding;
  finding.value = joined(ruleset.helpers);
  if (input.nat != NatSelection::kSnat) return finding;
  finding.level = Level::kWarning;
  finding.meaning =
      "connections that come in by a helper, such as the data of active FTP, have their destination "
      "translated, "
      "and --nat snat does not log them";
  finding.remedy = "natsessiond --nat any";
  return finding;
}

// Sums of the columns over all processors, in the order of `names`; nullopt if there is no such file or
// column.
std::optional<std::vector<std::uint64_t>> sum_statistics(std::string_view proc,
                                                         const std::vector<std::string>& names) {
  std::ifstream file(std::string(proc) + "/net/stat/nf_conntrack");
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  const std::vector<std::string> head = words_of(line);
  std::vector<std::size_t> places;
  for (const std::string& name : names) {
    const auto found = std::find(head.begin(), head.end(), name);
    if (found == head.end()) return std::nullopt;
    places.push_back(static_cast<std::size_t>(found - head.begin()));
  }
  std::vector<std::uint64_t> sums(names.size());
  while (std::getline(file, line)) {
    const std::vector<std::string> words = words_of(line);
    for (std::size_t i = 0; i < places.size(); ++i) {
      const auto number = places[i] < words.size() ? number_in(words[places[i]], 16) : std::nullopt;
      if (!number) return std::nullopt;
      sums[i] += *number;
    }
  }
  return sums;
}

Finding check_drops(const NetworkCheckInput& input) {
  Finding finding{"connections that found no room in the table", "not known", "0", Level::kUnknown, "", ""};
  const auto sums = sum_statistics(input.proc, {"drop", "early_drop"});
  if (!sums) return finding;
  finding.level = Level::kOk;
  finding.value = std::to_string((*sums)[0]);
  if ((*sums)[1] > 0)
    finding.value += "; " + std::to_string((*sums)[1]) + " others were ended early to make room";
  if ((*sums)[0] + (*sums)[1] == 0) return finding;
  finding.level = Level::kWarning;
  finding.meaning =
      "since this network namespace began the table was too small for its load: these were dropped, or ended "
      "before their time, and so are their records";
  if (const auto max = sysctl_number("max", input.proc); max && *max != 0) {
    finding.remedy =
        sysctl_remedy("net.netfilter.nf_conntrack_max", std::to_string(*max * 2), input.netns, input.proc);
  }
  return finding;
}

Finding check_buckets(const NetworkCheckInput& input) {
  Finding finding{"conntrack buckets", "not known", "", Level::kUnknown, "", ""};
  const auto count = sysctl_number("count", input.proc);
  const auto buckets = sysctl_number("buckets", input.proc);
  if (!count || !buckets || *buckets == 0) return finding;
  finding.level = Level::kOk;
  finding.value = std::to_string(*buckets) + " for " + std::to_string(*count) + " flows";
  const std::uint64_t wanted = std::bit_ceil(*count);
  if (*count / *buckets < kLongChain / 2) return finding;
  finding.level = Level::kWarning;
  finding.wanted = std::to_string(wanted) + " or more";
  finding.meaning =
      "long chains: each packet and each dump of the table takes longer than it need, and events come later";
  finding.remedy = sysctl_remedy(kBucketsSysctl, std::to_string(wanted), input.netns, input.proc);
  return finding;
}

// Who else hears of ends, by /proc/net/netlink: "sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode".
Finding check_listeners(const NetworkCheckInput& input) {
  Finding finding{"other listeners for ends of flows", "not known", "none", Level::kUnknown, "", ""};
  std::ifstream file(std::string(input.proc) + "/net/netlink");
  std::string line;
  if (!std::getline(file, line)) return finding;
  std::vector<std::string> own;
  std::vector<std::string> others;
  while (std::getline(file, line)) {
    const std::vector<std::string> words = words_of(line);
    if (words.size() < 10 || words[1] != std::to_string(NETLINK_NETFILTER)) continue;
    const auto groups = number_in(words[3], 16);
    const auto inode = number_in(words[9]);
    if (!groups || !inode || (*groups & NF_NETLINK_CONNTRACK_DESTROY) == 0) continue;
    const auto owner = owner_of_socket(*inode);
    std::vector<std::string>& told = owner && owner->is_daemon() ? own : others;
    const std::string text = owner.value_or(ProcessName()).text();
    if (std::find(told.begin(), told.end(), text) == told.end()) told.push_back(text);
  }
  finding.level = Level::kOk;
  finding.value = own.empty() && others.empty() ? "none" : joined(own);
  if (others.empty()) return finding;
  finding.value += (own.empty() ? "" : ", ") + joined(others);
  if (!input.reliable) return finding;
  finding.level = Level::kWarning;
  finding.meaning =
      "in reliable mode the kernel sends an end again, to all listeners, when one of them had no room: this "
      "one may "
      "count such ends twice, and one that asks for that mode itself has them sent to natsessiond again";
  finding.remedy = "end what listens, or natsessiond --reliable off, which loses what does not fit";
  return finding;
}

}  // namespace

std::vector<Finding> check_network(const NetworkCheckInput& input) {
  std::vector<Finding> findings;
  if (input.ruleset) {
    const Ruleset ruleset = Ruleset::read(*input.ruleset);
    findings.push_back(check_rules(ruleset, input));
    findings.push_back(check_flowtables(ruleset));
    findings.push_back(check_helpers(ruleset, input));
  } else {
    findings.push_back({"rules of NAT, flowtables, helpers",
                        "not looked at: " + input.ruleset.error().message, "", Level::kUnknown, "", ""});
  }
  findings.push_back(check_drops(input));
  findings.push_back(check_buckets(input));
  findings.push_back(check_listeners(input));
  return findings;
}

}  // namespace natsession
