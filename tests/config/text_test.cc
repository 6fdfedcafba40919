#include "config/text.h"

#include <vector>

#include <catch2/catch.hpp>

namespace natsession {
namespace {

TEST_CASE("texts are UTF-8 without control characters", "[config][text]") {
  for (const char* good :
       {"", "a b", "Zürich", "東京", "\xf0\x9f\x98\x80", "\xc2\xa0", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"}) {
    CAPTURE(good);
    CHECK(check_text(good));
  }
  // RFC 3629: overlong forms, surrogates, beyond U+10FFFF, stray and missing continuation bytes.
  for (const char* bad :
       {"\xff", "\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xed\xa0\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "\xc3(", "\xe2(\xa1"}) {
    CAPTURE(bad);
    CHECK_FALSE(check_text(bad));
  }
  for (const char* control : {"\n", "a\tb", "\x7f", "\xc2\x80", "\xc2\x9f", "\x1b[0m"}) {
    CAPTURE(control);
    CHECK_FALSE(check_text(control));
  }
  CHECK_FALSE(check_text(std::string_view("a\0b", 3)));
}

TEST_CASE("what is not fit for a terminal is shown as hex", "[config][text]") {
  CHECK(in_quotes("Zürich") == "'Zürich'");
  CHECK(in_quotes("a\x1b[0m") == "'a\\x1b[0m'");
  CHECK(in_quotes("\xff") == "'\\xff'");
}

TEST_CASE("the nearest name is the one that was probably meant", "[config][text]") {
  const std::vector<std::string> known{"--sink",   "--format",  "--time-format",
                                       "--window", "--version", "--vpc-id"};
  CHECK(nearest("--snik", known) == "--sink");
  CHECK(nearest("--frmat", known) == "--format");
  CHECK(nearest("--time_format", known) == "--time-format");
  CHECK(nearest("--WINDOW", known) == "--window");
  CHECK(nearest("--ver", known) == "--version");
  CHECK(nearest("-w", known) == "--window");
  CHECK(nearest("-v", known).empty());
  CHECK(nearest("--ledger", known).empty());
  CHECK(nearest("--windo", std::vector<std::string>{"--window-begin", "--window"}) == "--window");
  CHECK(nearest("--", known).empty());
  CHECK(nearest(std::string(100'000, 'w'), known).empty());
}

}  // namespace
}  // namespace natsession
