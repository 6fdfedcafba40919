#include <vector>

#include <catch2/catch.hpp>

#include "config/text.h"
#include "parsing.h"

namespace natsession::testing {
namespace {

using Words = std::vector<std::string>;

TEST_CASE("a window is one second to a day long, whole minutes or not", "[config][values]") {
  CHECK(config_of({"--window", "1s"}).window == std::chrono::seconds(1));
  CHECK(config_of({"--window", "1500ms"}).window == std::chrono::milliseconds(1500));
  CHECK(config_of({"--window", "7m"}).window == std::chrono::minutes(7));
  CHECK(config_of({"--window", "1d"}).window == std::chrono::hours(24));
  CHECK(message_of({"--window", "999ms"}) == "--window 999ms: '999ms' is out of range: 1s to 1d");
  CHECK(message_of({"--window", "25h"}) == "--window 25h: '25h' is out of range: 1s to 1d");
}

TEST_CASE("a receive buffer is 4K to 2G", "[config][values]") {
  CHECK(config_of({"--guard", "75"}).guard_percent == 75);
  CHECK(config_of({"--guard", "75%"}).guard_percent == 75);
  CHECK(message_of({"--guard", "100%"}) ==
        "--guard 100%: '100%' is not a share of the conntrack table: 10% to 99%");
  CHECK(config_of({"--reliable", "off"}).reliable == ReliableMode::kOff);
  CHECK(message_of({"--reliable", "no"}) == "--reliable no: 'no' is not one of auto, on or off");
  CHECK(config_of({"--rcvbuf", "4096"}).rcvbuf == ByteCount{4096});
  CHECK(config_of({"--rcvbuf", "2G"}).rcvbuf == ByteCount{2ULL << 30});
  CHECK(message_of({"--rcvbuf", "4095"}) == "--rcvbuf 4095: '4095' is out of range: 4K to 2G");
  CHECK(message_of({"--rcvbuf", "3G"}) == "--rcvbuf 3G: '3G' is out of range: 4K to 2G");
}

TEST_CASE("events are any of the three groups and at least one", "[config][values]") {
  CHECK(config_of({"--events", "destroy"}).events == EventGroups{false, false, true});
  CHECK(config_of({"--events", "update, new"}).events == EventGroups{true, true, false});
  CHECK(config_of({"--events", "new", "--events", "destroy"}).events == EventGroups{true, false, true});
  CHECK_FALSE(config_of({"--events", "auto"}).events);
  CHECK(defaults().events == EventGroups{true, true, true});
  CHECK(message_of({"--events", "auto,new"}) ==
        "--events auto,new: auto chooses the groups itself: no other stands beside it");
  CHECK(message_of({"--events", "new", "--events", "auto"}) ==
        "--events auto: auto chooses the groups itself: no other stands beside it");
  CHECK(message_of({"--events", ""}) == "--events '': '' is not one of new, update, destroy or auto");
  CHECK(message_of({"--events", "new,"}) == "--events new,: '' is not one of new, update, destroy or auto");
  CHECK(message_of({"--events", "new,related"}) ==
        "--events new,related: 'related' is not one of new, update, destroy or auto");
}

TEST_CASE("the same sink twice is refused, however its path is spelled", "[config][values]") {
  CHECK(message_of({"--sink", "stdout", "--sink", "stdout"}) == "--sink: 'stdout' is given twice");
  for (const char* other : {"file:/var/log/nat.json?mode=0600", "file:/var//log/./nat.json",
                            "file:///var/log/nat.json", "file:/var/log/x/../nat.json"}) {
    CAPTURE(other);
    CHECK(message_of({"--sink", "file:/var/log/nat.json", "--sink", other}) ==
          "--sink: '" + std::string(other) + "' has the same destination as 'file:/var/log/nat.json'");
  }
  CHECK(config_of({"--sink", "file:/a", "--sink", "file:a", "--sink", "journald", "--sink", "stdout"})
            .sinks.size() == 4);
}

TEST_CASE("a sink that there is not is refused where it stands", "[config][values]") {
  CHECK(message_of({"--sink", "stdout", "--sink", "stdut"})
            .starts_with("--sink: sink 'stdut': there is no sink 'stdut': stdout, file:PATH"));
  CHECK(message_of({"--sink", "stdout?keep=1"}).starts_with("--sink: sink 'stdout?keep=1': unknown option"));
}

TEST_CASE("what may be a password in a sink's URL is in no message", "[config][values]") {
  for (const Words& words :
       {Words{"--sink", "http://me:sesame@host/"}, Words{"--sink=http://me:sesame@host/"},
        Words{"--sink", "http://me:sesame\x01@host/"}, Words{"--sink", "http://me:sesame\xff@host/"},
        Words{"http://me:sesame@host/"}, Words{"me:sesame@host"}, Words{"--sinkhttp://me:sesame@host/"},
        Words{"--sinks=http://me:sesame@host/"}, Words{"--sinks", "http://me:sesame@host/"}}) {
    CAPTURE(words);
    CHECK_FALSE(message_of(words).empty());
    CHECK(message_of(words).find("sesame") == std::string::npos);
  }
}

TEST_CASE("sinks are not without number", "[config][values]") {
  Words words;
  for (std::size_t i = 0; i <= kMaxSinks; ++i) {
    words.emplace_back("--sink");
    words.push_back("file:/var/log/" + std::to_string(i));
  }
  CHECK(message_of(words).ends_with("more than 32 sinks"));
  words.resize(words.size() - 2);
  CHECK(config_of(words).sinks.size() == kMaxSinks);
}

TEST_CASE("rules for a vpc_id keep their order and are checked one by one", "[config][values]") {
  const Words rules{"mark:0x10/0xff=m", "10.0.0.0/8=blue", "fd00::/8=six", "zone:7=green", "rest"};
  Words words;
  for (const std::string& rule : rules) {
    words.emplace_back("--vpc-id");
    words.push_back(rule);
  }
  CHECK(told(config_of(words), "vpc_id") == rules);
  CHECK(message_of({"--vpc-id", "10.0.0.1/8=blue"}).starts_with("--vpc-id 10.0.0.1/8=blue: "));
  CHECK(message_of({"--vpc-id", "zone:7="}).starts_with("--vpc-id zone:7=: "));
}

TEST_CASE("a rule that could never be used is refused", "[config][values]") {
  CHECK(message_of({"--vpc-id", "zone:16=a", "--vpc-id", "zone:0x10=b"}) ==
        "--vpc-id zone:0x10=b: 'zone:0x10=b' would never be used: 'zone:16=a' matches the same sessions");
  CHECK(message_of({"--vpc-id", "a", "--vpc-id", "b"}).find("would never be used") != std::string::npos);
  for (const Words& pair :
       {Words{"10.0.0.0/8=a", "10.0.0.0/16=b"}, Words{"zone:1=a", "zone:2=b"}, Words{"mark:1=a", "mark:2=b"},
        Words{"mark:1/0x1=a", "mark:1/0x3=b"}, Words{"zone:1=a", "b"}}) {
    CAPTURE(pair);
    CHECK(told(config_of({"--vpc-id", pair[0], "--vpc-id", pair[1]}), "vpc_id") == pair);
  }
}

TEST_CASE("an instance is 1 to 255 bytes of printable UTF-8", "[config][values]") {
  CHECK(config_of({"--instance", "Zürich 1"}).instance == "Zürich 1");
  CHECK(config_of({"--instance", std::string(255, 'x')}).instance.size() == 255);
  CHECK(message_of({"--instance", std::string(256, 'x')}).ends_with("it has 256 bytes: at most 255"));
  CHECK(message_of({"--instance", ""}) == "--instance '': it is empty: leave it out for the host's name");
  CHECK(message_of({"--instance", "a\nb"}) == "--instance: 'a\\x0ab' has a control character");
  CHECK(message_of({"--instance", "a\xff"}) == "--instance: 'a\\xff' is not UTF-8");
}

TEST_CASE("several namespaces may be watched, none twice", "[config][values]") {
  CHECK(config_of({"--netns", "/proc/1/ns/net"}).netns == Words{"/proc/1/ns/net"});
  CHECK(config_of({"--netns", "a", "--netns", "b"}).netns == Words{"a", "b"});
  CHECK(message_of({"--netns", "a", "--netns", "a"}) == "--netns a: 'a' is given twice");
  CHECK(message_of({"--netns", ""}).starts_with("--netns '': it is empty"));
}

TEST_CASE("every word of a choice, and every default, is read back from what it is printed as",
          "[config][values]") {
  for (const Flag& flag : flags()) {
    CAPTURE(flag.name);
    for (const std::string_view word : flag.value.words) {
      Config config;
      if (flag.value.clear) flag.value.clear(config);
      REQUIRE(flag.value.put(config, word));
      CHECK(flag.value.texts(config) == Words{std::string(word)});
    }
    if (flag.value.range.empty()) continue;
    Config config;
    CHECK(flag.value.put(config, usual_text(flag.value)));
    CHECK(config == Config{});
  }
}

TEST_CASE("a setter that refuses leaves the configuration as it was", "[config][values]") {
  for (const Flag& option : flags()) {
    if (!option.is_setting() || option.name == "ledger" || option.name == "user" ||
        option.name.ends_with("-group") || option.name == "account-id" || option.name == "region-id" ||
        option.name == "az-id" || option.name == "pseudonyms")
      continue;  // any text is a name
    CAPTURE(option.name);
    Config config = defaults();
    const std::string bad = option.name == "instance"                               ? std::string(300, 'x')
                            : option.name == "vpc-id"                               ? "="
                            : option.name == "control" || option.name == "handover" ? std::string(108, 'x')
                            : option.name == "metrics"                              ? "localhost"
                                                                                    : "";
    CHECK_FALSE(option.value.put(config, bad));
    CHECK(config == defaults());
  }
}

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
}  // namespace natsession::testing
