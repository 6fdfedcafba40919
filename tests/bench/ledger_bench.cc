// What the ledger's frames cost and how small they are, on a generated CGNAT day (cgnat_day.h).
//
// Workloads: 1. the generator alone; 2. frames of 16,384 records with Effort::kFast, alone, and of a
// thousand, as they are appended; 3. the same records appended to a ledger, a thousand at a time, which
// encodes and writes them; 4. frames of 65,536 with Effort::kSmall and a dictionary, which is what sealing
// does, and the bytes of each column; 5. all read back into records; 6. who had nat_ip and nat_port, as a
// trace query reads them; 7. the same frames summed up, as sealing does too. All single-threaded; times are
// CPU time of the thread. Of the sealed frames of the day, each twelfth is taken
// (--every 12): a thousand sessions a host and day make frames of about four minutes. An hour of them, a
// segment, shares a dictionary, which is made of all of its records, also of those that are not measured. So
// its bytes are counted by the share that is measured: bytes of all dictionaries by records of all frames.
// Usage: ledger_bench [--quick] [--sessions N]
// [--every N]; exit 1 if a budget is missed.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <time.h>

#include "bench/cgnat_day.h"
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

struct Frame {
  std::string bytes;
  Peers peers;  // of its segment, or null

  [[nodiscard]] std::span<const std::byte> span() const { return std::as_bytes(std::span(bytes)); }
};

struct Frames {
  explicit Frames(Effort effort) : encoder(effort) {}
  FrameEncoder encoder;
  std::vector<Frame> frames;
  double ns = 0;
  std::uint64_t size = 0;
  FrameEncoder::Sizes sizes;

  // In frames of at most so many records.
  void add(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals, std::size_t rows,
           const Peers& peers = nullptr) {
    for (; !records.empty(); records = records.subspan(rows), ordinals = ordinals.subspan(rows)) {
      rows = std::min(rows, records.size());
      std::string frame;
      frame.reserve(1 << 20);
      const double start = cpu_ns();
      encoder.encode(records.first(rows), ordinals.first(rows), false, frame, peers.get());
      ns += cpu_ns() - start;
      size += frame.size();
      sum_up_sizes();
      frame.shrink_to_fit();
      frames.push_back({std::move(frame), peers});
    }
  }

 private:
  void sum_up_sizes() {
    const FrameEncoder::Sizes& last = encoder.sizes();
    for (std::size_t i = 0; i < kColumnIds; ++i) sizes.columns[i] += last.columns[i];
    sizes.front += last.front;
    sizes.head += last.head;
    sizes.hosts += last.hosts;
    sizes.keys += last.keys;
    sizes.nat_ports += last.nat_ports;
  }
};

// The frames of a segment wait for its dictionary.
struct Sealing {
  static constexpr std::chrono::hours kSegment{1};

  Frames frames{Effort::kSmall};
  double counting_ns = 0;
  std::uint64_t dictionary_bytes = 0;

  // All records, in their order; those that are `measured` become a frame.
  void add(std::span<const SessionRecord> records, Ordinal first, bool measured) {
    if (records.front().end_time >= until_) {
      finish();
      until_ = records.front().end_time + kSegment;
    }
    const double start = cpu_ns();
    for (const SessionRecord& record : records)
      counter_.add(record.pub_ip, {record.protocol, record.pub_port});
    counting_ns += cpu_ns() - start;
    if (measured) held_.push_back({{records.begin(), records.end()}, first});
  }
  void finish() {
    const double start = cpu_ns();
    std::string bytes = counter_.finish();
    counter_ = PeerCounter();
    counting_ns += cpu_ns() - start;
    dictionary_bytes += bytes.size();
    const auto peers = PeerDictionary::read(std::move(bytes));
    for (const Held& held : held_) {
      std::vector<Ordinal> ordinals(held.records.size());
      std::iota(ordinals.begin(), ordinals.end(), held.first);
      frames.add(held.records, ordinals, kMaxSealedRecords, peers ? *peers : nullptr);
    }
    held_.clear();
  }

