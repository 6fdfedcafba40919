// identity_keeper_bench [OPEN [CHANGES_A_SECOND [SECONDS]]]: what the daemon has in memory of whose an
// address is. OPEN leases are told at once, as a file says them at the start; then CHANGES_A_SECOND of them
// go to another client each second of the log's time, and all are renewed in half an hour. Then: bytes of
// memory for each, the processor's time for a second, and what a record's look-up costs, alone, as one of
// many that a sink asks for at once, and as a part of its line of JSON.
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "identity/identity_keeper.h"
#include "identity/sources/accounting.h"
#include "identity_lookup.h"
#include "record/labels.h"
#include "record/subscriber_encoder.h"

namespace {

using namespace natsession;
using std::chrono::seconds;

double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return of(used.ru_utime) + of(used.ru_stime);
}

// The log's files are identity_bench's part.
class NoLog final : public IdentityWriter {
 public:
  void each_open_of(std::string_view, const std::function<void(const AssignmentView&)>&) override {}
  std::optional<UnixMs> followed_until(std::string_view) override { return std::nullopt; }
  void put(const AddressAssignment&) override {}
  void follow(const SourceSpan&) override {}
  Result<void> commit(bool) override { return {}; }
  Result<void> tidy(UnixMs) override { return {}; }
  std::vector<std::string> take_forgotten() override { return {}; }
  bool take_lost() override { return false; }
};

IpAddress address_of(std::uint32_t number) {
  return IpAddress::from_v4(__builtin_bswap32(0x64400000U + number));
}

struct Client {
  explicit Client(std::uint32_t number) {
    char text[32];
    std::snprintf(text, sizeof(text), "02:00:%02x:%02x:%02x:%02x", number >> 24U & 255U, number >> 16U & 255U,
                  number >> 8U & 255U, number & 255U);
    mac = text;
    id = "01:" + mac;
    std::snprintf(text, sizeof(text), "cpe-%07u", number);
    host = text;
  }
  std::string mac, host, id;
};

void see(IdentityOutput& leases, std::uint32_t address, std::uint32_t client, UnixMs at) {
  const Client who(client);
  SeenAssignment seen;
  seen.prefix = Prefix::of(address_of(address), 32);
  seen.kind = AssignmentKind::kLease;
  seen.subscriber = seen.mac = who.mac;
  seen.host = who.host;
  seen.id = who.id;
  seen.expires = at + seconds(3600);
  leases.seen(seen, at);
}

// Of the `count` that `all` does.
template <typename Do>
double ns_of_each(std::size_t count, Do&& all) {
  const double begun = cpu_seconds();
  all();
  return (cpu_seconds() - begun) * 1e9 / static_cast<double>(count);
}

template <typename Do>
double ns_each(std::size_t count, Do&& one) {
  return ns_of_each(count, [&] {
    for (std::size_t i = 0; i < count; ++i) one(i);
  });
}

