#include "identity/sources/file_source.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <poll.h>

#include "identity/sources/csv_text.h"
#include "identity/sources/dhcpd_text.h"
#include "identity/sources/dnsmasq_text.h"
#include "identity/sources/file_watch.h"
#include "identity/sources/kea_text.h"
#include "identity/sources/networkd_source.h"
#include "identity/sources/radius_detail_text.h"
#include "identity_sources/text_story.h"
#include "support/files.h"
#include "support/manual_clock.h"
#include "support/temp_dir.h"

namespace natsession::testing {
namespace {

constexpr std::string_view kKeaHeader =
    "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_"
    "context\n";

std::string kea_line(int host, std::uint64_t renewed, int valid = 120) {
  const std::string number = std::to_string(host);
  return "10.0.0." + number + ",02:00:00:00:00:0" + number + ",," + std::to_string(valid) + "," +
         std::to_string(renewed + static_cast<std::uint64_t>(valid)) + ",1,0,0,,0,\n";
}

std::string dnsmasq_line(int host) {
  const std::string number = std::to_string(host);
  return "0 02:00:00:00:00:0" + number + " 10.0.0." + number + " * *\n";
}

// A file, and a source that follows it by a clock of the test's.
template <typename Text>
struct Followed {
  Followed() { REQUIRE(source.open()); }

  void append(std::string_view text) { std::ofstream(path, std::ios::binary | std::ios::app) << text; }
  void write(const std::string& text) { write_file(path, text); }
  // In the file's place at once, as rename(2) does it.
  void replace(const std::string& text) {
    write_file(path + ".new", text);
    std::filesystem::rename(path + ".new", path);
  }
  void written_at(double seconds) {
    const auto ns = static_cast<std::int64_t>(seconds * 1000 + 0.5) * 1'000'000;
    const timespec times[2]{{ns / 1'000'000'000, ns % 1'000'000'000},
                            {ns / 1'000'000'000, ns % 1'000'000'000}};
    REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
  }
  // Turns until there is nothing to read, after as long a rest as a source asks for. What was told, without
  // times but for their place: names of events, and who.
  Story turn(std::chrono::milliseconds rest = std::chrono::seconds(2)) {
    clock.advance(std::chrono::milliseconds(1));
    turns();
    clock.advance(rest);
    turns();
    return story.take();
  }
  void turns() {
    for (int i = 0; i < 1000 && source.turn(now, story).count() == 0; ++i) {
    }
  }
  [[nodiscard]] Story short_turn() {
    Story told = turn();
    for (std::string& line : told) {
      if (line.starts_with("seen ") || line.starts_with("ended "))
        line = line.substr(0, line.find(' ', line.find(' ') + 1));
      if (line.starts_with("end ")) line = "end";
      if (line.starts_with("lost ")) line = "lost";
      if (line.starts_with("refused ")) line = "refused";
      if (line.starts_with("followed ")) line = "followed";
    }
    return told;
  }

