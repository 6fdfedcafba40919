// source_probe URL...: follows sources of identity, and prints what they tell as lines of JSON
// until it is ended, or its standard input is. For labs, and for a look by hand.
// source_probe --sum URL: until the source has told all that there is, and then how long that took.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <poll.h>
#include <unistd.h>

#include "base/time.h"
#include "identity/source_url.h"
#include "support/identity_story.h"

namespace natsession {
namespace {

class Printer final : public IdentityOutput {
 public:
  explicit Printer(std::string_view source) : source_(source) {}

  void begin_whole() override { print({{"event", "begin"}}); }
  void end_whole(UnixMs at) override { print({{"event", "end"}, {"at", ms(at)}}); }
  void seen(const SeenAssignment& seen, UnixMs at) override {
    nlohmann::json line{{"event", "seen"},
                        {"prefix", seen.prefix.to_string()},
                        {"kind", std::string(to_string(seen.kind))},
                        {"subscriber", std::string(seen.subscriber)},
                        {"mac", std::string(seen.mac)},
                        {"host", std::string(seen.host)},
                        {"id", std::string(seen.id)},
                        {"group", std::string(seen.group)},
                        {"at", ms(at)}};
    if (seen.since) line["since"] = ms(*seen.since);
    if (seen.expires) line["expires"] = ms(*seen.expires);
    print(line);
  }
  void ended(const Prefix& prefix, std::string_view id, UnixMs at) override {
    print({{"event", "ended"}, {"prefix", prefix.to_string()}, {"id", std::string(id)}, {"at", ms(at)}});
  }
  void ended_between(const Prefix& prefix, std::string_view id, UnixMs earliest, UnixMs latest) override {
    print({{"event", "ended_between"},
           {"prefix", prefix.to_string()},
           {"id", std::string(id)},
           {"at", ms(earliest)},
           {"latest", ms(latest)}});
  }
  void ended_group(std::string_view group, UnixMs at) override {
    print({{"event", "ended_group"}, {"group", std::string(group)}, {"at", ms(at)}});
  }
  void ended_session(std::string_view group, std::string_view id, UnixMs at) override {
    print(
        {{"event", "ended_session"}, {"group", std::string(group)}, {"id", std::string(id)}, {"at", ms(at)}});
  }
  void followed(UnixMs until) override { print({{"event", "followed"}, {"at", ms(until)}}); }
  void lost(std::string_view why) override { print({{"event", "lost"}, {"why", std::string(why)}}); }
  void refused(std::string_view why, std::string_view what) override {
    print({{"event", "refused"}, {"why", testing::whole_reason(why, what)}});
  }

 private:
  static std::int64_t ms(UnixMs time) { return time.time_since_epoch().count(); }
  void print(nlohmann::json line) {
    line["source"] = source_;
    std::puts(line.dump().c_str());
  }
  std::string source_;
};

// Counts what is told.
class Counter final : public IdentityOutput {
 public:
  void begin_whole() override {}
  void end_whole(UnixMs) override { is_whole = true; }
  void seen(const SeenAssignment&, UnixMs) override { ++count; }
  void ended(const Prefix&, std::string_view, UnixMs) override { ++count; }
  void ended_between(const Prefix&, std::string_view, UnixMs, UnixMs) override { ++count; }
  void ended_group(std::string_view, UnixMs) override { ++count; }
  void ended_session(std::string_view, std::string_view, UnixMs) override { ++count; }
  void followed(UnixMs) override {}
  void lost(std::string_view) override { ++problems; }
  void refused(std::string_view, std::string_view) override { ++problems; }

  std::uint64_t count = 0, problems = 0;
  bool is_whole = false;
};

int sum(const std::string& url) {
  const SystemClock clock;
  auto source = make_identity_source(url, clock);
  if (!source || !(*source)->open()) return 2;
  Counter counter;
  std::chrono::nanoseconds longest{};
  int turns = 0;
  const auto begun = clock.steady();
  while (!counter.is_whole && counter.problems == 0) {
    const auto before = clock.steady();
    const auto rest = (*source)->turn(to_ms(clock.now()), counter);
    longest = std::max(longest, clock.steady() - before);
    ++turns;
    if (rest.count() > 0) (void)::poll(nullptr, 0, static_cast<int>(rest.count()));
  }
  rusage usage{};
  (void)::getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](std::chrono::nanoseconds time) { return static_cast<double>(time.count()) / 1e6; };
  std::printf("%llu events, %llu problems, %d turns, the longest %.1f ms, all %.0f ms, memory %ld KiB\n",
              static_cast<unsigned long long>(counter.count),
              static_cast<unsigned long long>(counter.problems), turns, ms(longest),
              ms(clock.steady() - begun), usage.ru_maxrss);
  return counter.problems == 0 ? 0 : 1;
}

int probe(const std::vector<std::string>& urls) {
  const SystemClock clock;
  std::vector<std::unique_ptr<IdentitySource>> sources;
  std::vector<std::unique_ptr<Printer>> printers;
  for (const std::string& url : urls) {
    auto source = make_identity_source(url, clock);
    if (!source) {
      std::fprintf(stderr, "%s\n", source.error().message.c_str());
      return 2;
    }
    if (auto opened = (*source)->open(); !opened) {
      std::fprintf(stderr, "%s\n", opened.error().message.c_str());
      return 1;
    }
    printers.push_back(std::make_unique<Printer>((*source)->name()));
    sources.push_back(std::move(*source));
  }
  std::vector<std::chrono::nanoseconds> due(sources.size(), clock.steady());
  while (true) {
    std::vector<pollfd> waits{{0, POLLIN, 0}};
    std::chrono::nanoseconds next = clock.steady() + std::chrono::seconds(1);
    for (std::size_t i = 0; i < sources.size(); ++i) {
      waits.push_back({sources[i]->fd(), POLLIN, 0});
      next = std::min(next, due[i]);
    }
    const auto rest = std::chrono::ceil<std::chrono::milliseconds>(next - clock.steady());
    (void)::poll(waits.data(), waits.size(), static_cast<int>(std::max<std::int64_t>(rest.count(), 0)));
    if (waits[0].revents != 0) {
      char byte = 0;
      if (::read(0, &byte, 1) <= 0) return 0;
    }
    for (std::size_t i = 0; i < sources.size(); ++i) {
      if (waits[i + 1].revents == 0 && clock.steady() < due[i]) continue;
      due[i] = clock.steady() + sources[i]->turn(to_ms(clock.now()), *printers[i]);
      std::fflush(stdout);
      sources[i]->committed();
    }
  }
}

}  // namespace
}  // namespace natsession

int main(int argc, char** argv) {
  const std::vector<std::string> urls(argv + 1, argv + argc);
  if (urls.size() == 2 && urls[0] == "--sum") return natsession::sum(urls[1]);
  if (urls.empty() || urls[0].starts_with("--")) {
    std::printf("usage: source_probe URL...\n%s", natsession::identity_help().c_str());
    return 2;
  }
  return natsession::probe(urls);
}