 private:
  struct Held {
    std::vector<SessionRecord> records;
    Ordinal first;
  };
  PeerCounter counter_;
  std::vector<Held> held_;
  UnixMs until_ = UnixMs::min();
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

const char* name_of(std::size_t column) {
  switch (static_cast<ColumnId>(column)) {
    case ColumnId::kOrdinal:
      return "ordinal";
    case ColumnId::kSessionAge:
      return "session_age";
    case ColumnId::kNoSessionStart:
      return "no_session_start";
    case ColumnId::kPubHigh:
      return "pub_ip, high";
    case ColumnId::kPubLow:
      return "pub_ip, low";
    case ColumnId::kOrigDstHigh:
      return "orig_dst_ip, high";
    case ColumnId::kOutcome:
      return "outcome";
    default:
      break;
  }
  for (const FieldSpec& spec : kFields) {
    if (spec.column == column) return spec.name.data();
  }
  return "?";
}

void print_sizes(const FrameEncoder::Sizes& sizes, double dictionary, double records) {
  std::printf("\n%-24s %14s\n", "", "bytes a record");
  const auto row = [&](const char* name, double bytes) {
    if (bytes > 0) std::printf("%-24s %14.3f\n", name, bytes / records);
  };
  for (std::size_t column = 0; column < kColumnIds; ++column) {
    row(name_of(column), static_cast<double>(sizes.columns[column]));
  }
  row("nat_port", static_cast<double>(sizes.nat_ports));
  row("nat_ip and pri_ip", static_cast<double>(sizes.hosts));
  row("contexts", static_cast<double>(sizes.keys));
  row("head", static_cast<double>(sizes.head));
  row("header and directory", static_cast<double>(sizes.front));
  row("dictionary", dictionary);
}

double read_all(const std::vector<Frame>& frames, std::uint64_t& records) {
  FrameDecoder decoder;
  RecordBlock block;
  std::uint64_t sum = 0;
  records = 0;
  const double start = cpu_ns();
  for (const Frame& frame : frames) {
    block.clear();
    if (!decoder.decode(frame.span(), block, frame.peers)) std::abort();
    records += block.records.size();
    sum += block.records.back().session_id;
  }
  const double ns = cpu_ns() - start;
  if (sum == 1) std::printf(" ");
  return ns;
}

double read_trace_columns(const std::vector<Frame>& frames, std::uint64_t& hits) {
  const IpAddress nat = *IpAddress::parse("203.0.113.7");
  FrameColumns columns;
  std::vector<std::uint32_t> rows;
  hits = 0;
  const double start = cpu_ns();
  for (const Frame& frame : frames) {
    if (!columns.open(frame.span(), frame.peers)) std::abort();
    if (!columns.rows_of({[&](const IpAddress& address) { return address == nat; }, nat, nat},
                         {nullptr, IpAddress(), IpAddress()}, rows))
      std::abort();
    columns.want(rows);
    const auto port = columns.ports(Field::kNatPort);
    if (!port) std::abort();
    for (const std::uint32_t row : rows) hits += (*port)[row] == 40'123 ? 1U : 0U;
  }
  return cpu_ns() - start;
}

// As the sealer does, which has the columns already: a file of sums for each hour. Returns the time, and the
// bytes in `size`.
double sum_up(const std::vector<Frame>& frames, std::uint64_t& size) {
  constexpr std::chrono::hours kSegment = Sealing::kSegment;
  FrameColumns columns;
  RecordBlock block;
  std::unique_ptr<SegmentSummer> summer;
  UnixMs until;
  double ns = 0;
  size = 0;
  // From a frame on, up to that time.
  const auto records_before = [&](const Frame* frame, UnixMs time) {
    std::uint64_t count = 0;
    for (; frame != frames.data() + frames.size(); ++frame) {
      const auto info = read_frame_header(frame->span());
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
  for (const Frame& frame : frames) {
    block.clear();
    if (!columns.open(frame.span(), frame.peers) || !columns.materialise_all(block)) std::abort();
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
  std::vector<SessionRecord> records(kMaxSealedRecords);
  std::vector<Ordinal> ordinals(kMaxSealedRecords);
  Frames fast(Effort::kFast);
  Frames little(Effort::kFast);
  Sealing sealing;
  Appending appending;
  Ordinal next = 0;
  std::uint64_t measured = 0;
  double generating_ns = 0;
  for (std::uint64_t frame = 0;; ++frame) {
    const double start = cpu_ns();
    const std::size_t count = day.next(records);
    generating_ns += cpu_ns() - start;
    if (count == 0) break;
    const auto taken = std::span<const SessionRecord>(records).first(count);
    sealing.add(taken, next, frame % every == 0);
    for (std::size_t i = 0; i < count; ++i) ordinals[i] = next++;
    if (frame % every != 0) continue;
    measured += count;
    appending.add(taken);
    fast.add(taken, std::span<const Ordinal>(ordinals).first(count), kMaxFrameRecords);
    little.add(taken, std::span<const Ordinal>(ordinals).first(count), 1000);
  }
  sealing.finish();
  const Frames& small = sealing.frames;
  appending.finish();
  const auto total = static_cast<double>(measured);
  const double per_session = static_cast<double>(next) / static_cast<double>(day.sessions_begun());
  std::uint64_t read = 0;
  std::uint64_t hits = 0;
  const double read_small_ns = read_all(small.frames, read);
  const double read_fast_ns = read_all(fast.frames, read);
  const double trace_ns = read_trace_columns(small.frames, hits);
  std::uint64_t sums_size = 0;
  const double sums_ns = sum_up(small.frames, sums_size);
  const double dictionary = static_cast<double>(sealing.dictionary_bytes) * total / static_cast<double>(next);
  const double sealed = static_cast<double>(small.size) + dictionary;

  std::printf("%lu sessions, %lu records (%.3f a session); %lu records in %zu frames\n\n",
              day.sessions_begun(), next, per_session, measured, small.frames.size());
  std::printf("%-34s %12s %14s %16s\n", "", "ns a record", "bytes a record", "bytes a session");
  const auto row = [&](const char* what, double ns, double bytes) {
    std::printf("%-34s %12.1f", what, ns / total);
    if (bytes > 0) {
      const double each = bytes / total;
      std::printf(" %14.3f %16.3f", each, each * per_session);
    }
    std::printf("\n");
  };
  row("generate", generating_ns * total / static_cast<double>(next), 0);
  row("encode, to append", fast.ns, static_cast<double>(fast.size));
  row("encode, a thousand", little.ns, static_cast<double>(little.size));
  row("append to a ledger", appending.ns, 0);
  row("count for the dictionary", sealing.counting_ns * total / static_cast<double>(next), dictionary);
  row("encode, to seal", small.ns, sealed);
  row("sum up, to seal", sums_ns, static_cast<double>(sums_size));
  row("read back, sealed", read_small_ns, 0);
  row("read back, appended", read_fast_ns, 0);
  row("nat_ip and nat_port alone, sealed", trace_ns, 0);
  print_sizes(small.sizes, dictionary, total);
  std::printf("\n");
  bool met = judge("CPU to append a record", appending.ns / total, kAppendBudgetNs, "ns", true);
  met =
      judge("a session in sealed frames", sealed / total * per_session, kSealedBudgetBytes, "bytes", true) &&
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