  TempDir folder;
  std::string path = folder.file("leases");
  ManualClock clock{UnixNs{}};
  UnixMs now = to_ms(SystemClock().now()) + std::chrono::seconds(5);
  IdentityStory story;
  FileSource source{"test:" + path, path, std::make_unique<Text>(), clock};
};

}  // namespace

TEST_CASE("a file that is rewritten is told whole at each change, and followed between", "[identity][file]") {
  Followed<DnsmasqText> file;
  file.story.tells_followed = true;
  file.write(dnsmasq_line(1) + dnsmasq_line(2));
  CHECK(file.short_turn() == Story{"begin", "seen 10.0.0.1", "seen 10.0.0.2", "end", "followed", "followed"});
  CHECK(file.short_turn() == Story{"followed", "followed"});
  file.write(dnsmasq_line(2));
  CHECK(file.short_turn() == Story{"begin", "seen 10.0.0.2", "end", "followed"});
  file.replace(dnsmasq_line(3));
  CHECK(file.short_turn() == Story{"begin", "seen 10.0.0.3", "end", "followed"});
}

TEST_CASE("leases are told as of when their file was written, not read", "[identity][file]") {
  Followed<DnsmasqText> file;
  file.write(dnsmasq_line(1));
  file.written_at(1796067501.25);
  file.now = at_unix(1796067900);
  CHECK(file.turn() == Story{"begin",
                             "seen 10.0.0.1 lease 02:00:00:00:00:01 mac=02:00:00:00:00:01 at 1796067501.250",
                             "end 1796067501.250"});
  // A file of the future is one of now.
  file.write(dnsmasq_line(2));
  file.written_at(1796069999);
  CHECK(file.turn().back() == "end 1796067900");
}

TEST_CASE("a file that is being rewritten is left alone until it rests", "[identity][file]") {
  Followed<DnsmasqText> file;
  file.write(dnsmasq_line(1) + dnsmasq_line(2));
  CHECK(file.turn().size() == 4);
  file.write(dnsmasq_line(1));  // a part of it
  file.clock.advance(std::chrono::milliseconds(10));
  file.turns();
  file.write(dnsmasq_line(1) + dnsmasq_line(2) + dnsmasq_line(3));
  file.clock.advance(FileSource::kRest - std::chrono::milliseconds(1));
  file.turns();
  CHECK(file.story.take().empty());
  CHECK(file.turn().size() == 5);
}

TEST_CASE("a file that is empty, or ends where a block does, rests longer before it is believed",
          "[identity][file]") {
  const int lines = GENERATE(0, 128);
  Followed<DnsmasqText> file;
  file.write(dnsmasq_line(1));
  CHECK(file.turn().size() == 3);
  std::string text;
  for (int i = 0; i < lines; ++i) text += dnsmasq_line(1 + i % 9).insert(0, "0000");
  text = text.substr(0, text.size() / 4096 * 4096);
  if (!text.empty()) text.back() = '\n';
  REQUIRE(text.size() % 4096 == 0);
  file.write(text);
  CHECK(file.turn(FileSource::kRest * 3).empty());
  file.clock.advance(FileSource::kLongRest);
  file.turns();
  const Story told = file.story.take();
  REQUIRE_FALSE(told.empty());
  CHECK(told.front() == "begin");
}

TEST_CASE("nothing ends by a rewritten file whose last line has no end", "[identity][file]") {
  Followed<DnsmasqText> file;
  file.story.tells_followed = true;
  file.write(dnsmasq_line(1) + "0 02:00:00:00:00:02 10.0.0.2 * ");
  CHECK(file.short_turn() == Story{"begin", "seen 10.0.0.1", "refused"});
  file.append("*\n");
  CHECK(file.short_turn() == Story{"begin", "seen 10.0.0.1", "seen 10.0.0.2", "end", "followed"});
}

TEST_CASE("a list's last line needs no end, and a row is told when its time comes", "[identity][file]") {
  Followed<CsvText> file;
  const auto in = [&](int seconds) { return text_of(file.now + std::chrono::seconds(seconds)); };
  file.write("prefix,name,from,until\n10.0.0.1,old,1000," + in(30) + "\n10.0.0.1,new," + in(30) + ",");
  CHECK(file.short_turn() == Story{"begin", "seen 10.0.0.1", "end"});
  CHECK(file.short_turn().empty());
  file.now += std::chrono::seconds(31);
  const Story told = file.turn();
  REQUIRE(told.size() == 5);
  CHECK(told[1].starts_with("seen 10.0.0.1 static old "));
  CHECK(told[2].starts_with("ended 10.0.0.1 id=1000 at "));
  CHECK(told[3].starts_with("seen 10.0.0.1 static new "));
}

TEST_CASE("what is appended is read without the rest", "[identity][file]") {
  Followed<KeaText> file;
  file.write(std::string(kKeaHeader) + kea_line(1, 1000));
  CHECK(file.short_turn() == Story{"begin", "seen 10.0.0.1", "end"});
  file.append(kea_line(2, 1001));
  CHECK(file.short_turn() == Story{"seen 10.0.0.2"});
  file.append(kea_line(1, 1000, 0));
  CHECK(file.short_turn() == Story{"ended 10.0.0.1"});
  CHECK(file.short_turn().empty());
}

TEST_CASE("a line that is appended in two parts, cut anywhere, is one", "[identity][file]") {
  const std::string text =
      std::string(kKeaHeader) + kea_line(1, 1000) + kea_line(2, 1001) + kea_line(1, 1000, 0);
  const Story whole = [&] {
    Followed<KeaText> file;
    file.write(text);
    Story told = file.short_turn();
    std::erase(told, "end");
    return told;
  }();
  REQUIRE(whole.size() == 4);
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    Followed<KeaText> file;
    file.write(text.substr(0, cut));
    Story told = file.short_turn();
    file.append(text.substr(cut));
    for (std::string& line : file.short_turn()) told.push_back(std::move(line));
    std::erase(told, "end");
    INFO("cut at byte " << cut);
    REQUIRE(told == whole);
  }
}

