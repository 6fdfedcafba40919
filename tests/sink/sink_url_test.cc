#include "sink/sink_url.h"

#include <catch2/catch.hpp>

using namespace natsession;
using Catch::Matchers::Contains;

TEST_CASE("a URL is a scheme alone, with a target, and with options", "[sink][url]") {
  const auto plain = SinkUrl::parse("stdout");
  REQUIRE(plain);
  CHECK(plain->text == "stdout");
  CHECK(plain->scheme == "stdout");
  CHECK(plain->target.empty());
  CHECK(plain->options.empty());

  const auto full = SinkUrl::parse("file:/var/log/nat.json?rotate_size=100M&keep=14");
  REQUIRE(full);
  CHECK(full->scheme == "file");
  CHECK(full->target == "/var/log/nat.json");
  REQUIRE(full->options.size() == 2);
  CHECK(full->options[0].key == "rotate_size");
  CHECK(full->options[0].value == "100M");
  CHECK(full->options[1].key == "keep");
  CHECK(full->options[1].value == "14");
}

TEST_CASE("only the first colon and the first question mark part a URL", "[sink][url]") {
  const auto url = SinkUrl::parse("file:a:b?k=c:d?e=f");
  REQUIRE(url);
  CHECK(url->target == "a:b");
  REQUIRE(url->options.size() == 1);
  CHECK(url->options[0].value == "c:d?e=f");
}

TEST_CASE("percent escapes stand for any byte in targets and values", "[sink][url]") {
  const auto url = SinkUrl::parse("file:/a%3Fb%25c%20d?k=1%262%3d");
  REQUIRE(url);
  CHECK(url->target == "/a?b%c d");
  CHECK(url->options[0].value == "1&2=");
}

TEST_CASE("a URL that is malformed is refused, and the message says where", "[sink][url]") {
  const auto [text, part] = GENERATE(table<std::string, std::string>({
      {"file:/a%", "%25"},
      {"file:/a%2", "%25"},
      {"file:/a%zz", "%25"},
      {"file:/a%+1", "%25"},
      {"file:/a%00b", "%25"},
      {"file:/a?k=%zz", "k: '%zz'"},
      {"file:/a?", "'' is not an option"},
      {"file:/a?k", "'k' is not an option"},
      {"file:/a?k=1&", "'' is not an option"},
      {"file:/a?=1", "'=1' is not an option"},
      {"file:/a?k=1&j=2&k=3", "k: is given twice"},
  }));
  CAPTURE(text);
  const auto url = SinkUrl::parse(text);
  REQUIRE_FALSE(url);
  CHECK(url.error().kind == ErrorKind::kUsage);
  CHECK_THAT(url.error().message, Contains("'" + text + "'") && Contains(part));
}

TEST_CASE("a message shows a URL without its secrets", "[sink][url]") {
  const auto [url, shown] = GENERATE(table<std::string, std::string>({
      {"file:/a?mode=0600", "file:/a?mode=0600"},
      {"http://host/a@b", "http://***@b"},
      {"http://user:pass@host/x?compress=none", "http://user:***@host/x?compress=none"},
      {"http://user:p:a@ss@host/", "http://user:***@host/"},
      {"http://token@host/", "http://***@host/"},
      {"http://host/?token=a&compress=none&password=b", "http://host/?token=***&compress=none&password=***"},
      {"http:/user:pass@host/", "http:/user:***@host/"},
      {"http:user:pass@host", "http:user:***@host"},
      {"https//user:pass@host/", "https//user:***@host/"},
      {"http:%2F%2Fuser:pass@host/", "http:%2F%2Fuser:***@host/"},
      {"http://user%3Apass%40host/", "http://***%40host/"},
      {"http://user:pa?ss@host/", "http://user:***@host/"},
      {"http://user:pa/ss@host/", "http://user:***@host/"},
      {"syslog+tcp://user:pass@host", "syslog+tcp://user:***@host"},
      {"user:pass@host", "user:***@host"},
      {"http://host/?passwd=a&X-Auth-Token=b", "http://host/?passwd=***&X-Auth-Token=***"},
      {"http://host:80/?headers_file=/a@b", "http://host:80/?headers_file=/a@b"},
      {"file:/a@b?keep=1", "file:/a@b?keep=1"},
      {"http://host/?token", "http://host/?token"},
      {"http://host/?token_env=NAME", "http://host/?token_env=NAME"},
      {"exec:a@b", "exec:a@b"},
      {"", ""},
      {"?", "?"},
  }));
  CHECK(without_secrets(url) == shown);
}

TEST_CASE("a user or password in a URL is refused, and in no message", "[sink][url]") {
  const std::string text =
      GENERATE(as<std::string>(), "http://me:sesame@host/", "https://sesame@host", "http:/me:sesame@host/",
               "http:me:sesame@host", "https//me:sesame@host/", "http:%2F%2Fme:sesame@host/",
               "http://me%3Asesame%40host/", "http://me:sesame?x=1@host/", "http://me:x?sesame@host/",
               "http://me:x/sesame@host/", "HTTP://me:sesame@host/", "syslog+tls://me:sesame@host:6514",
               "syslog+udp://me:sesame@host?facility=none", "me:sesame@host", "http://me:ses%zz@host/?x=%zz");
  CAPTURE(text);
  const auto url = SinkUrl::parse(text);
  REQUIRE_FALSE(url);
  CHECK(url.error().kind == ErrorKind::kUsage);
  CHECK_THAT(url.error().message, Contains("a user or password") && !Contains("sesame") && !Contains("ses%"));
}

TEST_CASE("an @ elsewhere in a URL is no secret", "[sink][url]") {
  for (const std::string text : {"file:/var/log/a@b", "exec:mail -s nat root@host", "http://host/a@b",
                                 "https://[::1]:8443/?ca=/etc/a@b", "syslog+tls://host?servername=a@b"}) {
    CAPTURE(text);
    CHECK(SinkUrl::parse(text));
  }
}
