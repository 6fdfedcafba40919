#include <sys/socket.h>

#include <algorithm>

#include <catch2/catch.hpp>

#include "identity/sources/neighbour_source.h"
#include "identity_sources/text_story.h"
#include "routes/ip_command.h"

namespace natsession::testing {
namespace {

constexpr UnixMs kNow{std::chrono::seconds(1'796'068'000)};

struct Link {
  explicit Link(bool link_local = false) : source("neighbours", link_local) {
    ip("link add a0 type veth peer name b0");
    ip("link set a0 up addrgenmode none");
    ip("link set b0 up addrgenmode none");
    ip("addr add 10.9.0.1/24 dev a0");
    ip("addr add fd09::1/64 dev a0 nodad");
  }
  Story turn() {
    for (int i = 0; i < 100 && source.turn(kNow, story).count() == 0; ++i) {
    }
    Story told = story.take();
    // The number of the interface is the kernel's choice.
    for (std::string& line : told) {
      const std::size_t id = line.find(" id=");
      if (id != std::string::npos) line.erase(id, line.find(" at ") - id);
    }
    return told;
  }
  NeighbourSource source;
  IdentityStory story;
};

std::string seen(const std::string& address, int mac) {
  const std::string text = "02:00:00:00:00:0" + std::to_string(mac);
  return "seen " + address + " neighbour " + text + " mac=" + text + " at 1796068000";
}

}  // namespace

TEST_CASE("neighbours that are there are told whole, those of the link alone and the kernel's own not",
          "[identity][neighbours][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  Link link;
  ip("neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev a0 nud permanent");
  ip("neigh add fd09::2 lladdr 02:00:00:00:00:02 dev a0 nud stale");
  ip("neigh add fe80::7 lladdr 02:00:00:00:00:07 dev a0 nud stale");
  ip("neigh add 10.9.0.4 dev a0 nud failed");
  ip("neigh add proxy 10.9.0.9 dev a0");
  REQUIRE(link.source.open());
  Story told = link.turn();
  REQUIRE(told.size() == 5);
  CHECK(told.front() == "begin");
  CHECK(told.back() == "end 1796068000");
  std::sort(told.begin(), told.end());  // the kernel lists by hashes
  CHECK(Story(told.begin() + 2, told.end()) ==
        Story{"ended 10.9.0.4 at 1796068000", seen("10.9.0.2", 2), seen("fd09::2", 2)});
  NeighbourSource all("neighbours", true);
  REQUIRE(all.open());
  IdentityStory story;
  while (all.turn(kNow, story).count() == 0) {
  }
  CHECK(story.lines.size() == told.size() + 1);
}

TEST_CASE("a neighbour that comes, changes its hardware, fails and goes is followed",
          "[identity][neighbours][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  Link link;
  REQUIRE(link.source.open());
  CHECK(link.turn() == Story{"begin", "end 1796068000"});
  ip("neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev a0 nud reachable");
  ip("neigh replace 10.9.0.2 lladdr 02:00:00:00:00:03 dev a0 nud reachable");
  CHECK(link.turn() == Story{seen("10.9.0.2", 2), seen("10.9.0.2", 3)});
  ip("neigh del 10.9.0.2 dev a0");
  const Story gone = link.turn();
  REQUIRE_FALSE(gone.empty());
  CHECK(gone.back() == "ended 10.9.0.2 at 1796068000");
}

TEST_CASE("lost events make all neighbours be listed anew, and are told", "[identity][neighbours][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  Link link;
  REQUIRE(link.source.open());
  (void)link.turn();
  const int small = 1;
  REQUIRE(::setsockopt(link.source.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
  ip("neigh add fd09::2 lladdr 02:00:00:00:00:02 dev a0 nud permanent");
  for (int i = 0; i < 40; ++i)
    ip("neigh replace 10.9.0.2 lladdr 02:00:00:00:00:0" + std::to_string(i % 8) + " dev a0 nud permanent");
  const Story told = link.turn();
  const auto lost =
      std::find_if(told.begin(), told.end(), [](const auto& line) { return line.starts_with("lost "); });
  REQUIRE(lost != told.end());
  Story anew(lost + 1, told.end());
  std::sort(anew.begin(), anew.end());
  CHECK(anew == Story{"begin", "end 1796068000", seen("10.9.0.2", 7), seen("fd09::2", 2)});
}

}  // namespace natsession::testing
