#include "identity/source_url.h"

#include <catch2/catch.hpp>

#include "support/manual_clock.h"

namespace natsession::testing {
namespace {

std::string error_of(std::string_view text) {
  const auto url = IdentityUrl::parse(text);
  return url ? "" : url.error().message;
}

}  // namespace

TEST_CASE("each kind of source is made of its URL, and called as the URL is without options",
          "[identity][url]") {
  const ManualClock clock{UnixNs{}};
  for (const std::string text : {"dnsmasq:/a", "kea:/a", "dhcpd:/a", "csv:/a", "radius-detail:/a", "networkd",
                                 "neighbours", "radius://127.0.0.1:1813", "radius://[::1]", "exec:cat /a"}) {
    INFO(text);
    const std::string url = text + (text.starts_with("radius:") ? "?secret=/s" : "");
    auto source = make_identity_source(url, clock);
    REQUIRE(source);
    CHECK((*source)->name() == text);
    const auto parsed = IdentityUrl::parse(url);
    REQUIRE(parsed);
    CHECK(parsed->command().has_value() == text.starts_with("exec:"));
  }
  // Each kind that is told of has been made.
  CHECK(identity_kinds().size() == 9);
}

TEST_CASE("sources of two network namespaces have two names", "[identity][url]") {
  const auto url = IdentityUrl::parse("neighbours?link_local=on&netns=lan");
  REQUIRE(url);
  CHECK(url->netns == "lan");
  CHECK(url->name() == "neighbours?netns=lan");
}

TEST_CASE("a URL that is none of a source says what would do", "[identity][url]") {
  CHECK(error_of("leases:/a") ==
        "identity 'leases:/a': there is no source 'leases': dnsmasq:PATH, kea:PATH, dhcpd:PATH, networkd, "
        "neighbours, "
        "radius://ADDRESS:PORT, radius-detail:PATH, csv:PATH or exec:COMMAND");
  CHECK(error_of("dnsmasq:") == "identity 'dnsmasq:': write dnsmasq:PATH");
  CHECK(error_of("dnsmasq:a") == "identity 'dnsmasq:a': 'a' is not a path from / on");
  CHECK(error_of("neighbours:eth0") ==
        "identity 'neighbours:eth0': 'eth0': neighbours takes no path or address");
  CHECK(error_of("kea:/a?secret=/b") ==
        "identity 'kea:/a?secret=/b': unknown option 'secret': kea has netns");
  CHECK(error_of("kea:/a?netns=../x").find("is not the name of a network namespace") != std::string::npos);
  CHECK(error_of("kea:/a?netns=x&netns=y").find("netns: is given twice") != std::string::npos);
  CHECK(error_of("kea:/%zz").find("write %25") != std::string::npos);
  CHECK(error_of("neighbours?link_local=yes").find("is neither on nor off") != std::string::npos);
  CHECK(error_of("radius://127.0.0.1").find("needs secret=FILE or secrets=FILE") != std::string::npos);
  CHECK(error_of("radius:127.0.0.1?secret=/s").find("write radius://ADDRESS") != std::string::npos);
  CHECK(error_of("radius://radius.example?secret=/s").find("is not an address of this machine") !=
        std::string::npos);
  CHECK(error_of("radius://127.0.0.1:0?secret=/s").find("is not a port") != std::string::npos);
}

TEST_CASE("the help has each kind and each option", "[identity][url]") {
  const std::string help = identity_help();
  for (const IdentityKind& kind : identity_kinds()) {
    CHECK(help.find(kind.usage) != std::string::npos);
    for (const IdentityOption& option : kind.options)
      CHECK(help.find(std::string(option.key) + "=" + std::string(option.value_name)) != std::string::npos);
  }
}

}  // namespace natsession::testing