TEST_CASE("a file of dhcpd's cut at any byte tells no lease that is not in it", "[identity][file]") {
  const std::string text = read_file(NATSESSION_FUZZ_CORPUS "/identity_dhcpd/leases6");
  const Story whole = story_of<DhcpdText>(text, at_unix(1796067600));
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    const std::string part = text.substr(0, text.rfind('\n', cut) + 1);
    const Story told = story_of<DhcpdText>(part, at_unix(1796067600));
    INFO("cut at byte " << cut);
    REQUIRE(told.size() <= whole.size());
    REQUIRE(std::equal(told.begin(), told.end(), whole.begin()));
  }
}

TEST_CASE("Kea's clean-up of its leases loses none, and is no new beginning", "[identity][file]") {
  Followed<KeaText> file;
  file.story.tells_followed = true;
  file.write(std::string(kKeaHeader) + kea_line(1, 1000));
  (void)file.turn();
  // Kea writes a last line, moves the file away, and begins another.
  file.append(kea_line(2, 1001));
  std::filesystem::rename(file.path, file.path + ".1");
  CHECK(file.turn(std::chrono::seconds(1)).size() == 1);
  file.write(std::string(kKeaHeader) + kea_line(3, 1002));
  CHECK(file.short_turn() == Story{"seen 10.0.0.3", "followed", "followed"});
  // The next time the clean-up is done before anybody looks.
  file.append(kea_line(4, 1003));
  write_file(file.path + ".2", std::string(kKeaHeader));
  std::filesystem::remove(file.path + ".1");
  file.replace(std::string(kKeaHeader) + kea_line(5, 1004));
  CHECK(file.short_turn() == Story{"seen 10.0.0.4", "seen 10.0.0.5", "followed", "followed"});
}

TEST_CASE("at the start Kea's leases are those of all its files, the older ones first", "[identity][file]") {
  Followed<KeaText> file;
  write_file(file.path + ".2", std::string(kKeaHeader) + kea_line(1, 1000));
  write_file(file.path + ".1", std::string(kKeaHeader) + kea_line(2, 1001));
  file.write(std::string(kKeaHeader) + kea_line(3, 1002));
  CHECK(file.short_turn() == Story{"begin", "seen 10.0.0.1", "seen 10.0.0.2", "seen 10.0.0.3", "end"});
  Followed<KeaText> other;
  write_file(other.path + ".completed", std::string(kKeaHeader) + kea_line(1, 1000));
  write_file(other.path + ".2", std::string(kKeaHeader) + kea_line(2, 1001));
  other.write(std::string(kKeaHeader) + kea_line(3, 1002));
  CHECK(other.short_turn() == Story{"begin", "seen 10.0.0.1", "seen 10.0.0.3", "end"});
}

TEST_CASE("a lease that was released in the last line of the file before has ended", "[identity][file]") {
  Followed<KeaText> file;
  write_file(file.path + ".1", std::string(kKeaHeader) + kea_line(1, 1000) + kea_line(1, 1000, 0));
  file.write(std::string(kKeaHeader));
  CHECK(file.short_turn() == Story{"begin", "seen 10.0.0.1", "ended 10.0.0.1", "end"});
}

TEST_CASE("a file in the place of another is read whole, after the rest of the other", "[identity][file]") {
  Followed<DhcpdText> file;
  const auto lease = [](int host) {
    return "lease 10.0.0." + std::to_string(host) +
           " {\n starts epoch 1000;\n binding state active;\n uid 01:0" + std::to_string(host) + ";\n}\n";
  };
  file.write(lease(1));
  CHECK(file.short_turn() == Story{"begin", "seen 10.0.0.1", "end"});
  file.append(lease(2));
  file.replace(lease(2) + lease(3));
  CHECK(file.short_turn() == Story{"seen 10.0.0.2", "begin", "seen 10.0.0.2", "seen 10.0.0.3", "end"});
}

TEST_CASE("a file that is shortened is read anew, and it is told that something may be missing",
          "[identity][file]") {
  Followed<KeaText> file;
  file.write(std::string(kKeaHeader) + kea_line(1, 1000) + kea_line(2, 1000));
  (void)file.turn();
  file.write(std::string(kKeaHeader) + kea_line(3, 1000));
  CHECK(file.short_turn() == Story{"lost", "begin", "seen 10.0.0.3", "end"});
}

