// What the ledger's frames cost and how small they are, on a generated CGNAT day (cgnat_day.h).
//
// Workloads: 1. the generator alone; 2. full frames with Effort::kFast, alone; 3. the same records appended
// to a ledger, a thousand at a time, which encodes and writes them; 4. full frames with Effort::kSmall, which
// is what sealing does, and the bytes of each column; 5. all read back into records; 6. nat_ip and nat_port
// alone, as a trace query reads them; 7. the same frames summed up, as sealing does too. All single-threaded;
// times are CPU time of the thread. Of the frames of the day, each twelfth is taken (--every 12): a thousand
// sessions a host and day make frames of about a minute. Usage: ledger_bench [--quick] [--sessions N]
// [--every N]; exit 1 if a budget is missed.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <time.h>

#include "bench/cgnat_day.h"
#include "ledger/bytes.h"
#include "ledger/frame.h"
#include "ledger/frame_columns.h"
#include "ledger/frame_encoder.h"
#include "ledger/frame_layout.h"
#include "ledger/ledger_writer.h"
#include "ledger/segment_summer.h"
#include "support/temp_dir.h"

namespace natsession::bench {
namespace {

constexpr double kAppendBudgetNs = 200;
constexpr double kSealedBudgetBytes = 18;
constexpr double kReadBudgetRecords = 5e6;

double cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

struct Frames {
  explicit Frames(Effort effort) : encoder(effort) {}
  FrameEncoder encoder;
  std::vector<std::string> bytes;
  double ns = 0;
  std::uint64_t size = 0;

  void add(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals) {
    std::string frame;
    frame.reserve(1 << 20);
    const double start = cpu_ns();
    encoder.encode(records, ordinals, false, frame);
    ns += cpu_ns() - start;
    size += frame.size();
    frame.shrink_to_fit();
    bytes.push_back(std::move(frame));
  }
};

// A ledger that takes the records as the daemon gives them.
struct Appending {
  testing::TempDir directory;
  SystemClock clock;
  std::unique_ptr<LedgerWriter> writer;
  double ns = 0;

