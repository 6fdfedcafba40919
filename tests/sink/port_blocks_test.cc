#include "sink/blocks/port_blocks.h"

#include <map>
#include <random>
#include <set>

#include <catch2/catch.hpp>

#include "sink/blocks/block_sink.h"
#include "sink/sink_fixture.h"

using namespace natsession;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using namespace natsession::testing;

namespace {

const Prefix kInside = *Prefix::parse("10.0.0.0/8");

IpAddress host(unsigned number) {
  return *IpAddress::parse("10.0.0." + std::to_string(number));
}

SessionRecord session(std::uint64_t id, const IpAddress& pri_ip, std::uint16_t port, RecordEvent event,
                      std::int64_t from, std::int64_t to, std::uint32_t seq = 0) {
  SessionRecord record = numbered_record(seq);
  record.session_id = id;
  record.pri_ip = pri_ip;
  record.nat_port = port;
  record.event = event;
  record.start_time = at_second(from);
  record.end_time = at_second(to);
  return record;
}

PortBlockSettings settings(std::chrono::milliseconds settle = 0s) {
  return {.prefixes = {kInside}, .size = 100, .from = 1000, .idle = 60s, .settle = settle};
}

// event host first-last from to, for each block; a session as itself.
std::vector<std::string> told(const std::vector<SessionRecord>& records) {
  std::vector<std::string> all;
  for (const SessionRecord& record : records) {
    const auto second = [](UnixMs time) { return std::to_string(time.time_since_epoch().count() / 1000); };
    std::string text(to_string(record.event));
    text += " " + record.pri_ip.to_string() + " " + std::to_string(record.nat_port);
    if (is_block(record.event))
      text += "-" + std::to_string(record.orig_dst_port) + " " + second(record.start_time);
    if (record.event == RecordEvent::kFree) text += " " + second(record.end_time);
    all.push_back(text);
  }
  return all;
}

class Told {
 public:
  explicit Told(const PortBlockSettings& settings) : blocks(settings) {}
  std::vector<std::string> operator()(const SessionRecord& record) {
    std::vector<SessionRecord> out;
    blocks.put(record, out);
    blocks.keep(1);
    return told(out);
  }
  PortBlocks blocks;
};

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("a block is told when its first session begins and when the last has ended", "[sink][blocks]") {
  Told told(settings());
  CHECK(told(session(1, host(1), 1010, RecordEvent::kInterim, 100, 110)) ==
        Lines{"allocate 10.0.0.1 1000-1099 100"});
  CHECK(told(session(2, host(1), 1099, RecordEvent::kEnd, 105, 120)).empty());
  CHECK(told(session(3, host(2), 1100, RecordEvent::kEnd, 106, 130)) ==
        Lines{"allocate 10.0.0.2 1100-1199 106"});
  CHECK(told(session(1, host(1), 1010, RecordEvent::kEnd, 110, 150, 1)).empty());
  // The second host's is idle for a minute, then the first's.
  CHECK(told(session(4, host(3), 5000, RecordEvent::kEnd, 189, 190)) ==
        Lines{"free 10.0.0.2 1100-1199 106 130", "allocate 10.0.0.3 5000-5099 189"});
  CHECK(told(session(4, host(3), 5001, RecordEvent::kEnd, 189, 210)) ==
        Lines{"free 10.0.0.1 1000-1099 100 150"});
  CHECK(told(session(5, host(4), 1000, RecordEvent::kEnd, 200, 211)) ==
        Lines{"allocate 10.0.0.4 1000-1099 200"});
}

TEST_CASE("a session that began before its block was told is claimed as well", "[sink][blocks]") {
  Told told(settings());
  CHECK(told(session(1, host(1), 1010, RecordEvent::kEnd, 100, 110)) ==
        Lines{"allocate 10.0.0.1 1000-1099 100"});
  CHECK(told(session(2, host(1), 1011, RecordEvent::kEnd, 90, 111)) ==
        Lines{"allocate 10.0.0.1 1000-1099 90"});
  CHECK(told(session(3, host(1), 1012, RecordEvent::kEnd, 95, 112)).empty());
}

TEST_CASE("a session that began while the block was another host's is told one by one", "[sink][blocks]") {
  Told told(settings());
  told(session(1, host(1), 1010, RecordEvent::kEnd, 100, 110));
  CHECK(told(session(2, host(2), 1011, RecordEvent::kEnd, 109, 200)) ==
        Lines{"free 10.0.0.1 1000-1099 100 110", "end 10.0.0.2 1011"});
  CHECK(told(session(3, host(2), 1012, RecordEvent::kEnd, 110, 201)) ==
        Lines{"allocate 10.0.0.2 1000-1099 110"});
  CHECK(told(session(4, host(2), 1013, RecordEvent::kEnd, 108, 202)) == Lines{"end 10.0.0.2 1013"});
}

TEST_CASE("what is outside of the prefixes or below the blocks is told as it is", "[sink][blocks]") {
  Told told(settings());
  CHECK(told(session(1, *IpAddress::parse("192.168.0.1"), 1010, RecordEvent::kEnd, 1, 2)) ==
        Lines{"end 192.168.0.1 1010"});
  CHECK(told(session(2, host(1), 999, RecordEvent::kEnd, 1, 2)) == Lines{"end 10.0.0.1 999"});
  CHECK(told.blocks.blocks() == 0);
}

TEST_CASE("the last block ends with the last port", "[sink][blocks]") {
  Told told(settings());
  CHECK(told(session(1, host(1), 65535, RecordEvent::kEnd, 1, 2)) ==
        Lines{"allocate 10.0.0.1 65500-65535 1"});
}

TEST_CASE("a session in another host's block is told one by one, and that it is so once", "[sink][blocks]") {
  Told told(settings());
  told(session(1, host(1), 1010, RecordEvent::kInterim, 100, 110));
  CHECK(told(session(2, host(2), 1011, RecordEvent::kInterim, 100, 111)) == Lines{"interim 10.0.0.2 1011"});
  CHECK(told(session(2, host(2), 1011, RecordEvent::kEnd, 111, 112, 1)) == Lines{"end 10.0.0.2 1011"});
  const auto shared = told.blocks.take_shared();
  REQUIRE(shared);
  CHECK(shared->holder == host(1));
  CHECK(shared->other == host(2));
  told(session(3, host(2), 1012, RecordEvent::kEnd, 112, 113));
  CHECK_FALSE(told.blocks.take_shared());
}

TEST_CASE("blocks of several addresses, zones and instances are apart", "[sink][blocks]") {
  Told told(settings());
  const Origin other{"nat-2", ""};
  auto record = session(1, host(1), 1010, RecordEvent::kInterim, 100, 110);
  CHECK(told(record).size() == 1);
  record.session_id = 2;
  record.pri_ip = host(2);
  record.zone = 7;
  CHECK(told(record) == Lines{"allocate 10.0.0.2 1000-1099 100"});
  record.zone = 0;
  record.origin = &other;
  CHECK(told(record) == Lines{"allocate 10.0.0.2 1000-1099 100"});
  record.origin = &test_origin();
  record.nat_ip = *IpAddress::parse("203.0.113.9");
  CHECK(told(record) == Lines{"allocate 10.0.0.2 1000-1099 100"});
}

TEST_CASE("nothing is free before each open session must have had a record", "[sink][blocks]") {
  Told told(settings(1000s));
  told(session(1, host(1), 1010, RecordEvent::kEnd, 90, 100));  // begins at 100
  CHECK(told(session(2, host(2), 5000, RecordEvent::kInterim, 90, 1099)).size() == 1);
  // A session of the first block was open all the time, and tells so late.
  CHECK(told(session(3, host(1), 1020, RecordEvent::kInterim, 90, 1099, 1)).empty());
  CHECK(told(session(2, host(2), 5000, RecordEvent::kInterim, 1099, 1200, 1)).empty());
  CHECK(told(session(3, host(1), 1020, RecordEvent::kEnd, 1099, 1201, 2)).empty());
  CHECK(told(session(2, host(2), 5000, RecordEvent::kInterim, 1200, 1261, 2)) ==
        Lines{"free 10.0.0.1 1000-1099 90 1201"});
}

TEST_CASE("where records were lost, blocks are told anew and none is free for a while", "[sink][blocks]") {
  const auto reason = GENERATE(RecordReason::kLedgerFull, RecordReason::kSinkStalled, RecordReason::kDamaged);
  Told told(settings(1000s));
  told(session(1, host(1), 1010, RecordEvent::kInterim, 0, 10));
  SessionRecord gap = session(0, IpAddress(), 0, RecordEvent::kGap, 1500, 2000);
  gap.reason = reason;
  CHECK(told(gap) == Lines{"gap :: 0"});
  CHECK(told.blocks.open_sessions() == 0);
  CHECK(told(session(2, host(2), 1010, RecordEvent::kEnd, 2000, 2001)) ==
        Lines{"allocate 10.0.0.2 1000-1099 2000"});
  CHECK(told(session(3, host(3), 5000, RecordEvent::kEnd, 2000, 2999)) ==
        Lines{"allocate 10.0.0.3 5000-5099 2000"});
  CHECK(told(session(3, host(3), 5000, RecordEvent::kEnd, 2000, 3000)) ==
        Lines{"free 10.0.0.2 1000-1099 2000 2001"});
}

TEST_CASE("a gap of another kind forgets nothing: who was open has a record", "[sink][blocks]") {
  Told told(settings());
  told(session(1, host(1), 1010, RecordEvent::kInterim, 0, 10));
  SessionRecord gap = session(0, IpAddress(), 0, RecordEvent::kGap, 15, 20);
  gap.reason = RecordReason::kOverrun;
  CHECK(told(gap) == Lines{"gap :: 0"});
  CHECK(told(session(1, host(1), 1010, RecordEvent::kInterim, 10, 30, 1)).empty());
}

namespace {

// Random sessions of hosts that have each a block, now and then one of another; records in the order of their
// ends.
std::vector<SessionRecord> random_log(std::mt19937& random, bool forgets = true) {
  const auto below = [&](unsigned count) {
    return std::uniform_int_distribution<unsigned>(0, count - 1)(random);
  };
  std::vector<SessionRecord> log;
  std::vector<SessionRecord> open;
  std::int64_t now = 1000;
  for (std::uint64_t id = 1; log.size() < 400; ++id) {
    now += below(30);
    if (below(40) == 0) now += 300;
    if (below(60) == 0) {
      SessionRecord gap = session(0, IpAddress(), 0, RecordEvent::kGap, now - 1, now);
      gap.reason = forgets && below(2) == 0 ? RecordReason::kLedgerFull : RecordReason::kOverrun;
      log.push_back(gap);
    }
    if (!open.empty() && below(3) != 0) {
      const std::size_t at = below(static_cast<unsigned>(open.size()));
      SessionRecord& record = open[at];
      record.start_time = std::exchange(record.end_time, at_second(now));
      ++record.seq;
      record.event = below(2) == 0 ? RecordEvent::kEnd : RecordEvent::kInterim;
      log.push_back(record);
      if (record.event == RecordEvent::kEnd) open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));
      continue;
    }
    const unsigned number = 1 + below(6);
    const auto port =
        static_cast<std::uint16_t>(1000 + 100 * (below(12) == 0 ? below(6) : number) + below(100));
    log.push_back(session(id, host(number), port, below(2) == 0 ? RecordEvent::kEnd : RecordEvent::kInterim,
                          now - below(100), now));
    if (log.back().event == RecordEvent::kInterim) open.push_back(log.back());
  }
  return log;
}

