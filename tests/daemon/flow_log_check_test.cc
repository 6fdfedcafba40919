#include "flow_log_check.h"

#include <catch2/catch.hpp>

namespace natsession {
namespace {

FlowLogConfig flow_log(const std::string& more) {
  const auto log =
      FlowLogConfig::parse("{name = \"edge\", record = \"aws\", destination = \"stdout\", " + more + "}");
  REQUIRE(log);
  return *log;
}

struct Box {
  Result<std::string> nft = std::string();
  Result<std::string> legacy = std::string();
  Result<std::vector<std::string>> interfaces = std::vector<std::string>{"lo", "eth1"};
  std::vector<std::string> owners = {};
  bool by_more = false;
  Config config = {};

  explicit Box(const std::string& log) { config.flow_logs.push_back(flow_log(log)); }

  // "level name = value", one a line.
  [[nodiscard]] std::string findings() const {
    std::string text;
    for (const Finding& finding : found()) {
      text += (text.empty() ? "" : "\n") +
              std::string(finding.level == Finding::Level::kOk        ? "ok "
                          : finding.level == Finding::Level::kUnknown ? "unknown "
                          : finding.level == Finding::Level::kWarning ? "warning "
                                                                      : "failure ") +
              finding.name + " = " + finding.value;
    }
    return text;
  }
  [[nodiscard]] std::vector<Finding> found() const {
    return check_flow_logs(config, {.nft = nft,
                                    .legacy = legacy,
                                    .owners = owners,
                                    .interfaces = interfaces,
                                    .routes_by_more = by_more});
  }
};

const std::string kAllOfEth1 = R"(resource = "eth1")";

}  // namespace

TEST_CASE("an interface that a flow log names and that is not there is a warning", "[daemon][flow]") {
  Box box(kAllOfEth1);
  CHECK(box.findings() == "ok flow log edge = interface eth1");
  box.interfaces = std::vector<std::string>{"lo", "eth10"};
  CHECK(box.findings() == "warning flow log edge = there is no interface eth1");
  box.interfaces = Error{ErrorKind::kIo, "no list"};
  CHECK(box.findings() == "unknown flow log edge = no list");
  CHECK(Box(R"(resource = "10.0.0.0/8")").findings().empty());
}

TEST_CASE("a group of refused packets needs a rule, and no other reader", "[daemon][flow]") {
  Box box(kAllOfEth1 + R"(, traffic = "reject")");
  box.config.reject_groups = {100, 7};
  box.nft =
      std::string("table inet f {\n chain c {\n  counter packets 0 bytes 0 log group 100 drop\n }\n}\n");
  const std::string interface = "ok flow log edge = interface eth1\n";
  CHECK(box.findings() ==
        interface + "ok NFLOG group 100 = 1 rule logs to it\nwarning NFLOG group 7 = no rule logs to it");
  CHECK(box.found().back().remedy ==
        "nft: in place of drop, and at the end of a chain whose policy is drop: counter log group 7 drop\n"
        "iptables, ip6tables: before each -j DROP the same rule with -j NFLOG --nflog-group 7 "
        "--nflog-threshold 100");
  box.legacy = Error{ErrorKind::kUnavailable, "no iptables-save"};
  CHECK(box.findings() == interface +
                              "ok NFLOG group 100 = 1 rule logs to it\nunknown NFLOG group 7 = no rule that "
                              "could be read logs to it");
  box.legacy = std::string("-A FORWARD -j NFLOG --nflog-group 7\n-A INPUT -j NFLOG --nflog-group 7\n");
  box.owners = {"ulogd, process 4711", "natsessiond, process 12"};
  CHECK(box.findings() ==
        interface +
            "failure NFLOG group 100 = held by ulogd, process 4711\nok NFLOG group 7 = 2 rules log "
            "to it");
}

TEST_CASE("groups are looked at only where a flow log wants refused packets", "[daemon][flow]") {
  Box box(kAllOfEth1 + R"(, traffic = "accept")");
  box.config.reject_groups = {100};
  CHECK(box.findings() == "ok flow log edge = interface eth1");
  Box off(kAllOfEth1 + R"(, state = "off")");
  off.config.reject_groups = {100};
  off.by_more = true;
  CHECK(off.findings().empty());
}

TEST_CASE("rules that choose routes by what cannot be asked ask for interface=", "[daemon][flow]") {
  Box box(R"(resource = "nat")");
  CHECK(box.findings().empty());
  box.by_more = true;
  CHECK(box.findings() == "warning routes = rules choose them by port, protocol, TOS or user");
  CHECK(box.found().front().remedy.starts_with("interface = [\"eth1="));
  box.config.interface_rules.push_back({"eth1", *Prefix::parse("10.0.0.0/8")});
  CHECK(box.findings() == "ok routes = rules choose them by port, protocol, TOS or user");
}

}  // namespace natsession
