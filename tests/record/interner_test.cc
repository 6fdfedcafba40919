#include "record/interner.h"

#include <vector>

#include <catch2/catch.hpp>

namespace natsession {
namespace {

TEST_CASE("equal texts get the same view, which outlives the text it came from", "[record][interner]") {
  Interner interner;
  std::string text = "vpc-a";
  const std::string_view first = *interner.intern(text);
  text = "gone!";
  CHECK(first == "vpc-a");
  CHECK(interner.intern("vpc-a")->data() == first.data());
  CHECK(interner.size() == 1);
}

TEST_CASE("views stay where they are while more texts come", "[record][interner]") {
  Interner interner;
  std::vector<std::string_view> views;
  for (int i = 0; i < 5000; ++i) views.push_back(*interner.intern("vpc-" + std::to_string(i)));
  for (int i = 0; i < 5000; ++i) CHECK(views[static_cast<std::size_t>(i)] == "vpc-" + std::to_string(i));
}

TEST_CASE("a full interner refuses what is new and still knows what it has", "[record][interner]") {
  Interner interner(2);
  REQUIRE(interner.intern("a"));
  REQUIRE(interner.intern(""));
  const auto refused = interner.intern("b");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::kUsage);
  CHECK_THAT(refused.error().message, Catch::Contains("'b' is one text too many: 2 different ones"));
  CHECK(*interner.intern("a") == "a");
  CHECK(interner.size() == 2);
}

TEST_CASE("a text longer than the limit is refused", "[record][interner]") {
  Interner interner;
  CHECK(interner.intern(std::string(Interner::kMaxTextLength, 'x')));
  const auto refused = interner.intern(std::string(Interner::kMaxTextLength + 1, 'x'));
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message, Catch::Contains("256 bytes, and at most 255"));
  CHECK(interner.size() == 1);
}

}  // namespace
}  // namespace natsession
