#include "record/labels.h"

#include <vector>

#include <catch2/catch.hpp>

namespace natsession {
namespace {

TEST_CASE("equal texts are one label, which outlives the text that it came from", "[record][labels]") {
  std::string text = "vpc-a";
  const std::string_view first = *intern_label(text);
  const Origin* const origin = *intern_origin(text, "blue");
  text = "gone!";
  CHECK(first == "vpc-a");
  CHECK(intern_label("vpc-a")->data() == first.data());
  CHECK(origin->instance == "vpc-a");
  CHECK(*intern_origin("vpc-a", "blue") == origin);
  CHECK(*intern_origin("vpc-ab", "lue") != origin);
  CHECK(*intern_origin("vpc-a", "") != origin);
}

TEST_CASE("labels stay where they are while more come", "[record][labels]") {
  LabelTable table;
  std::vector<std::string_view> labels;
  for (int i = 0; i < 5000; ++i) labels.push_back(*table.intern("vpc-" + std::to_string(i)));
  for (int i = 0; i < 5000; ++i) CHECK(labels[static_cast<std::size_t>(i)] == "vpc-" + std::to_string(i));
}

TEST_CASE("a full table refuses what is new by its name, and still knows what it has", "[record][labels]") {
  LabelTable few(2);
  REQUIRE(few.intern("a"));
  REQUIRE(few.intern(""));
  const auto refused = few.intern("b");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::kUsage);
  CHECK_THAT(refused.error().message,
             Catch::Contains("the label 'b' is one too many: a process keeps 2 labels"));
  CHECK(*few.intern("a") == "a");
  REQUIRE(few.intern("gw-1", ""));
  REQUIRE(few.intern("gw-2", ""));
  CHECK_FALSE(few.intern("gw-3", ""));
  CHECK(few.intern("gw-2", ""));

  LabelTable small(1000, 10);
  REQUIRE(small.intern("123456"));
  CHECK_FALSE(small.intern("12345"));
  CHECK(small.intern("1234"));
  REQUIRE(small.intern("12345", "12345"));
  CHECK_FALSE(small.intern("1", ""));
}

}  // namespace
}  // namespace natsession
