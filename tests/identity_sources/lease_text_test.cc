#include <catch2/catch.hpp>

#include "identity/sources/csv_text.h"
#include "identity/sources/dhcpd_text.h"
#include "identity/sources/dnsmasq_text.h"
#include "identity/sources/kea_text.h"
#include "identity/sources/networkd_leases.h"
#include "identity/sources/radius_detail_text.h"
#include "identity_sources/text_story.h"
#include "support/files.h"

namespace natsession::testing {
namespace {

// What the servers themselves wrote.
std::string seed(const std::string& name) {
  return read_file(NATSESSION_FUZZ_CORPUS "/identity_" + name);
}

}  // namespace

TEST_CASE("leases of dnsmasq are told as of when the file was written", "[identity][dnsmasq]") {
  CHECK(
      story_of<DnsmasqText>(seed("dnsmasq/two_families"), at_unix(1796067407.25)) ==
      Story{"seen 10.7.0.55 lease 0e:b3:a3:ca:07:cb mac=0e:b3:a3:ca:07:cb host=hosta id=01:0e:b3:a3:ca:07:cb "
            "expires=1796067527 at 1796067407.250",
            "seen fd07::1ff lease 00:01:00:01:32:a0:8c:c0:0e:b3:a3:ca:07:cb id=2747926475 expires=1796067512 "
            "at "
            "1796067407.250"});
}

TEST_CASE("a lease of dnsmasq without end, name or client identifier is one", "[identity][dnsmasq]") {
  CHECK(story_of<DnsmasqText>("0 02:00:00:00:00:01 10.0.0.1 * *\n", at_unix(10)) ==
        Story{"seen 10.0.0.1 lease 02:00:00:00:00:01 mac=02:00:00:00:00:01 at 10"});
  // Of token ring; and a temporary address.
  CHECK(story_of<DnsmasqText>("5 06-02:00:00:00:00:01 10.0.0.1 * ff:00\n7 T12 fd00::1 * 00:04:11\n",
                              at_unix(4)) == Story{"seen 10.0.0.1 lease ff:00 id=ff:00 expires=5 at 4",
                                                   "seen fd00::1 lease 00:04:11 id=T12 expires=7 at 4"});
}

TEST_CASE("a line that is no lease of dnsmasq's is refused and the others are told", "[identity][dnsmasq]") {
  const Story story = story_of<DnsmasqText>(
      "1 2 3\nx 02:00:00:00:00:01 10.0.0.1 * *\n1 02:00:00:00:00:01 10.0.0 * *\n9 02:00:00:00:00:01 10.0.0.1 "
      "a *\n",
      at_unix(4));
  REQUIRE(story.size() == 4);
  CHECK(story[0] == "refused a lease of dnsmasq's has less than five words: '1 2 3'");
  CHECK(story[1].starts_with("refused a lease of dnsmasq's has no time of expiry"));
  CHECK(story[2].starts_with("refused a lease of dnsmasq's has no address"));
  CHECK(story[3].starts_with("seen 10.0.0.1"));
}

TEST_CASE("a lease that Kea's client released ends when that was written, if it was just now",
          "[identity][kea]") {
  const std::string given =
      "seen 10.7.0.50 lease 0e:b3:a3:ca:07:cb mac=0e:b3:a3:ca:07:cb host=hosta id=01:0e:b3:a3:ca:07:cb "
      "since=1796067497 expires=1796067617 at 1796067497";
  CHECK(story_of<KeaText>(seed("kea/leases4.csv"), at_unix(1796067501.5), true) ==
        Story{given, "ended 10.7.0.50 id=01:0e:b3:a3:ca:07:cb at 1796067501.500"});
  // Read later, all that is known is that it was not before it was given, and not after what was written
  // next.
  CHECK(story_of<KeaText>(seed("kea/leases4.csv"), at_unix(1796067501.5)) ==
        Story{given, "ended 10.7.0.50 id=01:0e:b3:a3:ca:07:cb between 1796067497.999 and 1796067501.500"});
  const Story next =
      story_of<KeaText>(seed("kea/leases4.csv") + "10.7.0.51,02:00:00:00:00:01,,60,1796067559,1,0,0,,0,\n",
                        at_unix(1796067501.5));
  REQUIRE(next.size() == 3);
  CHECK(next[1] == "ended 10.7.0.50 id=01:0e:b3:a3:ca:07:cb between 1796067497.999 and 1796067499.999");
}

TEST_CASE("Kea's leases of IPv6 are addresses and delegated prefixes of a DUID", "[identity][kea]") {
  const Story story = story_of<KeaText>(seed("kea/leases6.csv"), at_unix(1796067497));
  REQUIRE(story.size() == 4);
  CHECK(story[0] ==
        "seen fd07::100 lease 00:01:00:01:32:a0:8d:1a:0e:b3:a3:ca:07:cb mac=0e:b3:a3:ca:07:cb id=2747926475 "
        "since=1796067483 expires=1796067603 at 1796067483");
  CHECK(story[1].starts_with("seen fd08::/56 delegation 00:01:00:01:32:a0:8d:1a:0e:b3:a3:ca:07:cb "));
  CHECK(story[2] == "ended fd07::100 id=2747926475 between 1796067483.999 and 1796067497");
  CHECK(story[3] == "ended fd08::/56 id=2747926475 between 1796067483.999 and 1796067497");
}

TEST_CASE("Kea's states and texts: declined, expired, for ever, escaped, other columns", "[identity][kea]") {
  const std::string header = "expire,address,valid_lifetime,hwaddr,client_id,state,hostname,more\n";
  const auto of = [&](const std::string& line) { return story_of<KeaText>(header + line, at_unix(2000)); };
  CHECK(of("1100,10.0.0.1,100,,,1,,\n") == Story{"ended 10.0.0.1 between 1000.999 and 2000"});
  CHECK(of("1100,10.0.0.1,100,02:00:00:00:00:01,,2,,\n") == Story{"ended 10.0.0.1 at 1100"});
  CHECK(of("4294968295,10.0.0.1,4294967295,02:00:00:00:00:01,,0,a&#x2cb.,x\n") ==
        Story{"seen 10.0.0.1 lease 02:00:00:00:00:01 mac=02:00:00:00:00:01 host=a,b since=1000 at 1000"});
  CHECK(of("1100,10.0.0.1,1200,,,0,,\n")[0].starts_with("refused a lease of Kea's has no time"));
  CHECK(of("1100,10.0.0,100,,,0,,\n")[0].starts_with("refused a lease of Kea's has no address"));
  CHECK(
      of("9999999,10.0.0.1,10,02:00:00:00:00:01,,0,,\n") ==
      Story{
          "seen 10.0.0.1 lease 02:00:00:00:00:01 mac=02:00:00:00:00:01 since=2000 expires=9999999 at 2000"});
  CHECK(story_of<KeaText>("10.0.0.1,1,2\n", at_unix(4))[0] ==
        "refused a lease of Kea's stands before the names of the columns: '10.0.0.1,1,2'");
  CHECK(story_of<KeaText>("address,hwaddr\n", at_unix(4))[0].starts_with(
      "refused a lease of Kea's file begins with"));
}

TEST_CASE("leases of dhcpd end when they were released", "[identity][dhcpd]") {
  CHECK(
      story_of<DhcpdText>(seed("dhcpd/leases4"), at_unix(1796067540)) ==
      Story{"seen 10.7.0.50 lease 0e:b3:a3:ca:07:cb mac=0e:b3:a3:ca:07:cb host=hosta id=01:0e:b3:a3:ca:07:cb "
            "since=1796067533 expires=1796067653 at 1796067533",
            "ended 10.7.0.50 id=01:0e:b3:a3:ca:07:cb at 1796067536"});
  const Story six = story_of<DhcpdText>(seed("dhcpd/leases6"), at_unix(1796067600));
  REQUIRE(six.size() == 4);
  // The IAID as the client and dnsmasq write it.
  CHECK(six[0] ==
        "seen fd07::1f4 lease 00:01:00:01:32:a0:8d:51:0e:b3:a3:ca:07:cb id=2747926475 since=1796067539 "
        "expires=1796067659 at 1796067539");
  CHECK(six[1].starts_with("seen fd08:0:0:ff00::/56 delegation 00:01:00:01:32:a0:8d:51:0e:b3:a3:ca:07:cb "));
  CHECK(six[2] == "ended fd07::1f4 id=2747926475 at 1796067552");
  CHECK(six[3] == "ended fd08:0:0:ff00::/56 id=2747926475 at 1796067552");
}

TEST_CASE("dhcpd's other times, quotes and states", "[identity][dhcpd]") {
  CHECK(
      story_of<DhcpdText>(
          "lease 10.0.0.1 {\n  starts epoch 1000; # Mon\n  ends never;\n  binding state active;\n"
          "  hardware ethernet 02:00:00:00:00:01;\n  uid \"\\\"\\\\a\\377\";\n}\n",
          at_unix(2000)) ==
      Story{"seen 10.0.0.1 lease 02:00:00:00:00:01 mac=02:00:00:00:00:01 id=22:5c:61:ff since=1000 at 1000"});
  CHECK(story_of<DhcpdText>("lease 10.0.0.1 {\n ends 4 1970/01/01 00:00:09;\n binding state abandoned;\n}\n",
                            at_unix(2000)) == Story{"ended 10.0.0.1 at 9"});
  // A declaration that dhcpd did not get to end, and braces of other things.
  const Story story = story_of<DhcpdText>(
      "lease 10.0.0.1 {\n  starts 4 1970/01/01 00:00:05;\nlease 10.0.0.2 {\n starts 4 1970/01/01 00:00:05;\n"
      " on release {\n  starts 4 1980/01/01 00:00:05;\n }\n binding state active;\n uid 01:02;\n}\n}\n",
      at_unix(2000));
  CHECK(story == Story{"refused a declaration of dhcpd's has no end before 'lease 10.0.0.2'",
                       "seen 10.0.0.2 lease 01:02 id=01:02 since=5 at 5"});
}

Story story_of_list(const std::string& rows) {
  return story_of<CsvText>("prefix,name,from,until,mac,id\n" + rows, at_unix(1796067900));
}

TEST_CASE("a list tells who is over first, and not who comes later", "[identity][csv]") {
  const std::string list =
      "\xef\xbb\xbfname,from,prefix,until,host\r\n# remark\r\n\"Zoë \"\"Z\"\" Ng, "
      "2\",1796067000,10.0.0.1,,z\r\n"
      "old,1000,10.0.0.1,1796067000,\r\nnew,1796069000,10.0.0.1,1796069500,\r\never,,10.1.0.0/"
      "16,1796068500,\r\n";
  CHECK(story_of<CsvText>(list, at_unix(1796067900)) ==
        Story{"seen 10.0.0.1 static old id=1000 since=1000 at 1000", "ended 10.0.0.1 id=1000 at 1796067000",
              "seen 10.0.0.1 static Zoë \"Z\" Ng, 2 host=z id=1796067000 since=1796067000 at 1796067900",
              "seen 10.1.0.0/16 static ever expires=1796068500 at 1796067900"});
  CsvText text;
  IdentityStory story;
  text.begin();
  const LineTime time{at_unix(1796068000), at_unix(1796067900)};
  text.line("prefix,name,from,until", time, story);
  text.line("10.0.0.1,new,1796069000,1796069500", time, story);
  text.line("10.0.0.2,ever,,1796068500", time, story);
  CHECK(text.next_change() == at_unix(1796068500));
}

TEST_CASE("of two rows of a list that would be one the second is refused", "[identity][csv]") {
  const auto& of = story_of_list;
  CHECK(of("10.0.0.1,a\n10.0.0.1,b\n10.0.0.0/24,c\n") ==
        Story{"seen 10.0.0.1 static a at 1796067900",
              "refused a row of the list holds while one before has its prefix: '10.0.0.1,b'",
              "seen 10.0.0.0/24 static c at 1796067900"});
  CHECK(of("10.0.0.1,a,1000,2000\n10.0.0.1,b,1000,1500\n10.0.0.1,c,1000,1600,,7\n10.0.0.1,d,2000\n") ==
        Story{"seen 10.0.0.1 static a id=1000 since=1000 at 1000", "ended 10.0.0.1 id=1000 at 2000",
              "refused a row of the list has the beginning and the id of one before that has its prefix: "
              "'10.0.0.1,b,1000,1500'",
              "seen 10.0.0.1 static c id=7 since=1000 at 1000", "ended 10.0.0.1 id=7 at 1600",
              "seen 10.0.0.1 static d id=2000 since=2000 at 1796067900"});
}

TEST_CASE("what a list cannot say is refused once", "[identity][csv]") {
  const auto& of = story_of_list;
  CHECK(of("10.0.0.1/8,a\n").size() == 1);
  CHECK(of("10.0.0.1/8,a\n")[0].starts_with("refused a row of the list has no prefix"));
  CHECK(of("10.0.0.1,\n")[0].starts_with("refused a row of the list has no name"));
  CHECK(of("10.0.0.1,a,2026-13-01\n")[0].starts_with("refused a row of the list has no such time (from)"));
  CHECK(of("10.0.0.1,a,20,10\n")[0].starts_with("refused a row of the list ends before it begins"));
  CHECK(of("10.0.0.1,a,,,02:00\n")[0].starts_with("refused a row of the list has no such MAC"));
  CHECK(of("\"10.0.0.1,a\n")[0].starts_with("refused a row of the list has quotes"));
  CHECK(story_of<CsvText>("10.0.0.1,a\n10.0.0.2,b\n", at_unix(5)).size() == 1);
}

TEST_CASE("leases of systemd-networkd are told from either form of its file", "[identity][networkd]") {
  IdentityStory story;
  CHECK(tell_networkd_leases(seed("networkd/object"), at_unix(1796067400), story));
  CHECK(tell_networkd_leases(seed("networkd/array"), at_unix(1796067400), story));
  CHECK(
      story.take() ==
      Story{"seen 10.7.0.55 lease 0e:b3:a3:ca:07:cb mac=0e:b3:a3:ca:07:cb host=hosta id=01:0e:b3:a3:ca:07:cb "
            "expires=1796067501 at 1796067400",
            "seen 10.7.0.55 lease 0e:b3:a3:ca:07:cb mac=0e:b3:a3:ca:07:cb id=01:0e:b3:a3:ca:07:cb at "
            "1796067400"});
  for (const char* const text : {"", "7", "{\"Leases\":7}", "[{\"Address\":[10,7,0,55]}"})
    CHECK_FALSE(tell_networkd_leases(text, at_unix(1), story));
  CHECK(story.take().empty());
  CHECK(tell_networkd_leases("{}", at_unix(1), story));
  CHECK(tell_networkd_leases("[7,{\"Address\":[1,2,3]},{\"Address\":[1,2,3,256]}]", at_unix(1), story));
  CHECK(story.take().size() == 3);
  std::string deep(100'000, '[');
  CHECK_FALSE(tell_networkd_leases(deep, at_unix(1), story));
}

TEST_CASE(
    "leases of systemd-networkd have their clients' hardware address where it is known, and end to the "
    "millisecond",
    "[identity][networkd]") {
  IdentityStory story;
  CHECK(tell_networkd_leases(seed("networkd/systemd_257"), at_unix(1796067400), story));
  CHECK(story.take() == Story{"seen 10.64.0.104 lease 02:00:00:00:00:01 mac=02:00:00:00:00:01 host=host1 "
                              "id=01:02:00:00:00:00:01 expires=1796098789.105 at 1796067400"});
  CHECK(tell_networkd_leases(seed("networkd/systemd_262"), at_unix(1796067400), story));
  CHECK(story.take() ==
        Story{"seen 10.64.0.103 lease 02:00:00:00:00:12 mac=02:00:00:00:00:12 id=01:02:00:00:00:00:12 "
              "expires=1796099107.857 at 1796067400",
              "seen 10.64.0.101 lease 02:00:00:00:00:11 mac=02:00:00:00:00:11 id=01:02:00:00:00:00:11 "
              "expires=1796099107.761 at 1796067400",
              "seen 10.64.0.100 lease 02:00:00:00:00:13 mac=02:00:00:00:00:13 host=K\\195\\188che "
              "id=ff:12:34:56:78:00:01:00:01:2f:3a:4b:5c:02:00:00:00:00:13 expires=1796099107.953 at "
              "1796067400"});
  CHECK(tell_networkd_leases(seed("networkd/taken_over"), at_unix(1796067400), story));
  CHECK(story.take() ==
        Story{"seen 10.64.0.103 lease ff:01:02:03:04:00:03:00:01:02:00:00:00:00:09 host=h1 "
              "id=ff:01:02:03:04:00:03:00:01:02:00:00:00:00:09 expires=1796099730.831 at 1796067400",
              "seen 10.64.0.101 lease 02:00:00:00:00:01 mac=02:00:00:00:00:01 host=h1 "
              "id=01:02:00:00:00:00:01 expires=1796099730.831 at 1796067400",
              "seen 10.64.0.104 lease 02:00:00:00:00:05 mac=02:00:00:00:00:05 host=host5 "
              "id=01:02:00:00:00:00:05 expires=1796099832.289 at 1796067400",
              "seen 10.64.0.102 lease 02:00:00:00:00:02 mac=02:00:00:00:00:02 host=h2 "
              "id=01:02:00:00:00:00:02 expires=1796099730.831 at 1796067400"});
  CHECK(tell_networkd_leases(seed("networkd/infinite"), at_unix(1796067400), story));
  CHECK(story.take() == Story{"seen 10.64.0.104 lease 02:00:00:00:00:01 mac=02:00:00:00:00:01 host=host1 "
                              "id=01:02:00:00:00:00:01 at 1796067400"});
}

TEST_CASE("a detail file of FreeRADIUS tells sessions, their ends and those of a whole client",
          "[identity][radius-detail]") {
  const std::string of = "alice mac=02:00:00:00:00:01 id=00000001 group=bras1 since=1796067000 at 1796067000";
  std::string text = seed("radius_detail/detail");
  text.replace(text.find("al\\\"ice"), 7, "alice");
  CHECK(story_of<RadiusDetailText>(text, at_unix(1796067560)) ==
        Story{"seen 10.7.0.9 session " + of, "seen 2001:db8:1::/64 session " + of,
              "seen 2001:db8:100::/56 session " + of, "seen 2001:db8:1::5 session " + of,
              "ended_group bras1 at 1796067556", "ended 10.7.0.9 id=00000001 at 1796067556",
              "ended_session 127.0.0.1 00000001 at 1796067556"});
  CHECK(story_of<RadiusDetailText>(seed("radius_detail/detail"), at_unix(1796067560))[0].starts_with(
      "seen 10.7.0.9 session al\"ice "));
}

TEST_CASE("an entry of a detail file is told when it is whole", "[identity][radius-detail]") {
  const std::string head =
      "Mon Nov 30 19:39:16 2026\n\tAcct-Status-Type = Start\n\tAcct-Session-Id = \"1\"\n"
      "\tUser-Name = \"a\\tb\\001\"\n\tFramed-IP-Address = 10.0.0.1\n";
  CHECK(story_of<RadiusDetailText>(head, at_unix(500)).empty());
  CHECK(story_of<RadiusDetailText>(head + "\tTimestamp = 400\n", at_unix(500)) ==
        Story{"seen 10.0.0.1 session a?b? id=1 group=a detail file since=400 at 400"});
  CHECK(story_of<RadiusDetailText>(head + head + "\tTimestamp = 400\n\n", at_unix(500)) ==
        Story{"refused an entry of a RADIUS detail file has no end before 'Mon Nov 30 19:39:16 2026'",
              "seen 10.0.0.1 session a?b? id=1 group=a detail file since=400 at 400"});
}

}  // namespace natsession::testing