// A sink that takes what it feels like.
class Moody final : public Sink {
 public:
  explicit Moody(std::mt19937& random) : random_(random) {}
  [[nodiscard]] std::string_view name() const override { return "moody"; }
  Answer deliver(std::span<const SessionRecord> records) override {
    const auto below = [&](std::size_t count) {
      return std::uniform_int_distribution<std::size_t>(0, count - 1)(random_);
    };
    const std::size_t taken = below(2) == 0 ? records.size() : below(records.size() + 1);
    got.insert(got.end(), records.begin(), records.begin() + static_cast<std::ptrdiff_t>(taken));
    if (taken == records.size()) return Answer::delivered(taken);
    return Answer::retry_later(taken, "not in the mood");
  }
  std::vector<SessionRecord> got;

 private:
  std::mt19937& random_;
};

}  // namespace

TEST_CASE("a sink that takes a part, again and again, is told what one that takes all is", "[sink][blocks]") {
  const auto seed = GENERATE(range(1U, 60U));
  std::mt19937 random(seed);
  const auto log = random_log(random);
  PortBlocks whole(settings(200s));
  std::vector<SessionRecord> expected;
  for (const SessionRecord& record : log) {
    whole.put(record, expected);
    whole.keep(1);
  }
  auto moody = std::make_unique<Moody>(random);
  const Moody& behind = *moody;
  BlockSink sink(std::move(moody), settings(200s));
  for (std::size_t at = 0; at < log.size();) {
    const std::size_t batch = std::uniform_int_distribution<std::size_t>(1, 50)(random);
    const Answer answer = sink.deliver(std::span(log).subspan(at, std::min(batch, log.size() - at)));
    at += answer.taken;
  }
  // What a record had caused is told again where only a part of it was taken.
  std::vector<std::string> got = told(behind.got);
  std::vector<std::string> wanted = told(expected);
  std::size_t next = 0;
  for (const std::string& line : got) {
    if (next < wanted.size() && line == wanted[next]) {
      ++next;
    } else {
      const auto before = wanted.begin() + static_cast<std::ptrdiff_t>(next);
      CAPTURE(seed, line, next);
      CHECK(std::find(wanted.begin(), before, line) != before);
      next = static_cast<std::size_t>(
          std::find(std::make_reverse_iterator(before), wanted.rend(), line).base() - wanted.begin());
    }
  }
  CHECK(next == wanted.size());
}

