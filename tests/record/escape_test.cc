// Oracle for what becomes of invalid UTF-8: Python's bytes.decode('utf-8', 'replace').
#include "record/escape.h"

#include <random>

#include <catch2/catch.hpp>

#include "record/golden.h"
#include "record/readers.h"

namespace natsession::testing {
namespace {

using namespace std::string_literals;

template <typename Write>
std::string written(Write write, std::string_view text) {
  std::string out(max_escaped_length(text.size()) + 1, '#');
  const std::size_t length = static_cast<std::size_t>(write(out.data(), text) - out.data());
  REQUIRE(length < out.size());
  REQUIRE(out.back() == '#');
  out.resize(length);
  return out;
}
std::string json(std::string_view text) {
  return written(write_json_string, text);
}
std::string csv(std::string_view text) {
  return written(write_csv_text, text);
}
std::string logfmt(std::string_view text) {
  return written(write_logfmt_text, text);
}

TEST_CASE("JSON strings escape quotes, backslashes and control characters", "[record][escape]") {
  CHECK(json("") == R"("")");
  CHECK(json("natgw-1") == R"("natgw-1")");
  CHECK(json(R"(a"b\c/d)") == R"("a\"b\\c/d")");
  CHECK(json("\n\r\t\0\x01\x1f\x7f"s) == R"("\n\r\t\u0000\u0001\u001f\u007f")");
  CHECK(json("é€😀") == "\"é€😀\"");
}

TEST_CASE("CSV values are quoted when they hold a comma, a quote or a control character",
          "[record][escape]") {
  CHECK(csv("").empty());
  CHECK(csv("a b=c\\d'") == "a b=c\\d'");
  CHECK(csv("a,b") == R"("a,b")");
  CHECK(csv(R"(say "hi")") == R"("say ""hi""")");
  CHECK(csv("a\nb") == "\"a\nb\"");
  CHECK(csv("a\r") == "\"a\r\"");
  CHECK(csv("a\0"s) == "\"a\0\""s);
  CHECK(csv("é€😀") == "é€😀");
  CHECK(csv("é,") == "\"é,\"");
}

TEST_CASE("logfmt values are quoted when they are empty or hold a space, =, quote or control character",
          "[record][escape]") {
  CHECK(logfmt("") == R"("")");
  CHECK(logfmt("natgw-1,b\\c") == "natgw-1,b\\c");
  CHECK(logfmt("a b") == R"("a b")");
  CHECK(logfmt("a=b") == R"("a=b")");
  CHECK(logfmt(R"(a"\b)") == R"("a\"\\b")");
  CHECK(logfmt("a\nb\x7f") == R"("a\nb\u007f")");
  CHECK(logfmt("é€😀") == "é€😀");
  CHECK(logfmt("é €") == "\"é €\"");
}

TEST_CASE("what is not UTF-8 becomes U+FFFD, once for each maximal part of a sequence", "[record][escape]") {
  struct Case {
    std::string_view bytes;
    std::size_t replacements;
    std::string_view rest;
  };
  const Case cases[] = {
      {"\xff", 1, ""},
      {"\xc3", 1, ""},
      {"\xe2\x82", 1, ""},
      {"\xe2\x82x", 1, "x"},
      {"\xf0\x9f\x98", 1, ""},
      {"\xed\xa0\x80", 3, ""},          // a surrogate
      {"\xc0\xaf", 2, ""},              // overlong
      {"\xe0\x9f\xbf", 3, ""},          // overlong
      {"\xf0\x8f\xbf\xbf", 4, ""},      // overlong
      {"\xf4\x90\x80\x80", 4, ""},      // above U+10FFFF
      {"\xf8\x88\x80\x80\x80", 5, ""},  // five bytes
      {"\x80\xbf", 2, ""},              // no beginning
  };
  for (const Case& one : cases) {
    std::string repaired;
    for (std::size_t i = 0; i < one.replacements; ++i) repaired += "\xEF\xBF\xBD";
    repaired += one.rest;
    CHECK(json(one.bytes) == "\"" + repaired + "\"");
    CHECK(csv(one.bytes) == repaired);
    CHECK(logfmt(one.bytes) == repaired);
  }
  // The edges of what is valid.
  for (const std::string_view valid : {"\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                                       "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    CHECK(csv(valid) == valid);
  }
}

TEST_CASE("a record with any bytes in its texts is still one valid line in every format",
          "[record][escape]") {
  std::mt19937_64 random(17);
  const auto noise = [&] {
    std::string text(random() % 40, '\0');
    for (char& byte : text) byte = static_cast<char>(random());
    return text;
  };
  for (int i = 0; i < 5000; ++i) {
    const Origin origin{noise(), noise()};
    const std::string vpc_id = noise();
    SessionRecord record = i % 2 == 0 ? golden_tcp() : golden_gap();
    record.origin = &origin;
    record.vpc_id = vpc_id;

    EncoderOptions options{.with_netns = true};
    const std::string json_line = encode(record, options);
    REQUIRE(json_line.find('\n') == json_line.size() - 1);
    const auto json_members = read_json(json_line);
    REQUIRE(json_members);
    const std::string& repaired = json_members->front().text;

    options.format = RecordFormat::kLogfmt;
    const std::string logfmt_line = encode(record, options);
    REQUIRE(logfmt_line.find('\n') == logfmt_line.size() - 1);
    const auto pairs = read_logfmt(logfmt_line);
    REQUIRE(pairs);
    REQUIRE(pairs->front().second == repaired);

    options.format = RecordFormat::kCsv;
    const auto rows = read_csv(encode(record, options));
    REQUIRE(rows);
    REQUIRE(rows->size() == 1);
    REQUIRE(rows->front().size() == 28);
    REQUIRE(rows->front().front() == repaired);
  }
}

TEST_CASE("texts of nothing but the longest escapes fit, also when they are long", "[record][escape]") {
  const Origin origin{std::string(3000, '\x01'), std::string(3000, '\x02')};
  const std::string vpc_id(3000, '\xff');
  SessionRecord record = golden_ipv6();
  record.origin = &origin;
  record.vpc_id = vpc_id;
  const auto members = read_json(encode(record, {.with_netns = true}));
  REQUIRE(members);
  CHECK(members->front().text == origin.instance);
  CHECK(members->at(1).text.size() == 9000);
  CHECK(members->back().text == origin.netns);
}

}  // namespace
}  // namespace natsession::testing
