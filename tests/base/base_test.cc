#include <cerrno>
#include <latch>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>
#include <fcntl.h>

#include "base/byte_count.h"
#include "base/comma_list.h"
#include "base/guarded.h"
#include "base/result.h"
#include "base/seeded_hash.h"
#include "base/short_text.h"
#include "base/time.h"
#include "base/unique_fd.h"

namespace natsession {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

TEST_CASE("a list with commas has all its parts, also empty ones", "[base][comma_list]") {
  using Parts = std::vector<std::string_view>;
  CHECK(comma_list("a,bc, d") == Parts{"a", "bc", " d"});
  CHECK(comma_list("one") == Parts{"one"});
  CHECK(comma_list("") == Parts{""});
  CHECK(comma_list(",a,") == Parts{"", "a", ""});
}

TEST_CASE("byte counts are read with and without a unit", "[base][byte_count]") {
  CHECK(parse_byte_count("0")->bytes == 0);
  CHECK(parse_byte_count("4096")->bytes == 4096);
  CHECK(parse_byte_count("1K")->bytes == 1024);
  CHECK(parse_byte_count("64M")->bytes == 64ULL * 1024 * 1024);
  CHECK(parse_byte_count("20G")->bytes == 20ULL * 1024 * 1024 * 1024);
  CHECK(parse_byte_count("1T")->bytes == 1ULL << 40);
  CHECK(parse_byte_count("18446744073709551615")->bytes == std::numeric_limits<std::uint64_t>::max());
  CHECK(parse_byte_count("16777215T")->bytes == 16'777'215ULL << 40);
}

TEST_CASE("a text that is no byte count is refused by name", "[base][byte_count]") {
  for (const std::string_view text : {"", "M", "-1", "+1", " 1", "1 M", "1MB", "1MiB", "1m", "1P", "1.5G",
                                      "0x10", "18446744073709551616", "16777216T", "18014398509481984K"}) {
    const auto result = parse_byte_count(text);
    INFO(text);
    REQUIRE_FALSE(result);
    CHECK(result.error().kind == ErrorKind::kUsage);
    CHECK_THAT(result.error().message, Catch::StartsWith("'" + std::string(text) + "' is not a size"));
  }
}

TEST_CASE("byte counts are written in the largest unit that divides them, and read back",
          "[base][byte_count]") {
  CHECK(format_byte_count({0}) == "0");
  CHECK(format_byte_count({1023}) == "1023");
  CHECK(format_byte_count({1024}) == "1K");
  CHECK(format_byte_count({1536}) == "1536");
  CHECK(format_byte_count({1ULL << 50}) == "1024T");
  for (const std::uint64_t bytes :
       std::initializer_list<std::uint64_t>{1, 5ULL << 10, 7ULL << 20, 9ULL << 30, (1ULL << 40) + 1,
                                            std::numeric_limits<std::uint64_t>::max()}) {
    const auto back = parse_byte_count(format_byte_count({bytes}));
    REQUIRE(back);
    CHECK(back->bytes == bytes);
  }
}

TEST_CASE("durations are read in every unit", "[base][time]") {
  CHECK(*parse_duration("0s") == milliseconds(0));
  CHECK(*parse_duration("500ms") == milliseconds(500));
  CHECK(*parse_duration("2s") == milliseconds(2000));
  CHECK(*parse_duration("10m") == milliseconds(600'000));
  CHECK(*parse_duration("24h") == milliseconds(86'400'000));
  CHECK(*parse_duration("30d") == milliseconds(2'592'000'000));
}

TEST_CASE("the longest duration is one that nanoseconds can hold", "[base][time]") {
  REQUIRE(parse_duration("106751d"));
  CHECK(nanoseconds(*parse_duration("106751d")).count() == 106'751LL * 86'400'000'000'000);
  CHECK_FALSE(parse_duration("106752d"));
  CHECK(*parse_duration("9223372036854ms") == milliseconds(9'223'372'036'854));
  CHECK_FALSE(parse_duration("9223372036855ms"));
}

TEST_CASE("a text that is no duration is refused by name", "[base][time]") {
  for (const std::string_view text : {"", "10", "m", "-1s", "-0s", "+1s", " 1s", "1 s", "1s ", "1.5h", "1w",
                                      "1S", "1ns", "1h30m", "99999999999999999999s"}) {
    const auto result = parse_duration(text);
    INFO(text);
    REQUIRE_FALSE(result);
    CHECK(result.error().kind == ErrorKind::kUsage);
    CHECK_THAT(result.error().message, Catch::StartsWith("'" + std::string(text) + "' is not a duration"));
  }
}

TEST_CASE("durations are written in the largest unit that divides them, and read back", "[base][time]") {
  CHECK(format_duration(milliseconds(0)) == "0s");
  CHECK(format_duration(milliseconds(1)) == "1ms");
  CHECK(format_duration(milliseconds(1500)) == "1500ms");
  CHECK(format_duration(milliseconds(90'000)) == "90s");
  CHECK(format_duration(milliseconds(600'000)) == "10m");
  CHECK(format_duration(milliseconds(86'400'000)) == "1d");
  for (const std::int64_t count :
       {std::int64_t{0}, std::int64_t{999}, std::int64_t{61'000}, std::int64_t{9'223'372'036'854}}) {
    const auto back = parse_duration(format_duration(milliseconds(count)));
    REQUIRE(back);
    CHECK(back->count() == count);
  }
}

TEST_CASE("nanoseconds become milliseconds by rounding down, before 1970 too", "[base][time]") {
  const auto ms_of = [](std::int64_t ns) {
    return to_ms(UnixNs(nanoseconds(ns))).time_since_epoch().count();
  };
  CHECK(ms_of(0) == 0);
  CHECK(ms_of(999'999) == 0);
  CHECK(ms_of(1'000'000) == 1);
  CHECK(ms_of(-1) == -1);
  CHECK(ms_of(-1'000'000) == -1);
  CHECK(ms_of(-1'000'001) == -2);
}

TEST_CASE("a result holds a value or an error", "[base][result]") {
  const Result<int> value = 7;
  REQUIRE(value);
  CHECK(value.has_value());
  CHECK(*value == 7);

  const Result<int> failed = Error{ErrorKind::kMalformed, "bytes are short"};
  REQUIRE_FALSE(failed);
  CHECK(failed.error().kind == ErrorKind::kMalformed);
  CHECK(failed.error().message == "bytes are short");
}

TEST_CASE("a result hands out a value that can only be moved", "[base][result]") {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
  REQUIRE(result);
  CHECK(*result.value() == 7);
  const std::unique_ptr<int> taken = *std::move(result);
  REQUIRE(taken);
  CHECK(*taken == 7);
}

TEST_CASE("a result's value can be changed in place", "[base][result]") {
  Result<std::string> result = std::string("a");
  REQUIRE(result);
  *result += "b";
  result->push_back('c');
  CHECK(result.value() == "abc");
}

TEST_CASE("a result of nothing is a success until it is an error", "[base][result]") {
  const Result<void> done;
  CHECK(done);
  const Result<void> failed = Error{ErrorKind::kUnavailable, "no socket"};
  REQUIRE_FALSE(failed);
  CHECK(failed.error().kind == ErrorKind::kUnavailable);
}

TEST_CASE("a failed system call is told with its operation and cause", "[base][result]") {
  const Error missing = system_error("open /nowhere", ENOENT);
  CHECK(missing.kind == ErrorKind::kIo);
  CHECK(missing.message == "open /nowhere: No such file or directory");
  CHECK(system_error("bind", EADDRINUSE, ErrorKind::kUnavailable).kind == ErrorKind::kUnavailable);
}

TEST_CASE("a refusal by the kernel is a matter of permission, whatever else was expected", "[base][result]") {
  CHECK(system_error("bind", EPERM).kind == ErrorKind::kPermission);
  CHECK(system_error("bind", EACCES, ErrorKind::kUnavailable).kind == ErrorKind::kPermission);
}

TEST_CASE("the errno of the moment has no say in an error's text", "[base][result]") {
  errno = EINTR;
  CHECK(system_error("read", EIO).message == "read: Input/output error");
}

TEST_CASE("threads that share a guarded value lose no change", "[base][guarded]") {
  constexpr int kThreads = 4;
  constexpr int kSteps = 2000;
  std::latch all_there(kThreads);
  Guarded<int> counter;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      all_there.arrive_and_wait();
      for (int step = 0; step < kSteps; ++step) {
        counter.with([](int& value) {
          const int seen = value;
          std::this_thread::yield();  // invites the others in, if nothing keeps them out
          value = seen + 1;
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(counter.with([](int& value) { return value; }) == kThreads * kSteps);
}

TEST_CASE("a guarded value begins with what it was given, and a constant one can be read",
          "[base][guarded]") {
  const Guarded<std::string> text("begin");
  CHECK(text.with([](const std::string& value) { return value.size(); }) == 5);
}

TEST_CASE("a guarded value may be one that can only be moved", "[base][guarded]") {
  Guarded<std::unique_ptr<int>> value(std::make_unique<int>(7));
  const auto taken = value.with([](std::unique_ptr<int>& inside) { return std::move(inside); });
  REQUIRE(taken);
  CHECK(*taken == 7);
  CHECK(value.with([](const std::unique_ptr<int>& inside) { return inside == nullptr; }));
}

int open_something() {
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  REQUIRE(fd >= 0);
  return fd;
}

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) != -1;
}

TEST_CASE("a descriptor is closed at the end of its owner", "[base][unique_fd]") {
  const int fd = open_something();
  {
    const UniqueFd owner(fd);
    CHECK(owner);
    CHECK(owner.get() == fd);
    CHECK(is_open(fd));
  }
  CHECK_FALSE(is_open(fd));
}

TEST_CASE("a descriptor moves to its new owner, who drops the old one", "[base][unique_fd]") {
  const int first = open_something();
  const int second = open_something();
  UniqueFd owner(first);
  UniqueFd other(second);
  other = std::move(owner);
  CHECK_FALSE(owner);  // NOLINT: what a moved-from owner holds is the point
  CHECK(other.get() == first);
  CHECK(is_open(first));
  CHECK_FALSE(is_open(second));

  const UniqueFd third(std::move(other));
  CHECK(third.get() == first);
  CHECK_FALSE(other);  // NOLINT
}

TEST_CASE("an owner moved to itself keeps its descriptor", "[base][unique_fd]") {
  UniqueFd owner(open_something());
  UniqueFd& same = owner;
  owner = std::move(same);
  REQUIRE(owner);
  CHECK(is_open(owner.get()));
}

TEST_CASE("a seeded hash tells words apart, and differs with its key", "[base][seeded_hash]") {
  const SeededHash hash({1, 2, 3, 5});
  using Words = std::array<std::uint64_t, 3>;
  CHECK(hash(Words{1, 2, 3}) == hash(Words{1, 2, 3}));
  CHECK(hash(Words{1, 2, 3}) != SeededHash({1, 2, 3, 7})(Words{1, 2, 3}));
  CHECK(SeededHash::random()(Words{1, 2, 3}) != SeededHash::random()(Words{1, 2, 3}));
  const SeededHash random = SeededHash::random();
  std::set<std::uint64_t> seen;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    for (const Words& words :
         {Words{i, 0, 0}, Words{0, i + 1, 0}, Words{0, 0, i + 1}, Words{i + 1, i + 1, i + 1}})
      seen.insert(random(words) & 0xffff'ffffU);
  }
  CHECK(seen.size() > 3990);  // of 4000 words of 32 bits: two that meet are one chance in 500
}

TEST_CASE("a short text is what it was given, at any length that fits, and cut beyond",
          "[base][short_text]") {
  ShortText text;
  CHECK(text.empty());
  ShortText before("of before");
  for (std::size_t length = 0; length <= 300; ++length) {
    std::string given;
    for (std::size_t i = 0; i < length; ++i) given += static_cast<char>('a' + i % 26);
    const std::string kept = given.substr(0, ShortText::kMax);
    text = ShortText(given);
    REQUIRE(text == kept);
    before = text;
    REQUIRE(before == kept);
    before = *&before;
    REQUIRE(ShortText(before) == text);
    // Behind it there is something else, which is none of it.
    const std::string longer = kept + std::string(ShortText::kAtOnce, '!');
    before.assign_readable(longer.data(), kept.size());
    REQUIRE(before.view() == kept);
  }
  text.clear();
  CHECK(text == "");
}

TEST_CASE("a released descriptor stays open, and 0 is a descriptor", "[base][unique_fd]") {
  UniqueFd owner(open_something());
  const int fd = owner.release();
  CHECK_FALSE(owner);
  CHECK(is_open(fd));
  owner.reset(fd);
  owner.reset();
  CHECK_FALSE(is_open(fd));

  UniqueFd zero(0);
  CHECK(zero);
  CHECK(zero.release() == 0);
  CHECK_FALSE(UniqueFd());
}

}  // namespace
}  // namespace natsession