// Brute force: who had a port at a time, by what was told, is who had it by the log.
TEST_CASE("what is told never names another host than the log does", "[sink][blocks]") {
  const auto seed = GENERATE(range(100U, 200U));
  std::mt19937 random(seed);
  const auto log =
      random_log(random, /*forgets=*/false);  // where records were lost, what was open is told no end
  PortBlocks blocks(settings(200s));
  std::vector<SessionRecord> out;
  for (const SessionRecord& record : log) {
    blocks.put(record, out);
    blocks.keep(1);
  }
  struct Claim {
    IpAddress host;
    UnixMs from, to;
  };
  // As a reader does: an allocate of the same host says when it began, one of another ends what was said
  // before.
  std::map<std::uint16_t, std::vector<Claim>> of_block;
  for (const SessionRecord& record : out) {
    auto& claims = of_block[record.nat_port];
    const bool open = !claims.empty() && claims.back().to == UnixMs::max();
    if (record.event == RecordEvent::kAllocate) {
      if (open && claims.back().host == record.pri_ip) {
        claims.back().from = std::min(claims.back().from, record.start_time);
        continue;
      }
      if (open) claims.back().to = record.start_time;
      claims.push_back({record.pri_ip, record.start_time, UnixMs::max()});
    }
    if (record.event != RecordEvent::kFree) continue;
    REQUIRE(open);
    CHECK(claims.back().host == record.pri_ip);
    CHECK(claims.back().from == record.start_time);
    claims.back().to = record.end_time;
  }
  const auto alone = [&](const SessionRecord& record) {
    return std::any_of(out.begin(), out.end(), [&](const SessionRecord& each) {
      return each.event == record.event && each.session_id == record.session_id && each.seq == record.seq;
    });
  };
  for (const SessionRecord& record : log) {
    if (record.event == RecordEvent::kGap || alone(record)) continue;
    const auto first = static_cast<std::uint16_t>(record.nat_port - (record.nat_port - 1000) % 100);
    CAPTURE(seed, record.nat_port, record.pri_ip.to_string(), record.end_time.time_since_epoch().count());
    std::size_t right = 0;
    for (const Claim& claim : of_block[first]) {
      if (claim.host == record.pri_ip) {
        right += claim.from <= record.start_time && record.end_time <= claim.to ? 1U : 0U;
      } else {
        CHECK((claim.to <= record.start_time || claim.from >= record.end_time));
      }
    }
    CHECK(right >= 1);
  }
}