  Appending() {
    LedgerSettings settings;
    settings.directory = directory.file("ledger");
    auto opened = LedgerWriter::open(settings, clock);
    if (!opened) fail(opened.error().message);
    writer = std::move(*opened);
  }
  [[noreturn]] static void fail(const std::string& why) {
    std::fprintf(stderr, "ledger_bench: %s\n", why.c_str());
    std::exit(1);
  }
  void add(std::span<const SessionRecord> records) {
    constexpr std::size_t kAtOnce = 1000;
    const double start = cpu_ns();
    while (!records.empty()) {
      const auto some = records.first(std::min(kAtOnce, records.size()));
      if (writer->append(some) != some.size()) fail(writer->status().failure);
      records = records.subspan(some.size());
    }
    ns += cpu_ns() - start;
  }
  void finish() {
    const double start = cpu_ns();
    if (auto synced = writer->sync(); !synced) fail(synced.error().message);
    ns += cpu_ns() - start;
  }
};

bool judge(const char* what, double seen, double budget, const char* unit, bool at_most) {
  const bool met = at_most ? seen <= budget : seen >= budget;
  std::printf("budget: %-34s %12.2f %-12s (%s %.2f)  %s\n", what, seen, unit,
              at_most ? "at most" : "at least", budget, met ? "PASS" : "MISS");
  return met;
}

const char* name_of(unsigned column) {
  static constexpr const char* kNames[] = {"",
                                           "ordinal",
                                           "origin",
                                           "vpc_id",
                                           "pri_ip",
                                           "pub_ip",
                                           "nat_ip",
                                           "pri_port",
                                           "pub_port",
                                           "nat_port",
                                           "protocol",
                                           "outcome",
                                           "reason",
                                           "end_time",
                                           "start_time",
                                           "session_age",
                                           "no_start",
                                           "seq",
                                           "pkts_from_vpc",
                                           "pkts_from_pub",
                                           "bytes_from_vpc",
                                           "bytes_from_pub",
                                           "has_orig_dst",
                                           "orig_dst_ip",
                                           "orig_dst_port",
                                           "zone",
                                           "mark",
                                           "events_lost"};
  return column < std::size(kNames) ? kNames[column] : "?";
}

void print_columns(const std::vector<std::string>& frames, std::uint64_t records) {
  struct Sum {
    std::uint64_t bytes = 0;
    std::map<std::string, int> codings;
  };
  std::map<unsigned, Sum> sums;
  for (const std::string& frame : frames) {
    const auto bytes = std::as_bytes(std::span(frame));
    const auto header = parse_frame_header(bytes);
    for (std::size_t place = 0; place < header->columns; ++place) {
      const std::byte* const entry = bytes.data() + kFrameHeaderBytes + place * kDirectoryEntryBytes;
      Sum& sum = sums[load_little_endian<std::uint16_t>(entry)];
      sum.bytes += load_little_endian<std::uint32_t>(entry + 4);
      ++sum.codings[std::to_string(std::to_integer<int>(entry[2])) + "/" +
                    std::to_string(std::to_integer<int>(entry[3]))];
    }
  }
  std::printf("\n%-16s %18s   coding/context: frames\n", "column", "bytes a record");
  for (const auto& [column, sum] : sums) {
    std::printf("%-16s %18.3f  ", name_of(column),
                static_cast<double>(sum.bytes) / static_cast<double>(records));
    for (const auto& [coding, count] : sum.codings) std::printf(" %s: %d", coding.c_str(), count);
    std::printf("\n");
  }
}

double read_all(const std::vector<std::string>& frames, std::uint64_t& records) {
  FrameDecoder decoder;
  RecordBlock block;
  std::uint64_t sum = 0;
  records = 0;
  const double start = cpu_ns();
  for (const std::string& frame : frames) {
    block.clear();
    if (!decoder.decode(std::as_bytes(std::span(frame)), block)) std::abort();
    records += block.records.size();
    sum += block.records.back().session_id;
  }
  const double ns = cpu_ns() - start;
  if (sum == 1) std::printf(" ");
  return ns;
}

double read_trace_columns(const std::vector<std::string>& frames, std::uint64_t& hits) {
  const IpAddress nat = *IpAddress::parse("203.0.113.7");
  FrameColumns columns;
  std::vector<std::uint8_t> wanted;
  hits = 0;
  const double start = cpu_ns();
  for (const std::string& frame : frames) {
    if (!columns.open(std::as_bytes(std::span(frame)))) std::abort();
    const auto address = columns.addresses(Field::kNatIp);
    const auto port = columns.ports(Field::kNatPort);
    if (!address || !port) std::abort();
    wanted.assign(address->distinct.size(), 0);
    for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] = address->distinct[i] == nat ? 1 : 0;
    for (std::size_t i = 0; i < address->index.size(); ++i) {
      hits += wanted[address->index[i]] != 0 && (*port)[i] == 40'123 ? 1U : 0U;
    }
  }
  return cpu_ns() - start;
}

// As the sealer does, which has the columns already: a file of sums for each hour. Returns the time, and the
// bytes in `size`.
double sum_up(const std::vector<std::string>& frames, std::uint64_t& size) {
  constexpr std::chrono::hours kSegment{1};
  FrameColumns columns;
  RecordBlock block;
  std::unique_ptr<SegmentSummer> summer;
  UnixMs until;
  double ns = 0;
  size = 0;
  // From a frame on, up to that time.
  const auto records_before = [&](const std::string* frame, UnixMs time) {
    std::uint64_t count = 0;
    for (; frame != frames.data() + frames.size(); ++frame) {
      const auto info = read_frame_header(std::as_bytes(std::span(*frame)));
      if (!info || info->min_end >= time) break;
      count += info->records;
    }
    return count;
  };
  const auto finish = [&] {
    const double start = cpu_ns();
    size += summer->finish({}).size();
    ns += cpu_ns() - start;
  };
  for (const std::string& frame : frames) {
    block.clear();
    if (!columns.open(std::as_bytes(std::span(frame))) || !columns.materialise_all(block)) std::abort();
    if (!summer || columns.info().min_end >= until) {
      if (summer) finish();
      summer = std::make_unique<SegmentSummer>(records_before(&frame, columns.info().min_end + kSegment));
      until = columns.info().min_end + kSegment;
    }
    const double start = cpu_ns();
    summer->add(columns);
    ns += cpu_ns() - start;
  }
  finish();
  return ns;
}

int run(std::uint64_t sessions, std::uint64_t every, bool quick) {
  CgnatDay day({.sessions = sessions});
  std::vector<SessionRecord> records(kMaxFrameRecords);
  std::vector<Ordinal> ordinals(kMaxFrameRecords);
  Frames fast(Effort::kFast);
  Frames small(Effort::kSmall);
  Appending appending;
  Ordinal next = 0;
  std::uint64_t measured = 0;
  double generating_ns = 0;
  for (std::uint64_t frame = 0;; ++frame) {
    const double start = cpu_ns();
    const std::size_t count = day.next(records);
    generating_ns += cpu_ns() - start;
    if (count == 0) break;
    for (std::size_t i = 0; i < count; ++i) ordinals[i] = next++;
    if (frame % every != 0) continue;
    measured += count;
    const auto taken = std::span<const SessionRecord>(records).first(count);
    appending.add(taken);
    fast.add(taken, std::span<const Ordinal>(ordinals).first(count));
    small.add(taken, std::span<const Ordinal>(ordinals).first(count));
  }
  appending.finish();
  const auto total = static_cast<double>(measured);
  const double per_session = static_cast<double>(next) / static_cast<double>(day.sessions_begun());
  std::uint64_t read = 0;
  std::uint64_t hits = 0;
  const double read_small_ns = read_all(small.bytes, read);
  const double read_fast_ns = read_all(fast.bytes, read);
  const double trace_ns = read_trace_columns(small.bytes, hits);
  std::uint64_t sums_size = 0;
  const double sums_ns = sum_up(small.bytes, sums_size);

  std::printf("%lu sessions, %lu records (%.3f a session); %lu records in %zu frames\n\n",
              day.sessions_begun(), next, per_session, measured, small.bytes.size());
  std::printf("%-34s %12s %14s %16s\n", "", "ns a record", "bytes a record", "bytes a session");
  const auto row = [&](const char* what, double ns, std::uint64_t bytes) {
    std::printf("%-34s %12.1f", what, ns / total);
    if (bytes != 0) {
      const double each = static_cast<double>(bytes) / total;
      std::printf(" %14.3f %16.3f", each, each * per_session);
    }
    std::printf("\n");
  };
  row("generate", generating_ns * total / static_cast<double>(next), 0);
  row("encode, to append", fast.ns, fast.size);
  row("append to a ledger", appending.ns, 0);
  row("encode, to seal", small.ns, small.size);
  row("sum up, to seal", sums_ns, sums_size);
  row("read back, sealed", read_small_ns, 0);
  row("read back, appended", read_fast_ns, 0);
  row("nat_ip and nat_port alone, sealed", trace_ns, 0);
  print_columns(small.bytes, measured);
  std::printf("\n");
  bool met = judge("CPU to append a record", appending.ns / total, kAppendBudgetNs, "ns", true);
  met = judge("a session in sealed frames", static_cast<double>(small.size) / total * per_session,
              kSealedBudgetBytes, "bytes", true) &&
        met;
  met = judge("reading back", 1e9 / (read_small_ns / total), kReadBudgetRecords, "records/s", false) && met;
  // A quick run shows that the benchmark works; a debug build with sanitizers meets no budget.
  return met || quick ? 0 : 1;
}

}  // namespace
}  // namespace natsession::bench

int main(int argc, char** argv) {
  std::uint64_t sessions = 20'000'000;
  std::uint64_t every = 12;
  bool quick = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--quick") == 0) {
      quick = true;
      sessions = 60'000;
      every = 1;
    } else if (std::strcmp(argv[i], "--sessions") == 0 && i + 1 < argc) {
      sessions = std::strtoull(argv[++i], nullptr, 10);
    } else if (std::strcmp(argv[i], "--every") == 0 && i + 1 < argc) {
      every = std::max<std::uint64_t>(1, std::strtoull(argv[++i], nullptr, 10));
    } else {
      std::fprintf(stderr, "usage: ledger_bench [--quick] [--sessions N] [--every N]\n");
      return 2;
    }
  }
  return natsession::bench::run(sessions, every, quick);
}