TEST_CASE("a file that is not there is told once, waited for, and not followed meanwhile",
          "[identity][file]") {
  Followed<KeaText> file;
  file.story.tells_followed = true;
  CHECK(file.turn() == Story{"lost " + file.path + ": it is not there; waiting for it"});
  CHECK(file.turn().empty());
  file.write(std::string(kKeaHeader) + kea_line(1, 1000));
  // Since it was made, too: all of that is in it.
  CHECK(file.short_turn() == Story{"followed", "begin", "seen 10.0.0.1", "end", "followed", "followed"});
  std::filesystem::rename(file.path, file.path + ".away");
  CHECK(file.short_turn() == Story{"lost"});
  std::filesystem::rename(file.path + ".away", file.path);
  CHECK(file.short_turn() == Story{"followed", "followed"});
}

TEST_CASE("a gap between a file and the next of its name is no loss if it is short", "[identity][file]") {
  Followed<DnsmasqText> file;
  file.write(dnsmasq_line(1));
  (void)file.turn();
  std::filesystem::remove(file.path);
  CHECK(file.turn(std::chrono::milliseconds(500)).empty());
  file.write(dnsmasq_line(2));
  CHECK(file.short_turn() == Story{"begin", "seen 10.0.0.2", "end"});
  std::filesystem::remove(file.path);
  CHECK(file.short_turn() == Story{"lost"});
}

TEST_CASE("what is no file is told and does not hold up", "[identity][file]") {
  Followed<KeaText> file;
  REQUIRE(::mkfifo(file.path.c_str(), 0600) == 0);
  CHECK(file.turn() == Story{"lost " + file.path + ": it is no file that can be followed"});
  CHECK(file.turn().empty());
}