TEST_CASE("a record that is refused is the one that the block was told for", "[sink][blocks]") {
  class Refusing final : public Sink {
   public:
    [[nodiscard]] std::string_view name() const override { return "refusing"; }
    Answer deliver(std::span<const SessionRecord>) override { return Answer::rejected(1, "no"); }
  };
  BlockSink sink(std::make_unique<Refusing>(), settings());
  const std::vector log{session(1, host(1), 1010, RecordEvent::kInterim, 1, 2),
                        session(2, host(1), 1011, RecordEvent::kInterim, 1, 2),
                        session(3, host(2), 1110, RecordEvent::kInterim, 1, 2)};
  const Answer answer = sink.deliver(log);
  CHECK(answer.kind == Answer::Kind::kRejected);
  CHECK(answer.taken == 2);
}

TEST_CASE("blocks are records of json, with their ports", "[sink][blocks]") {
  const TempDir directory;
  const std::string path = directory.file("log.json");
  auto opened = open_sink(
      "file:" + path +
          "?blocks=10.0.0.0/8,fd00::/8&block_size=100&block_from=1000&block_idle=1m&time_format=unix_ms",
      {}, kStoppedClock);
  REQUIRE(opened);
  CHECK((*opened)->deliver(std::vector{session(1, host(1), 1010, RecordEvent::kEnd, 5, 6)}).kind ==
        Answer::Kind::kDelivered);
  CHECK(
      read_file(path) ==
      R"({"instance":"nat-1","vpc_id":"","pri_ip":"10.0.0.1","nat_ip":"203.0.113.1","nat_port":1000,"nat_port_last":1099,)"
      R"("start_time":5000,"end_time":null,"event":"allocate"})"
      "\n");
  SessionRecord block = numbered_record(0);
  block.event = RecordEvent::kFree;
  block.orig_dst_port = 50099;
  block.zone = 3;
  CHECK(
      text_of({block}, {.with_netns = true}) ==
      R"({"instance":"nat-1","netns":"","vpc_id":"","pri_ip":"10.0.0.2","nat_ip":"203.0.113.1","nat_port":50000,"nat_port_last":50099,)"
      R"("start_time":0.000,"end_time":1.000,"event":"free","zone":3})"
      "\n");
}

