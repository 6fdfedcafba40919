// What one event costs within the process, apart from receiving it: decode, track, encode.
//
// Workloads: NEW and DESTROY of UDP sessions with source NAT, IPv4, with counters and stamps, as the kernel
// writes them (built here, attribute by attribute); 1,000,000 sessions, of which 10,000 and all are alive at
// once. Usage: pipeline_bench [SESSIONS]
#include <linux/netfilter/nfnetlink_conntrack.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "conntrack/decoder.h"
#include "record/encoder.h"
#include "session/tracker.h"
#include "support/nl_message_builder.h"

namespace natsession {
namespace {

using Steady = std::chrono::steady_clock;

double ns_since(Steady::time_point start, std::size_t count) {
  return std::chrono::duration<double, std::nano>(Steady::now() - start).count() / static_cast<double>(count);
}

// Resident memory of this process.
std::size_t resident_bytes() {
  std::size_t pages = 0;
  std::ifstream statm("/proc/self/statm");
  statm >> pages >> pages;
  return pages * 4096;
}

ConntrackEvent session_event(std::uint32_t number, EventType type) {
  ConntrackEvent event;
  event.type = type;
  event.protocol = 17;
  event.id = number * 2654435761U;
  event.status = kStatusSrcNat;
  event.original.src = IpAddress::from_v4(0x0200000a + (number % 20'000) * 256);
  event.original.dst = event.reply.src = IpAddress::from_v4(0x076433c6);
  event.reply.dst = IpAddress::from_v4(0x017100cb);
  event.original.src_port = event.reply.dst_port = static_cast<std::uint16_t>(number % 60'000 + 1024);
  event.original.dst_port = event.reply.src_port = 443;
  if (type == EventType::kDestroy) {
    event.original_counters = Counters{7, 1234};
    event.reply_counters = Counters{9, 56789};
    event.start = UnixNs(std::chrono::seconds(1'795'263'662));
    event.stop = UnixNs(std::chrono::seconds(1'795'263'670));
  }
  return event;
}

class CountingOutput final : public RecordOutput {
 public:
  void emit(const SessionRecord& record) override {
    ++count;
    last = record;
  }
  [[nodiscard]] bool has_room() override { return true; }
  std::size_t count = 0;
  SessionRecord last;
};

// What the kernel writes for such a session, in its order.
testing::NlMessageBuilder::Bytes session_message(std::uint32_t number, EventType type) {
  using testing::NlMessageBuilder;
  const auto port = static_cast<std::uint16_t>(number % 60'000 + 1024);
  const bool created = type == EventType::kNew;
  auto message = NlMessageBuilder::event(created ? NlMessageBuilder::kNew : NlMessageBuilder::kDestroy);
  message.tuple(CTA_TUPLE_ORIG, testing::udp("10.0.0.2", port, "198.51.100.7", 443))
      .tuple(CTA_TUPLE_REPLY, testing::udp("198.51.100.7", 443, "203.0.113.1", port))
      .be32(CTA_STATUS, 0x1be);
  if (created) {
    message.be32(CTA_TIMEOUT, 30).be32(CTA_MARK, 0);
  } else {
    message.counters(CTA_COUNTERS_ORIG, 7, 1234).counters(CTA_COUNTERS_REPLY, 9, 56789);
    message.nest(CTA_TIMESTAMP, [](NlMessageBuilder& stamps) {
      stamps.be64(CTA_TIMESTAMP_START, 1'795'263'662'108'000'001)
          .be64(CTA_TIMESTAMP_STOP, 1'795'263'663'000'000'002);
    });
  }
  return message.be32(CTA_ID, number).build();
}

void bench_decode(std::size_t events) {
  std::vector<testing::NlMessageBuilder::Bytes> messages;
  for (std::uint32_t i = 0; i < 512; ++i) {
    messages.push_back(session_message(i, i % 2 == 0 ? EventType::kNew : EventType::kDestroy));
  }
  DecodeCounters counters;
  std::uint64_t sum = 0;
  const auto start = Steady::now();
  for (std::size_t i = 0; i < events; ++i) {
    ConntrackEvent event;
    if (decode_new(messages[i % messages.size()], event, counters) == DecodeResult::kEvent) sum += event.id;
  }
  std::printf("decode            %7.1f ns an event   (checksum %lu)\n", ns_since(start, events), sum);
}

// Sessions end in an order of their own, as in a table that the kernel goes through by its hash: of the first
// `alive` and then of each further so many the one at this place.
std::uint32_t scattered(std::uint32_t number, std::uint32_t alive) {
  constexpr std::uint64_t kPrime = 2'147'483'647;
  const std::uint32_t place = number % alive;
  return number - place + static_cast<std::uint32_t>(place * kPrime % alive);
}

// `alive` divides `sessions`. Events come 64 at once, as the daemon takes them. The time to make them up does
// not count.
void bench_track(std::uint32_t sessions, std::uint32_t alive) {
  const Origin origin{"bench", ""};
  const VpcMap vpcs;
  CountingOutput output;
  Tracker tracker({}, origin, vpcs, output);
  tracker.set_now(UnixNs(std::chrono::seconds(1'795'263'662)));
  std::vector<ConntrackEvent> burst;
  Steady::duration spent{};
  const auto add = [&](const ConntrackEvent& event, bool last) {
    burst.push_back(event);
    if (burst.size() < 64 && !last) return;
    const auto start = Steady::now();
    tracker.on_events(burst);
    spent += Steady::now() - start;
    burst.clear();
  };
  for (std::uint32_t number = 0; number < sessions + alive; number += alive) {
    for (std::uint32_t i = number; i < number + alive && number < sessions; ++i)
      add(session_event(i, EventType::kNew), i + 1 == number + alive);
    for (std::uint32_t i = number; i < number + alive && number >= alive; ++i)
      add(session_event(scattered(i, alive) - alive, EventType::kDestroy), i + 1 == number + alive);
  }
  std::printf("track             %7.1f ns an event   (%u alive at once, %zu records)\n",
              std::chrono::duration<double, std::nano>(spent).count() / (2.0 * sessions), alive,
              output.count);
}

void bench_memory(std::uint32_t sessions) {
  const Origin origin{"bench", ""};
  const VpcMap vpcs;
  CountingOutput output;
  const std::size_t before = resident_bytes();
  Tracker tracker({}, origin, vpcs, output);
  for (std::uint32_t number = 0; number < sessions; ++number)
    tracker.on_event(session_event(number, EventType::kNew));
  std::printf("memory            %7.1f bytes a live IPv4 session (%u alive)\n",
              static_cast<double>(resident_bytes() - before) / sessions, sessions);
}

void bench_encode(std::size_t records) {
  const Origin origin{"nat-gateway-1", ""};
  const VpcMap vpcs;
  CountingOutput output;
  Tracker tracker({}, origin, vpcs, output);
  tracker.on_event(session_event(77'777, EventType::kDestroy));
  for (const RecordFormat format : {RecordFormat::kJson, RecordFormat::kCsv, RecordFormat::kLogfmt}) {
    const auto encoder = make_encoder(
        {.format = format, .time_format = TimeFormat::kUnix, .fields = FieldSet::kAll, .with_netns = false});
    std::string out;
    std::size_t bytes = 0;
    const auto start = Steady::now();
    for (std::size_t i = 0; i < records; ++i) {
      encoder->append(output.last, out);
      if (out.size() < 100'000) continue;
      bytes += out.size();
      out.clear();
    }
    bytes += out.size();
    std::printf("encode %-10s %7.1f ns a record   (%.0f bytes each)\n",
                std::string(to_string(format)).c_str(), ns_since(start, records),
                static_cast<double>(bytes) / static_cast<double>(records));
  }
}

}  // namespace
}  // namespace natsession

int main(int argc, char** argv) {
  auto sessions = static_cast<std::uint32_t>(argc > 1 ? std::atoi(argv[1]) : 1'000'000);
  sessions = std::max(sessions / 100 * 100, 100U);
  natsession::bench_memory(sessions);  // first, while nothing else has left memory behind
  natsession::bench_decode(2UL * sessions);
  natsession::bench_track(sessions, sessions / 100);
  natsession::bench_track(sessions, sessions);
  natsession::bench_encode(sessions);
  return 0;
}
