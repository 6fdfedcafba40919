// identity_bench [OPEN [CHANGES_A_SECOND [HOURS [FOLDER]]]]: the log of assignments at the size of a
// provider. OPEN addresses are held, CHANGES_A_SECOND of them go to another subscriber each second (an end
// and a beginning), for so many hours of the log's own time, as fast as it goes. Then: bytes on the disk,
// processor time for a second of the log (what is put and committed; what puts files in order), and how long
// who() takes.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "identity/identity_reader.h"
#include "identity/identity_writer.h"

namespace {

using namespace natsession;
namespace fs = std::filesystem;

double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

double seconds_since(std::chrono::steady_clock::time_point begun) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

void check(const Result<void>& done) {
  if (done) return;
  std::fprintf(stderr, "identity_bench: %s\n", done.error().message.c_str());
  std::exit(1);
}

constexpr const char* kBenchSource = "radius://0.0.0.0:1813";

struct Held {
  std::uint32_t subscriber = 0;
  UnixMs from;
};

IpAddress address_of(std::uint32_t number) {
  std::array<std::uint8_t, 16> bytes{};
  bytes[10] = bytes[11] = 0xff;
  bytes[12] = 100;
  bytes[13] = static_cast<std::uint8_t>(64 + (number >> 16U & 63U));
  bytes[14] = static_cast<std::uint8_t>(number >> 8U);
  bytes[15] = static_cast<std::uint8_t>(number);
  return IpAddress::from_v6(bytes);
}

AddressAssignment assignment_of(std::uint32_t number, const Held& held) {
  char text[64];
  AddressAssignment one;
  one.source = kBenchSource;
  one.prefix = Prefix::of(address_of(number), 32);
  one.kind = AssignmentKind::kSession;
  std::snprintf(text, sizeof(text), "customer%07u@example.net", held.subscriber);
  one.subscriber = text;
  std::snprintf(text, sizeof(text), "02:%02x:%02x:%02x:%02x:%02x", held.subscriber >> 24U & 255U,
                held.subscriber * 7 & 255U, held.subscriber >> 16U & 255U, held.subscriber >> 8U & 255U,
                held.subscriber & 255U);
  one.mac = text;
  std::snprintf(text, sizeof(text), "%08x%08x", held.subscriber * 2654435761U,
                static_cast<std::uint32_t>(held.from.time_since_epoch().count()));
  one.id = text;
  one.from = one.from_earliest = held.from;
  return one;
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int at, unsigned long otherwise) {
    return argc > at ? std::strtoul(argv[at], nullptr, 10) : otherwise;
  };
  const auto open = static_cast<std::uint32_t>(std::clamp(argument(1, 1'000'000), 1UL, 4'000'000UL));
  const auto changes = static_cast<std::uint32_t>(argument(2, 200));
  const unsigned long hours = argument(3, 24);
  std::string folder =
      (argc > 4 ? std::string(argv[4]) : fs::temp_directory_path().string()) + "/identity-bench.XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) return 1;

