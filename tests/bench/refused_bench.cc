// refused_bench: reads NFLOG groups as the daemon does, and says what that costs and what came. It is what
// the lab's refused traffic is tried with where no daemon is needed.
//
// Usage: refused_bench GROUP[,GROUP…] [buffer=BYTES] [window=SECONDS] [max_flows=N] [flows] [save=DIR]
//   flows     each entry of the last window is printed
//   save=DIR  one copy of each kind is written to a file there: seeds for tests/fuzz
// Prints "ready" when the groups are bound. On SIGTERM it reads what is queued, and then prints "name value"
// pairs in one line.
#include <sys/resource.h>

#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <thread>

#include <poll.h>

#include "nflog/refused_reader.h"

namespace {

using natsession::NflogOptions;
using natsession::RefusedFlow;
using natsession::RefusedReader;
using natsession::RefusedTable;

volatile std::sig_atomic_t stop_requested = 0;
void request_stop(int) {
  stop_requested = 1;
}

struct Arguments {
  NflogOptions nflog;
  std::chrono::seconds window{60};
  std::size_t max_flows = RefusedTable::kDefaultFlows;
  bool flows = false;
  std::string save;
};

std::uint64_t number_of(const std::string& text) {
  return std::strtoull(text.c_str(), nullptr, 10);
}

Arguments read_arguments(int argc, char** argv) {
  Arguments arguments;
  std::istringstream groups(argc > 1 ? argv[1] : "");
  for (std::string group; std::getline(groups, group, ',');)
    arguments.nflog.groups.push_back(static_cast<std::uint16_t>(number_of(group)));
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    const std::string value = word.substr(word.find('=') + 1);
    if (word.starts_with("buffer=")) arguments.nflog.receive_buffer.bytes = number_of(value);
    if (word.starts_with("window=")) arguments.window = std::chrono::seconds(number_of(value));
    if (word.starts_with("max_flows=")) arguments.max_flows = number_of(value);
    if (word.starts_with("save=")) arguments.save = value;
    arguments.flows |= word == "flows";
  }
  return arguments;
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

long most_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

struct Told {
  std::uint64_t windows = 0;
  std::uint64_t flows = 0;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::uint64_t left_out = 0;
};

void print_flow(const RefusedFlow& flow) {
  std::printf("flow %u %s %s %u %s %u %u %lu %lu %u %ld %ld\n", flow.interface,
              flow.egress ? "egress" : "ingress", flow.src.to_string().c_str(), flow.src_port,
              flow.dst.to_string().c_str(), flow.dst_port, flow.protocol, flow.packets, flow.bytes,
              flow.tcp_flags, flow.first.time_since_epoch().count(), flow.last.time_since_epoch().count());
}

// Some of the closed window, as a thread would that has other work. False: it is whole.
bool hand_on(RefusedTable& table, Told& told, bool print) {
  constexpr std::size_t kPiece = 4096;
  return table.take(kPiece, [&](const RefusedFlow& flow) {
    ++told.flows;
    told.packets += flow.packets;
    told.bytes += flow.bytes;
    if (print) print_flow(flow);
  }) > 0;
}

void count_left_out(const RefusedTable& table, Told& told) {
  for (const auto& left : table.left_out()) told.left_out += left.packets;
}

// Instead of all else: one copy of each kind (hook, length of the message, protocol) to a file.
int save_copies(const Arguments& arguments) {
  auto socket = natsession::NflogSocket::open(arguments.nflog);
  if (!socket) {
    std::fprintf(stderr, "refused_bench: %s\n", socket.error().message.c_str());
    return 3;
  }
  std::puts("ready");
  std::fflush(stdout);
  std::map<std::string, int> seen;
  while (stop_requested == 0) {
    pollfd waiting{socket->fd(), POLLIN, 0};
    poll(&waiting, 1, 100);
    (void)socket->receive([&](std::span<const std::byte> copy) {
      natsession::RefusedPacket packet;
      const auto kind = natsession::decode_refused(copy, packet);
      const std::string name = "kind" + std::to_string(static_cast<int>(kind)) + "-hook" +
                               std::to_string(packet.hook) + "-proto" + std::to_string(packet.protocol) +
                               "-" + std::to_string(copy.size());
      if (seen[name]++ > 0) return;
      std::ofstream file(arguments.save + "/" + name, std::ios::binary);
      file.write(reinterpret_cast<const char*>(copy.data()), static_cast<std::streamsize>(copy.size()));
    });
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = read_arguments(argc, argv);
  std::signal(SIGTERM, request_stop);
  std::signal(SIGINT, request_stop);
  if (!arguments.save.empty()) return save_copies(arguments);

  const natsession::SystemClock clock;
  auto reader = RefusedReader::open(arguments.nflog, clock);
  if (!reader) {
    std::fprintf(stderr, "refused_bench: %s\n", reader.error().message.c_str());
    return 3;
  }
  RefusedTable table(arguments.max_flows);
  std::puts("ready");
  std::fflush(stdout);

  Told told;
  const double cpu_before = cpu_seconds();
  std::uint64_t turns = 0;
  auto window_ends = std::chrono::steady_clock::now() + arguments.window;
  bool handing_on = false;
  bool last_turn = false;
  std::uint64_t copies_before = 0;
  while (!last_turn) {
    last_turn = stop_requested != 0;  // one turn more: until nothing is queued
    for (;;) {
      const auto more = reader->on_readable(table);
      if (!more) {
        std::fprintf(stderr, "refused_bench: %s\n", more.error().message.c_str());
        return 1;
      }
      ++turns;
      if (handing_on) handing_on = hand_on(table, told, false);
      if (!*more) break;
    }
    if (!handing_on && std::chrono::steady_clock::now() >= window_ends && table.close_window()) {
      count_left_out(table, told);
      ++told.windows;
      window_ends += arguments.window;
      handing_on = true;
    }
    if (last_turn) break;
    // As the collector: a tick while copies come, else asleep.
    const std::uint64_t copies = reader->counters().packets;
    if (copies != copies_before) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    } else {
      pollfd waiting{reader->fd(), POLLIN, 0};
      poll(&waiting, 1, handing_on ? 0 : 100);
    }
    copies_before = copies;
  }
  const double cpu = cpu_seconds() - cpu_before;
  while (hand_on(table, told, false)) {
  }
  if (!table.close_window()) return 1;
  count_left_out(table, told);
  while (hand_on(table, told, arguments.flows)) {
  }
  const natsession::RefusedCounters& counters = reader->counters();
  std::printf(
      "packets %lu bytes %lu not_ip %lu malformed %lu lost %lu dropped_messages %lu strange %lu windows %lu "
      "flows %lu "
      "flow_packets %lu flow_bytes %lu left_out %lu buffer %lu cpu_s %.3f cpu_us_packet %.3f turns %lu "
      "rss_kib %ld\n",
      counters.packets, counters.bytes, counters.not_ip, counters.malformed, counters.lost,
      counters.dropped_messages, counters.strange_messages, told.windows + 1, told.flows, told.packets,
      told.bytes, told.left_out, reader->receive_buffer().bytes, cpu,
      counters.packets == 0 ? 0.0 : cpu * 1e6 / static_cast<double>(counters.packets), turns, most_kib());
  return 0;
}