TEST_CASE("blocks are asked for where they can be told", "[sink][blocks]") {
  for (const char* const good : {"stdout?blocks=10.0.0.0/8", "file:/x?blocks=::/0,0.0.0.0/0",
                                 "exec:cat?blocks=10.1.2.3", "ipfix://h?blocks=10.0.0.0/8&block_size=64"})
    CHECK(check_sink_url(good).has_value());
  for (const auto& [bad, why] : std::initializer_list<std::pair<const char*, const char*>>{
           {"stdout?blocks=", "blocks"},
           {"stdout?blocks=10.0.0.0/8,", "blocks"},
           {"stdout?blocks=10.0.0.1/8", "10.0.0.1/8"},
           {"stdout?block_size=64", "belong to blocks="},
           {"stdout?blocks=::/0&block_size=1", "block_size"},
           {"journald?blocks=10.0.0.0/8", "unknown option 'blocks'"},
           {"syslog:?blocks=10.0.0.0/8", "unknown option 'blocks'"}}) {
    const auto checked = check_sink_url(bad);
    CAPTURE(bad);
    REQUIRE(!checked);
    CHECK_THAT(checked.error().message, Contains(why));
  }
  const auto csv = open_sink("stdout?blocks=10.0.0.0/8&format=csv", {}, kStoppedClock);
  REQUIRE(!csv);
  CHECK_THAT(csv.error().message, Contains("say format=json"));
}
