#include "session/state_file.h"

#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

#include "support/temp_dir.h"
#include "support/tracker_fixture.h"

namespace natsession {
namespace {

using namespace testing;  // NOLINT: a test's language

std::string read_text(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

void write_text(const std::string& path, std::string_view text) {
  std::ofstream(path) << text;
}

// A tracker that stopped with two open sessions, one of them reported.
std::string stopped_state(const TempDir& dir) {
  TrackerFixture f;
  const Flow v4 = flow().zone(3).mark(9).stamped(at_ms(999'000)).traffic({5, 500}, {4, 4000});
  f.event(v4.created());
  f.stop(1'005'000, {v4.dumped()});
  f.event(flow().from("fd00::2", 1).to("2001:db8::7", 2).nat("2001:db8:1::1", 3).created());
  const std::string path = dir.file("state");
  REQUIRE(write_state_file(path, "boot", ms(1'005'001), f.tracker));
  return path;
}

TEST_CASE("the state file gives back what was written, and under another boot nothing", "[session][state]") {
  const TempDir dir;
  const std::string path = stopped_state(dir);
  const auto state = read_state_file(path, "boot");
  REQUIRE(state);
  REQUIRE(state->has_value());
  CHECK((*state)->stopped == ms(1'005'001));
  REQUIRE((*state)->sessions.size() == 2);

  TrackerFixture again;
  for (const auto& saved : (*state)->sessions) again.tracker.restore(saved);
  REQUIRE(write_state_file(dir.file("again"), "boot", ms(1'005'001), again.tracker));
  CHECK(read_text(dir.file("again")) == read_text(path));

  const auto elsewhere = read_state_file(path, "another boot");
  REQUIRE(elsewhere);
  CHECK_FALSE(elsewhere->has_value());
}

TEST_CASE("no state file is no error", "[session][state]") {
  const TempDir dir;
  const auto state = read_state_file(dir.file("none"), "boot");
  REQUIRE(state);
  CHECK_FALSE(state->has_value());
}

TEST_CASE("a state file that is cut anywhere is refused whole", "[session][state]") {
  const TempDir dir;
  const std::string whole = read_text(stopped_state(dir));
  const std::string path = dir.file("cut");
  for (std::size_t length = 0; length + 1 < whole.size(); ++length) {
    write_text(path, whole.substr(0, length));
    const auto state = read_state_file(path, "boot");
    INFO(length);
    if (state) CHECK_FALSE(state->has_value());  // cut within the boot id: it is another one
  }
}

TEST_CASE("a state file with a damaged line is refused, naming the line", "[session][state]") {
  const TempDir dir;
  std::string text = read_text(stopped_state(dir));
  text.replace(text.find("10.0.0.2"), 8, "10.0.0.x");
  const std::string path = dir.file("damaged");
  write_text(path, text);
  const auto state = read_state_file(path, "boot");
  REQUIRE_FALSE(state);
  CHECK(state.error().kind == ErrorKind::kMalformed);
  CHECK(state.error().message.find("line 2") != std::string::npos);
}

TEST_CASE("a state file that cannot be written leaves nothing behind and says where", "[session][state]") {
  TrackerFixture f;
  const auto written = write_state_file("/nonexistent/state", "boot", ms(1), f.tracker);
  REQUIRE_FALSE(written);
  CHECK(written.error().message.find("/nonexistent/state") != std::string::npos);
}

}  // namespace
}  // namespace natsession
