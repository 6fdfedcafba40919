// Files of the log of assignments, of hostile bytes: readers and a writer come to an end, an answer that is
// certain has a source that was followed, and what is written behind is read.
// Shape:  the first byte says which file it is and which checksums are put right, so that what is behind them is reached;
//        the rest is the file.
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

#include "fuzz/fuzz_main.h"
#include "identity/identity_forget.h"
#include "identity/identity_reader.h"
#include "identity/identity_writer.h"
#include "ledger/bytes.h"
#include "ledger/crc32c.h"

namespace natsession::testing {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kHeaders = 4, kBlocks = 8, kTrailer = 16;

void correct(std::span<std::byte> file, unsigned flags) {
  if ((flags & kHeaders) != 0 && file.size() >= 64) put_le(file, 60, crc32c(file.first(60)));
  if ((flags & kBlocks) != 0) {
    for (std::size_t at = 0; at + kBlockHeaderBytes <= file.size(); ++at) {
      if (std::memcmp(file.data() + at, "NSIb", 4) != 0) continue;
      const std::uint64_t bytes = get_le<std::uint32_t>(file, at + 8);
      if (bytes <= file.size() - at - kBlockHeaderBytes) {
        const auto body = file.subspan(at + kBlockHeaderBytes, static_cast<std::size_t>(bytes));
        put_le(file, at + 48, crc32c(body));
      }
      put_le(file, at + 60, crc32c(file.subspan(at, 60)));
    }
  }
  if ((flags & kTrailer) != 0 && file.size() >= 160) {
    const std::size_t trailer = file.size() - 160;
    const auto root = get_le<std::uint64_t>(file, trailer + 48);
    if (root < trailer)
      put_le(file, trailer + 60,
             crc32c(file.subspan(static_cast<std::size_t>(root), trailer - static_cast<std::size_t>(root))));
    put_le(file, file.size() - 4, crc32c(file.subspan(trailer, 156)));
  }
}

const std::string& folder() {
  static const std::string path =
      (fs::is_directory("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path()).string() +
      "/natsession-fuzz-identity." + std::to_string(::getpid());
  return path;
}

IdentityQuestion question_of(const AssignmentView& one) {
  return {one.prefix.lowest(), one.from, one.from, std::chrono::seconds(5), {}};
}

void read_all() {
  const auto reader = IdentityReader::open(folder());
  if (!reader) {
    require_that(reader.error().kind == ErrorKind::kUnavailable, "only what is newer is refused");
    return;
  }
  std::vector<IdentityQuestion> questions{
      {*IpAddress::parse("192.168.1.23"), UnixMs(), UnixMs(), std::chrono::seconds(5), {}},
      {*IpAddress::parse("2001:db8::1"), UnixMs(), UnixMs(), std::chrono::seconds(5), {}}};
  (*reader)->list({}, [&](const AssignmentView& one) {
    if (questions.size() < 20) questions.push_back(question_of(one));
    return true;
  });
  for (const IdentityQuestion& question : questions) {
    const IdentityAnswer answer = (*reader)->who(question);
    require_that(answer.verdict != IdentityVerdict::kNobody || answer.damage.empty(), "damage is not nobody");
    for (const IdentityHolder& one : answer.holders) {
      require_that(one.assignment.prefix.contains(question.address), "a holder has the address");
      if (one.certain()) require_that(answer.damage.empty(), "nobody is certain where something is damaged");
    }
  }
  static_cast<void>((*reader)->of("alice"));
}

}  // namespace

void fuzz_one(std::span<const std::byte> input) {
  if (input.empty()) return;
  const auto flags = std::to_integer<unsigned>(input[0]);
  std::vector<std::byte> file(input.begin() + 1, input.end());
  correct(file, flags);
  fs::remove_all(folder());
  fs::create_directories(folder() + "/identity");
  constexpr const char* kNames[] = {"0000000000000000.open", "0000000000000000.current",
                                    "0000000000000000-0000000000000000.ended", "0000000000000000.open"};
  std::ofstream out(folder() + "/identity/" + kNames[flags & 3U], std::ios::binary);
  out.write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));
  out.close();
  read_all();
  if (const auto writer = IdentityWriter::open(folder(), {std::chrono::hours(24)})) {
    AddressAssignment one;
    one.source = "csv:/fuzz";
    one.prefix = *Prefix::parse("203.0.113.99");
    one.subscriber = "of the writer";
    const UnixMs now(std::chrono::seconds(1'800'000'000));
    one.from = one.from_earliest = now;
    (*writer)->each_open_of("csv:/fuzz", [](const AssignmentView&) {});
    (*writer)->put(one);
    require_that((*writer)->commit(false).has_value(), "a log that opens can be written");
    for (int i = 0; i < 30; ++i) static_cast<void>((*writer)->tidy(now + std::chrono::hours(i)));
    const auto reader = IdentityReader::open(folder());
    require_that(reader.has_value() && (*reader)->of("of the writer").size() == 1,
                 "what was written is read");
  }
  read_all();
  static_cast<void>(forget_subscriber(folder(), "alice", UnixMs(std::chrono::seconds(1'800'000'000)),
                                      [] { return false; }));
  if (const auto reader = IdentityReader::open(folder()))
    require_that((*reader)->of("alice").empty(), "who is forgotten is in no file");
  fs::remove_all(folder());
}

}  // namespace natsession::testing
