#include "conntrack/network_check.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

#include "conntrack/ruleset.h"
#include "support/temp_dir.h"

namespace natsession::testing {
namespace {

// As nft 1.0.6 and later print it (src/rule.c of nftables: flowtable_print(), obj_print()).
constexpr std::string_view kRules = R"(table ip nat {
	map translated {
		type ipv4_addr : ipv4_addr
	}

	chain snat {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "outer" masquerade
		ip saddr 10.0.0.0/8 snat to 203.0.113.7-203.0.113.9 comment "dnat to nowhere"
		ip6 saddr fd00::/8 snat ip6 prefix to 2001:db8::/64
		ct status snat accept
		ct status dnat counter jump masquerade
		goto snat
	}
	chain PREROUTING {
		tcp dport 8080 dnat to 10.0.0.2:80
		tcp dport 80 redirect to :8080
		meta l4proto tcp counter xt target "DNAT"
		counter xt target "MASQUERADE"
	}
}
table inet filter {
	flowtable fast {
		hook ingress priority filter
		devices = { eth0, eth1 }
	}
	flowtable counted {
		hook ingress priority filter
		devices = { eth2 }
		counter
	}
	ct helper ftp-standard {
		type "ftp" protocol tcp
		l3proto inet
	}
	chain raw {
		tcp dport 21 ct helper set "ftp-standard"
		tcp dport 2121 ct helper set "ftp-standard"
		ct helper "ftp" accept
	}
}
)";

