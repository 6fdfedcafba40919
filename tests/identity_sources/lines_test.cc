#include <catch2/catch.hpp>

#include "identity/sources/lines_source.h"
#include "identity_sources/text_story.h"
#include "support/files.h"

namespace natsession::testing {
namespace {

constexpr UnixMs kLinesNow{std::chrono::seconds(1'796'068'000)};

Story told_of(std::string_view line) {
  ToldLines lines;
  IdentityStory story;
  story.tells_followed = true;
  lines.line(line, kLinesNow, story);
  return story.take();
}

}  // namespace

TEST_CASE("each event of a command's lines is told", "[identity][lines]") {
  IdentityStory story;
  story.tells_followed = true;
  ToldLines lines;
  std::string text = read_file(NATSESSION_FUZZ_CORPUS "/identity_lines/all_events");
  for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(rest.find('\n') + 1))
    lines.line(rest.substr(0, rest.find('\n')), kLinesNow, story);
  CHECK(story.take() ==
        Story{"seen 10.0.0.5 session chen mac=02:00:00:00:00:01 host=pc id=77 group=nas1 since=1796067501 "
              "expires=1796071101 at 1796067501.250",
              "ended 10.0.0.5 id=77 at 1796067600", "ended_group nas1 at 1796068000", "begin",
              "end 1796068000", "followed 1796067700", "lost restarted"});
  CHECK(lines.tells_followed());
}

TEST_CASE("a line needs a prefix and somebody, and no more", "[identity][lines]") {
  CHECK(told_of(R"({"prefix":"fd00::/64","subscriber":"a"})") ==
        Story{"seen fd00::/64 other a at 1796068000"});
  CHECK(told_of(R"({"prefix":"10.0.0.1","mac":"020000000001","at":9999999999})") ==
        Story{"seen 10.0.0.1 other 02:00:00:00:00:01 mac=02:00:00:00:00:01 at 1796068000"});
  CHECK(told_of("").empty());
}

TEST_CASE("what a command's line cannot mean is refused", "[identity][lines]") {
  for (const char* const line :
       {"x", "[]", "7", "{\"prefix\":\"10.0.0.1\"}", "{\"prefix\":\"10.0.0\",\"subscriber\":\"a\"}",
        "{\"event\":\"what\"}", "{\"event\":\"ended_group\"}", "{\"event\":\"end\",\"at\":\"x\"}",
        "{\"event\":\"end\",\"at\":-5}", "{\"event\":\"end\",\"at\":1e300}",
        "{\"prefix\":\"10.0.0.1\",\"subscriber\":\"a\",\"kind\":\"b\"}",
        "{\"prefix\":\"10.0.0.1\",\"subscriber\":\"a\",\"mac\":\"b\"}", "{\"event\":\"ended\"}"}) {
    const Story told = told_of(line);
    INFO(line);
    REQUIRE(told.size() == 1);
    CHECK(told[0].starts_with("refused a line "));
  }
  CHECK(told_of("{\"a\":" + std::string(50'000, '[') + std::string(50'000, ']') + "}").size() == 1);
}

TEST_CASE("a pipe's lines are told when they are whole, and its end is a loss", "[identity][lines]") {
  int ends[2] = {-1, -1};
  REQUIRE(::pipe(ends) == 0);
  UniqueFd write(ends[1]);
  LinesSource source("exec:test");
  CHECK(source.is_over());
  IdentityStory story;
  story.tells_followed = true;
  CHECK(source.turn(kLinesNow, story).count() > 0);
  source.follow(UniqueFd(ends[0]));
  const auto say = [&](std::string_view text) {
    REQUIRE(::write(write.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    (void)source.turn(kLinesNow, story);
    return story.take();
  };
  CHECK(say("{\"event\":\"be") == Story{"followed 1796068000"});
  CHECK(say("gin\"}\n{\"event\":\"followed\",\"at\":5}\n") == Story{"begin", "followed 5"});
  CHECK(say("{\"event\":\"begin\"}\n{") == Story{"begin"});
  CHECK(say(std::string(60'000, 'x')).empty());
  CHECK(say(std::string(10'000, 'x') + "\n{\"event\":\"begin\"}\n{").size() == 2);
  write.reset();
  (void)source.turn(kLinesNow, story);
  CHECK(story.take() == Story{"refused a line without an end: '{'", "lost exec:test: the command has ended"});
  CHECK(source.is_over());
}

}  // namespace natsession::testing