  std::mt19937 random(17);
  auto writer = *IdentityWriter::open(folder, {});
  UnixMs now(std::chrono::seconds(1'795'263'600));
  const UnixMs begun = now;
  std::vector<Held> held(open);
  const auto started = std::chrono::steady_clock::now();
  double put_cpu = -cpu_seconds();
  for (std::uint32_t i = 0; i < open; ++i) {
    held[i] = {i, now};
    writer->put(assignment_of(i, held[i]));
    if (i % 10'000 == 9'999) check(writer->commit(false));
  }
  check(writer->commit(false));
  put_cpu += cpu_seconds();
  std::printf("%u put in %.2f s of processor time\n", open, put_cpu);

  put_cpu = 0;
  double tidy_cpu = 0, longest_tidy = 0, longest_commit = 0;
  const std::uint64_t seconds = hours * 3600;
  for (std::uint64_t second = 0; second < seconds; ++second) {
    const double before = cpu_seconds();
    const auto commit_begun = std::chrono::steady_clock::now();
    const UnixMs last = now;
    for (std::uint32_t i = 0; i < changes; ++i) {
      now += std::chrono::milliseconds(i * 1000 / changes - (i > 0 ? (i - 1) * 1000 / changes : 0));
      const std::uint32_t number = static_cast<std::uint32_t>(random() % open);
      AddressAssignment ended = assignment_of(number, held[number]);
      ended.until = ended.until_latest = now;
      writer->put(ended);
      held[number] = {static_cast<std::uint32_t>(random() % (open * 2)), now};
      writer->put(assignment_of(number, held[number]));
    }
    now = last + std::chrono::seconds(1);
    writer->follow({kBenchSource, last, now});
    check(writer->commit(false));
    longest_commit = std::max(longest_commit, seconds_since(commit_begun));
    const double between = cpu_seconds();
    put_cpu += between - before;
    const auto tidy_begun = std::chrono::steady_clock::now();
    check(writer->tidy(now));
    longest_tidy = std::max(longest_tidy, seconds_since(tidy_begun));
    tidy_cpu += cpu_seconds() - between;
  }
  const double of_log = static_cast<double>(std::max<std::uint64_t>(seconds, 1));
  std::printf(
      "%lu hours, %u changes a second: put and commit %.3f ms a second of the log (%.2f %% of a core), "
      "putting in order %.3f ms (%.2f %%)\n",
      hours, changes, put_cpu / of_log * 1e3, put_cpu / of_log * 100, tidy_cpu / of_log * 1e3,
      tidy_cpu / of_log * 100);
  std::printf("the longest commit %.1f ms, the longest tidy() %.1f ms; all in %.0f s\n", longest_commit * 1e3,
              longest_tidy * 1e3, seconds_since(started));
  std::uint64_t bytes = 0;
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator(folder + "/identity")) {
    bytes += entry.file_size();
    ++files;
  }
  const double puts = static_cast<double>(open) + 2.0 * changes * static_cast<double>(seconds);
  std::printf("%.1f MiB in %zu files: %.1f bytes for each change\n", static_cast<double>(bytes) / 1048576,
              files, static_cast<double>(bytes) / (puts / 2));

  std::vector<double> opening, asking;
  std::size_t certain = 0;
  constexpr int kAsked = 1'000;
  std::unique_ptr<IdentityReader> reader;
  for (int i = 0; i < kAsked; ++i) {
    if (i % 50 == 0) {
      const auto at = std::chrono::steady_clock::now();
      reader = *IdentityReader::open(folder);
      opening.push_back(seconds_since(at) * 1e3);
    }
    const std::int64_t length = std::max<std::int64_t>((now - begun).count(), 1);
    const UnixMs time =
        begun + std::chrono::milliseconds(static_cast<std::int64_t>(random()) * 1000 % length);
    const auto at = std::chrono::steady_clock::now();
    const IdentityAnswer answer = reader->who(
        {address_of(static_cast<std::uint32_t>(random() % open)), time, time, std::chrono::seconds(5), {}});
    asking.push_back(seconds_since(at) * 1e3);
    if (answer.verdict == IdentityVerdict::kCertain) ++certain;
  }
  std::sort(opening.begin(), opening.end());
  std::sort(asking.begin(), asking.end());
  std::printf(
      "opening %.2f ms (the longest %.2f); who() %.3f ms, 99 of 100 within %.3f, the longest %.3f; %zu of %d "
      "certain\n",
      opening[opening.size() / 2], opening.back(), asking[kAsked / 2], asking[kAsked * 99 / 100],
      asking.back(), certain, kAsked);
  const auto at = std::chrono::steady_clock::now();
  std::size_t left_open = 0;
  writer->each_open_of(kBenchSource, [&](const AssignmentView&) { ++left_open; });
  std::printf("each_open_of() found %zu in", left_open);
  std::printf(" %.2f s\n", seconds_since(at));
  const auto list_at = std::chrono::steady_clock::now();
  std::printf("all of one subscriber: %zu in", reader->of("customer0000042@example.net").size());
  std::printf(" %.2f s\n", seconds_since(list_at));
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  std::printf("at most %ld MiB of memory, of which %zu are the benchmark's own\n", used.ru_maxrss / 1024,
              held.size() * sizeof(Held) >> 20U);
  writer.reset();
  fs::remove_all(folder);
  return 0;
}