// A /proc of a namespace in which all is well.
class NetworkProc {
 public:
  NetworkProc() {
    for (const auto& [name, value] : {std::pair{"count", "10"}, {"max", "1000"}, {"buckets", "1000"}})
      sysctl(name, value);
    statistics("0", "0");
    netlink("");
  }
  void sysctl(const std::string& name, const std::string& value) const {
    write("sys/net/netfilter/nf_conntrack_" + name, value + "\n");
  }
  void statistics(const std::string& drop, const std::string& early_drop) const {
    write("net/stat/nf_conntrack", "entries  drop early_drop icmp_error\n0000000a  " + drop + " " +
                                       early_drop + " 0\n" + "0000000a  00000001 00000000 0\n");
  }
  void netlink(const std::string& line) const {
    write(
        "net/netlink",
        "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n" + line);
  }
  void write(const std::string& name, const std::string& text) const {
    const auto path = directory_.path() / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  [[nodiscard]] std::string root() const { return directory_.path().string(); }

 private:
  TempDir directory_;
};

Finding look(const NetworkProc& proc, const std::string& name,
             Result<std::string> rules = std::string(kRules), NatSelection nat = NatSelection::kSnat,
             bool reliable = true) {
  const std::string root = proc.root();
  const auto findings = check_network(
      {.ruleset = std::move(rules), .nat = nat, .reliable = reliable, .netns = "nat-box", .proc = root});
  const auto found =
      std::find_if(findings.begin(), findings.end(), [&](const Finding& f) { return f.name == name; });
  REQUIRE(found != findings.end());
  return *found;
}

TEST_CASE("a ruleset's statements are told from names, comments and matches", "[conntrack][check]") {
  const Ruleset ruleset = Ruleset::read(kRules);
  CHECK(ruleset.source_rules == 4);
  CHECK(ruleset.destination_rules == 3);
  CHECK(ruleset.uncounted_flowtables == std::vector<std::string>{"inet filter fast"});
  CHECK(ruleset.counted_flowtables == 1);
  CHECK(ruleset.helpers == std::vector<std::string>{"ftp-standard"});
  CHECK(Ruleset::read("table inet x {\n\tflowtable f {").uncounted_flowtables.empty());
  CHECK(Ruleset::read("").source_rules == 0);
}

TEST_CASE("network check warns where nothing translates what is logged", "[conntrack][check]") {
  const NetworkProc proc;
  const std::string only_dnat = "table ip nat {\n\tchain c {\n\t\ttcp dport 80 dnat to 10.0.0.2\n\t}\n}\n";
  CHECK(look(proc, "rules of source NAT").level == Finding::Level::kOk);
  const Finding none = look(proc, "rules of source NAT", only_dnat);
  CHECK(none.level == Finding::Level::kWarning);
  CHECK_THAT(none.remedy, Catch::Contains("--nat any"));
  CHECK(look(proc, "rules of NAT", only_dnat, NatSelection::kAny).level == Finding::Level::kOk);
  CHECK(look(proc, "rules of destination NAT", only_dnat, NatSelection::kDnat).level == Finding::Level::kOk);
  proc.write("net/ip_tables_names", "filter\nnat\n");
  const Finding legacy = look(proc, "rules of source NAT", only_dnat);
  CHECK(legacy.level == Finding::Level::kUnknown);
  CHECK_THAT(legacy.value, Catch::Contains("legacy iptables were not looked at"));
}

TEST_CASE("network check claims nothing of rules that it did not see", "[conntrack][check]") {
  const NetworkProc proc;
  const Finding finding =
      look(proc, "rules of NAT, flowtables, helpers", Error{ErrorKind::kUnavailable, "no nft"});
  CHECK(finding.level == Finding::Level::kUnknown);
  CHECK(finding.value == "not looked at: no nft");
}

TEST_CASE("network check warns of flowtables without counter, and of helpers", "[conntrack][check]") {
  const NetworkProc proc;
  const Finding flowtables = look(proc, "flowtables without counter");
  CHECK(flowtables.level == Finding::Level::kWarning);
  CHECK(flowtables.value == "inet filter fast");
  const Finding helpers = look(proc, "conntrack helpers");
  CHECK(helpers.level == Finding::Level::kWarning);
  CHECK(helpers.value == "ftp-standard");
  CHECK(look(proc, "conntrack helpers", std::string(kRules), NatSelection::kAny).level ==
        Finding::Level::kOk);
  CHECK(look(proc, "conntrack helpers", std::string()).level == Finding::Level::kOk);
  CHECK(look(proc, "flowtables without counter", std::string()).level == Finding::Level::kOk);
}

TEST_CASE("network check warns of a table that was too small", "[conntrack][check]") {
  const NetworkProc proc;
  const std::string name = "connections that found no room in the table";
  const Finding dropped = look(proc, name);  // by the second processor
  CHECK(dropped.level == Finding::Level::kWarning);
  CHECK(dropped.value == "1");
  CHECK(dropped.remedy == "ip netns exec nat-box sysctl -w net.netfilter.nf_conntrack_max=2000");
  proc.statistics("0000000f", "00000010");
  CHECK(look(proc, name).value == "16; 16 others were ended early to make room");
  proc.write("net/stat/nf_conntrack", "entries  drop early_drop\n0000000a  0 0\n");
  CHECK(look(proc, name).level == Finding::Level::kOk);
  proc.write("net/stat/nf_conntrack", "entries\n0000000a\n");
  CHECK(look(proc, name).level == Finding::Level::kUnknown);
}

TEST_CASE("network check warns of too few buckets", "[conntrack][check]") {
  const NetworkProc proc;
  CHECK(look(proc, "conntrack buckets").level == Finding::Level::kOk);
  proc.sysctl("count", "4000");
  const Finding finding = look(proc, "conntrack buckets");
  CHECK(finding.level == Finding::Level::kWarning);
  CHECK(finding.value == "1000 for 4000 flows");
  CHECK(finding.remedy == "ip netns exec nat-box sysctl -w net.netfilter.nf_conntrack_buckets=4096");
  proc.sysctl("count", "3999");
  CHECK(look(proc, "conntrack buckets").level == Finding::Level::kOk);
}

TEST_CASE("network check warns of other listeners for ends, in reliable mode", "[conntrack][check]") {
  const NetworkProc proc;
  const std::string name = "other listeners for ends of flows";
  CHECK(look(proc, name).value == "none");
  proc.netlink(
      "0000000000000001 12  4711       00000003 0 0 0 2 0 18446744073709551615\n"
      "0000000000000001 16  4711       00000007 0 0 0 2 0 18446744073709551615\n");
  CHECK(look(proc, name).level == Finding::Level::kOk);
  proc.netlink("0000000000000001 12  4711       00000004 0 0 0 2 0 18446744073709551615\n");
  CHECK(look(proc, name).level == Finding::Level::kWarning);
  CHECK(look(proc, name).value == "another process");
  CHECK(look(proc, name, std::string(kRules), NatSelection::kSnat, /*reliable=*/false).level ==
        Finding::Level::kOk);
}

}  // namespace
}  // namespace natsession::testing
