#include "api/row_counter.h"

#include <catch2/catch.hpp>

namespace natsession::console {
namespace {

using Form = RowCounter::Form;

std::uint64_t rows_of(RowCounter counter, std::string_view text, std::size_t piece) {
  for (std::size_t at = 0; at < text.size(); at += piece) counter.add(text.substr(at, piece));
  return counter.rows();
}

TEST_CASE("rows of an answer in JSON are counted however it is cut", "[console][rows]") {
  constexpr std::string_view kAnswer =
      R"({"from": "rows", "other": [{"a": 1}], "rows": [{"a": "x\"]}{"}, {"b": [{"c": 1}]}, {}], "gaps": [{}]})";
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, kAnswer.size()})
    CHECK(rows_of(RowCounter(Form::kMember, "rows"), kAnswer, piece) == 3);
  CHECK(rows_of(RowCounter(Form::kMember, "gaps"), kAnswer, 5) == 1);
  CHECK(rows_of(RowCounter(Form::kMember, "none"), kAnswer, 5) == 0);
}

TEST_CASE("a list is counted by its own elements", "[console][rows]") {
  CHECK(rows_of(RowCounter(Form::kList), R"([ {"a": [{}, {}]}, {"b": "]"} ])", 3) == 2);
  CHECK(rows_of(RowCounter(Form::kList), "[]", 1) == 0);
  CHECK(rows_of(RowCounter(Form::kList, "rows"), R"([{}, {}])", 3) == 2);  // as routes name it
}

TEST_CASE("lines are counted, those of CSV without the titles and with breaks inside of quotes",
          "[console][rows]") {
  CHECK(rows_of(RowCounter(Form::kLines), "{}\n{}\n", 1) == 2);
  CHECK(rows_of(RowCounter(Form::kCsv), "a,b\n1,\"x\ny\"\n2,z\n", 2) == 2);
  CHECK(rows_of(RowCounter(Form::kCsv), "", 2) == 0);
}

}  // namespace
}  // namespace natsession::console