// Sessions of PPPoE as RADIUS accounting tells them: a user's name with a realm, a MAC, an id of eight
// digits.
void tell_radius(std::uint32_t count) {
  IdentityKeeper keeper(std::make_unique<NoLog>(), {});
  IdentityOutput& radius = keeper.add_source("radius", "");
  const UnixMs now(seconds(1'796'000'000));
  const double begun = cpu_seconds();
  AccountingReport report;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Client who(i);
    char id[16];
    std::snprintf(id, sizeof id, "%08X", i * 2'654'435'761U);
    report.clear();
    report.status = AccountingReport::Status::kStart;
    report.user = "user" + who.host.substr(4) + "@isp.example";
    report.calling_station = who.mac;
    report.session_id = id;
    report.nas_identifier = "bras" + std::to_string(i % 50);
    report.prefixes = {Prefix::of(address_of(i), 32)};
    report.received = now;
    tell_accounting(report, "192.0.2.1", radius);
  }
  radius.followed(now);
  std::printf("told by RADIUS: %u sessions in %.2f s of CPU, %.1f bytes of memory each\n", count,
              cpu_seconds() - begun, static_cast<double>(keeper.report().memory_bytes) / count);
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int place, std::uint32_t usual) {
    return argc > place ? static_cast<std::uint32_t>(std::strtoul(argv[place], nullptr, 10)) : usual;
  };
  const std::uint32_t open = argument(1, 1'000'000), changes = argument(2, 200), length = argument(3, 600);
  const auto kept = std::make_shared<IdentityKeeper>(std::make_unique<NoLog>(), IdentityKeeper::Settings());
  IdentityKeeper& keeper = *kept;
  IdentityOutput& leases = keeper.add_source("leases", "");
  UnixMs now(seconds(1'796'000'000));
  std::vector<std::uint32_t> holders(open);
  const double begun = cpu_seconds();
  leases.begin_whole();
  for (std::uint32_t i = 0; i < open; ++i) see(leases, i, holders[i] = i, now);
  leases.end_whole(now);
  leases.followed(now);
  std::printf("told at once: %u leases in %.2f s of CPU, %.1f bytes of memory each\n", open,
              cpu_seconds() - begun, static_cast<double>(keeper.report().memory_bytes) / open);

  tell_radius(open);

  std::minstd_rand random(17);
  std::uint32_t next_client = open;
  std::uint32_t renewed = 0;
  const double changing = cpu_seconds();
  for (std::uint32_t second = 0; second < length; ++second) {
    now += seconds(1);
    for (std::uint32_t i = 0; i < changes; ++i) {
      const auto address = static_cast<std::uint32_t>(random() % open);
      see(leases, address, holders[address] = next_client++, now);
    }
    for (std::uint32_t i = 0; i < open / 1800; ++i, renewed = (renewed + 1) % open)
      see(leases, renewed, holders[renewed], now);
    leases.followed(now);
    keeper.work(now);
  }
  const std::size_t bytes = keeper.report().memory_bytes;
  std::printf(
      "%u changes and %u renewals a second: %.2f ms of CPU a second; memory %.1f bytes for each open one, "
      "with what "
      "ended in the last 20 minutes\n",
      changes, open / 1800, (cpu_seconds() - changing) * 1e3 / length, static_cast<double>(bytes) / open);

  const Origin* const origin = *intern_origin("nat-1", "");
  std::vector<SessionRecord> records(100'000);
  for (SessionRecord& record : records) {
    record.origin = origin;
    record.protocol = 6;
    record.pri_ip = address_of(static_cast<std::uint32_t>(random() % open));
    record.pub_ip = record.nat_ip = address_of(7);
    record.start_time = now - seconds(5);
    record.end_time = now;
    record.bytes_from_vpc = record.pkts_from_vpc = record.bytes_from_pub = record.pkts_from_pub = Count(1000);
  }
  std::size_t found = 0;
  Subscriber names;
  const double whole = ns_each(records.size(), [&](std::size_t i) {
    found += keeper.find("", records[i].pri_ip, records[i].start_time, records[i].end_time,
                         {&names.subscriber, &names.mac, &names.host});
  });
  // As the daemon has it; none of these is of a time for which it asks the log.
  const SystemClock clock;
  const auto lookup = std::make_shared<const IdentityLookup>(kept, "", clock);
  const SubscriberEncoder with({}, lookup);
  const auto without = make_encoder({});
  std::string line;
  const auto encode = [&](const Encoder& encoder) {
    return ns_of_each(records.size(), [&] {
      encoder.append_each(records, line, [&] {
        line.clear();
        return true;
      });
    });
  };
  std::array<Subscriber, SubscriberLookup::kMostTogether> several;
  const auto together = [&](std::span<const SessionRecord> asked) {
    return ns_of_each(asked.size(), [&] {
      for (std::size_t i = 0; i < asked.size(); i += several.size())
        lookup->find_all(asked.subspan(i, std::min(several.size(), asked.size() - i)), several);
    });
  };
  // What reading the records costs, that go by but once: they are read for their line anyway.
  const auto read = [&](std::span<const SessionRecord> some) {
    return ns_of_each(some.size(), [&] {
      for (const SessionRecord& record : some) {
        asm volatile(""
                     :
                     : "r"(record.origin->netns.data()), "r"(record.pri_ip.bytes()[15]),
                       "r"(record.start_time.time_since_epoch().count()),
                       "r"(record.end_time.time_since_epoch().count()));
      }
    });
  };
  const double reading = read(records);
  const double many = together(records);
  encode(*without);
  const double plain = encode(*without), named = encode(with);
  // Of so many hosts as one box has at work, where 1 million have a lease.
  constexpr std::uint32_t kAtWork = 20'000;
  std::vector<SessionRecord> warm = records;
  for (SessionRecord& record : warm)
    record.pri_ip = address_of(static_cast<std::uint32_t>(random() % std::min(open, kAtWork)) * 37 % open);
  std::size_t again = 0;
  const auto look = [&](std::size_t i) {
    again += keeper.find("", warm[i].pri_ip, warm[i].start_time, warm[i].end_time,
                         {&names.subscriber, &names.mac, &names.host});
  };
  ns_each(warm.size(), look);
  const double usual = ns_each(warm.size(), look);
  const double usual_many = together(warm);
  std::printf(
      "look-up of a record of %u hosts at work: %.0f ns, 32 at once %.0f ns; %.0f ns of each are reading the "
      "record\n",
      std::min(open, kAtWork), usual, usual_many, reading);
  std::printf(
      "of any host: look-up of a record: %.0f ns, 32 at once %.0f ns, found %zu of %zu; "
      "JSON with it %.0f ns, without %.0f ns\n",
      whole, many, found, records.size(), named, plain);
  std::size_t known = 0;
  for (const auto* const all : {&records, &warm}) {
    for (std::size_t i = 0; i < all->size(); i += several.size()) {
      const auto some = std::span(*all).subspan(i, std::min(several.size(), all->size() - i));
      lookup->find_all(some, several);
      known += static_cast<std::size_t>(
          std::count_if(several.begin(), several.begin() + static_cast<std::ptrdiff_t>(some.size()),
                        [](const Subscriber& one) { return one.known(); }));
    }
  }
  return found == records.size() && known == 2 * records.size() ? 0 : 1;
}