TEST_CASE("a line that is too long is refused, and the one behind it told", "[identity][file]") {
  Followed<KeaText> file;
  file.write(std::string(kKeaHeader) + std::string(200'000, 'x') + "\n" + kea_line(1, 1000));
  CHECK(file.short_turn() == Story{"begin", "refused", "seen 10.0.0.1", "end"});
  file.append(std::string(FileSource::kMaxLine + 1, 'y') + "\n" + kea_line(2, 1000));
  CHECK(file.short_turn() == Story{"refused", "seen 10.0.0.2"});
}

TEST_CASE("a history is told once, also where it is moved away", "[identity][file]") {
  Followed<RadiusDetailText> file;
  const auto entry = [](int host) {
    const std::string number = std::to_string(host);
    return "Mon Nov 30 19:39:16 2026\n\tAcct-Status-Type = Start\n\tAcct-Session-Id = \"" + number +
           "\"\n\tUser-Name = \"a\"\n\tFramed-IP-Address = 10.0.0." + number + "\n\tTimestamp = 1000\n\n";
  };
  file.write(entry(1));
  CHECK(file.short_turn() == Story{"seen 10.0.0.1"});
  std::filesystem::rename(file.path, file.path + ".1");
  std::ofstream(file.path + ".1", std::ios::app) << entry(2);
  CHECK(file.short_turn() == Story{"seen 10.0.0.2", "lost"});
  file.write(entry(3));
  CHECK(file.short_turn() == Story{"seen 10.0.0.3"});
}

TEST_CASE("a change wakes who waits for it", "[identity][file]") {
  Followed<KeaText> file;
  file.write(std::string(kKeaHeader));
  (void)file.turn();
  const auto is_awake = [&] {
    pollfd wait{file.source.fd(), POLLIN, 0};
    return ::poll(&wait, 1, 0) == 1;
  };
  CHECK_FALSE(is_awake());
  file.append(kea_line(1, 1000));
  CHECK(is_awake());
  (void)file.turn();
  file.replace(std::string(kKeaHeader) + kea_line(2, 1000));
  CHECK(is_awake());
  (void)file.turn();
  CHECK_FALSE(is_awake());
  file.append(kea_line(3, 1000));
  CHECK(is_awake());
}

TEST_CASE("a large file takes many turns, none of them long", "[identity][file]") {
  TempDir folder;
  std::string text(kKeaHeader);
  for (int i = 0; i < 200'000; ++i)
    text += "10." + std::to_string(i >> 16) + "." + std::to_string((i >> 8) & 255) + "." +
            std::to_string(i & 255) + ",02:00:00:00:00:01,01:02:00:00:00:00:01,120,1120,1,0,0,host,0,\n";
  write_file(folder.file("leases"), text);
  const SystemClock clock;
  FileSource source("kea", folder.file("leases"), std::make_unique<KeaText>(), clock);
  REQUIRE(source.open());
  struct Counter final : IdentityOutput {
    void begin_whole() override {}
    void end_whole(UnixMs) override { whole = true; }
    void seen(const SeenAssignment&, UnixMs) override { ++count; }
    void ended(const Prefix&, std::string_view, UnixMs) override {}
    void ended_between(const Prefix&, std::string_view, UnixMs, UnixMs) override {}
    void ended_group(std::string_view, UnixMs) override {}
    void ended_session(std::string_view, std::string_view, UnixMs) override {}
    void followed(UnixMs) override { followed_too_early |= !whole && ++followed_count > 1; }
    void lost(std::string_view) override {}
    void refused(std::string_view, std::string_view) override {}
    int count = 0, followed_count = 0;
    bool whole = false, followed_too_early = false;
  } output;
  int turns = 0;
  while (source.turn(to_ms(clock.now()), output).count() == 0) ++turns;
  CHECK(turns > 1);
  CHECK(output.count == 200'000);
  CHECK(output.whole);
  CHECK_FALSE(output.followed_too_early);  // but for the time when the file was made
}

TEST_CASE(
    "a file that is moved to its place wakes who watches its folder, though the folder itself is watched, "
    "too",
    "[identity]") {
  TempDir folder;
  FileWatch watch;
  REQUIRE(watch.open());
  const auto wakes = [&] {
    pollfd poller{watch.fd(), POLLIN, 0};
    return ::poll(&poller, 1, 1000) == 1;
  };
  write_file(folder.file(".#eth0"), "[]");
  watch.watch(folder.path().string());
  watch.watch(folder.path().string() + "/.");
  std::filesystem::rename(folder.file(".#eth0"), folder.file("eth0"));
  CHECK(wakes());
  watch.drain();
  std::filesystem::remove(folder.file("eth0"));
  CHECK(wakes());
}

TEST_CASE("what is in no file of systemd-networkd's at the start may have ended up to then",
          "[identity][networkd]") {
  TempDir folder;
  write_file(folder.file("eth0"),
             "[{\"Address\":[10,0,0,1],\"ClientId\":[1,2]}]");  // another's went meanwhile
  IdentityStory story;
  const UnixMs now = to_ms(SystemClock().now()) + std::chrono::minutes(5);
  NetworkdSource source("networkd", {folder.path().string()});
  REQUIRE(source.open());
  (void)source.turn(now, story);
  CHECK(story.take().back() == "end " + text_of(now));
}

TEST_CASE("leases of systemd-networkd are those of all interfaces, until their file goes",
          "[identity][networkd]") {
  TempDir folder;
  IdentityStory story;
  const UnixMs now = to_ms(SystemClock().now()) + std::chrono::seconds(5);
  const auto turn = [&](NetworkdSource& source) {
    (void)source.turn(now, story);
    Story told = story.take();
    for (std::string& line : told) line = line.substr(0, line.find(' ', 5));
    return told;
  };
  NetworkdSource absent("networkd", {folder.file("none")});
  REQUIRE(absent.open());
  CHECK(turn(absent).size() == 1);
  CHECK(turn(absent).empty());
  NetworkdSource source("networkd", {folder.path().string(), folder.file("none")});
  REQUIRE(source.open());
  CHECK(turn(source) == Story{"begin", "end " + text_of(now)});
  write_file(folder.file("eth0"), "[{\"Address\":[10,0,0,1],\"ClientId\":[1,2]}]");
  write_file(folder.file("eth1"), "[{\"Address\":[10,0,0,2],\"ClientId\":[1,3]}]");
  write_file(folder.file(".#half"), "[{\"Addr");
  Story told = turn(source);
  REQUIRE(told.size() == 4);
  CHECK(told[1] == "seen 10.0.0.1");
  CHECK(told[2] == "seen 10.0.0.2");
  CHECK(turn(source).empty());
  std::filesystem::remove(folder.file("eth0"));
  CHECK(turn(source) == Story{"begin", "seen 10.0.0.2", "end " + text_of(now)});
  write_file(folder.file("eth1"), "[{\"Address\"");
  told = turn(source);
  CHECK(told.size() == 3);
  CHECK(std::none_of(told.begin(), told.end(),
                     [](const std::string& line) { return line.starts_with("end "); }));
}

}  // namespace natsession::testing
