
#include <algorithm>
#include <map>
#include <thread>
#include <unordered_set>
#include <vector>

#include "bench/cgnat_day.h"
#include "bench/query_bench.h"
#include "query/query_dice.h"
#include "query/top.h"
#include "query/trace.h"

namespace natsession::bench {
namespace {

using testing::passes;

constexpr std::size_t kSamples = 5000;
constexpr std::size_t kCheckedAtOnce = 65536;
constexpr std::uint64_t kWholeDay = 6;  // one question in so many is not kept to an hour or two

// What a scan hands on, in one number that does not depend on the order.
struct Digest {
  std::uint64_t rows = 0;
  std::uint64_t sum = 0;
  friend bool operator==(const Digest&, const Digest&) = default;

  void add(std::int64_t end_ms, std::uint16_t pri_port, std::uint16_t nat_port, std::uint64_t seq,
           std::uint64_t bytes) {
    ++rows;
    std::uint64_t hash = static_cast<std::uint64_t>(end_ms) * 0x9e3779b97f4a7c15;
    hash = (hash ^ (std::uint64_t{pri_port} << 16 | nat_port) ^ (hash >> 29)) * 0xbf58476d1ce4e5b9;
    hash = (hash ^ seq ^ (bytes << 8) ^ (hash >> 32)) * 0x94d049bb133111eb;
    sum += hash ^ (hash >> 31);
  }
  void add(const Digest& other) {
    rows += other.rows;
    sum += other.sum;
  }
};

// One question of each kind has the same number: a scan, and of some a top list and a trace.
struct Question {
  Query query;
  Digest expected;
  bool top = false;
  std::map<IpAddress, std::uint64_t> bytes;  // by pri_ip
  bool traces = false;
  TraceQuestion trace;
  std::unordered_set<std::uint64_t> sessions;

  void look_at(std::span<const SessionRecord> records) {
    for (const SessionRecord& record : records) {
      if (passes(record, query)) {
        const std::uint64_t count =
            record.bytes_from_vpc.known() ? record.bytes_from_vpc.value() : kUnknownCount;
        expected.add(record.end_time.time_since_epoch().count(), record.pri_port, record.nat_port, record.seq,
                     count);
        if (top) bytes[record.pri_ip] += record.bytes_from_vpc.known() ? count : 0;
      }
      if (traces && record.nat_ip == trace.nat_ip && record.nat_port == *trace.nat_port &&
          record.protocol == *trace.protocol && record.start_time <= trace.until + trace.slack &&
          record.end_time >= trace.from - trace.slack) {
        sessions.insert(record.session_id);
      }
    }
  }
};

// Calls use(records) for all records of the day.
template <typename Use>
void read_day(std::uint64_t sessions, Use use) {
  CgnatOptions day;
  day.sessions = sessions;
  CgnatDay generator(day);
  std::vector<SessionRecord> records(kCheckedAtOnce);
  while (const std::size_t made = generator.next(records))
    use(std::span<const SessionRecord>(records).first(made));
}

std::vector<Question> roll_questions(const CheckOptions& options) {
  static const Origin kOrigin{"cgnat-1", ""};
  testing::TrafficDice dice(1);
  std::vector<SessionRecord> samples;
  read_day(options.sessions, [&](std::span<const SessionRecord> records) {
    const std::size_t wanted = std::max<std::size_t>(1, kSamples * records.size() / options.sessions);
    for (std::size_t i = 0; i < wanted; ++i) {
      samples.push_back(records[dice.pick(records.size())]);
      samples.back().origin = &kOrigin;
      samples.back().vpc_id = {};
    }
  });
  testing::QueryDice rolls(2, dice, samples);
  std::vector<Question> questions(options.questions);
  for (std::size_t i = 0; i < questions.size(); ++i) {
    Question& question = questions[i];
    question.query = rolls.roll();
    if (!dice.one_in(kWholeDay)) {
      const UnixMs from = samples[dice.pick(samples.size())].end_time;
      question.query.end = {from, from + std::chrono::milliseconds(dice.pick(7'200'000))};
    }
    question.query.columns = {Field::kEndTime, Field::kPriPort, Field::kNatPort, Field::kSeq,
                              Field::kBytesFromVpc};
    question.top = i % 20 == 0;
    question.traces = i % 5 == 0;
    const SessionRecord& like = samples[dice.pick(samples.size())];
    question.trace.nat_ip = like.nat_ip;
    question.trace.nat_port = like.nat_port;
    question.trace.protocol = like.protocol;
    question.trace.from = like.end_time - std::chrono::milliseconds(dice.pick(5000));
    question.trace.until = question.trace.from + std::chrono::milliseconds(dice.pick(60'000));
  }
  return questions;
}

// Each thread reads the whole day, for its part of the questions.
void answer_slowly(std::vector<Question>& questions, std::uint64_t sessions) {
  const std::size_t threads = std::max(1U, std::thread::hardware_concurrency());
  std::vector<std::thread> pool;
  for (std::size_t worker = 0; worker < threads; ++worker) {
    pool.emplace_back([&, worker] {
      read_day(sessions, [&](std::span<const SessionRecord> records) {
        for (std::size_t i = worker; i < questions.size(); i += threads) questions[i].look_at(records);
      });
    });
  }
  for (std::thread& thread : pool) thread.join();
}

Digest digest_of(const SegmentList& view, const Query& query, const ScanControl& control) {
  Scan scan(view, query, control);
  std::vector<Digest> found(scan.threads());
  scan.run([&](unsigned worker, const ScanBatch& batch) {
    const auto ends = batch.times(Field::kEndTime);
    const auto pri_ports = batch.ports(Field::kPriPort);
    const auto nat_ports = batch.ports(Field::kNatPort);
    const auto seqs = batch.counters(Field::kSeq);
    const auto bytes = batch.counters(Field::kBytesFromVpc);
    for (const std::uint32_t row : batch.rows()) {
      found[worker].add(ends[row], pri_ports[row], nat_ports[row], seqs[row], bytes[row]);
    }
  });
  if (!scan.error() || scan.report().trouble_count + scan.report().gap_count > 0 || scan.report().cancelled)
    fail("a scan had trouble");
  for (std::size_t i = 1; i < found.size(); ++i) found[0].add(found[i]);
  return found[0];
}

void check_top(const SegmentList& view, const Question& question, const ScanControl& control) {
  TopQuestion top;
  top.query = question.query;
  top.by = {Field::kPriIp};
  top.count = 20;
  const auto found = find_top(view, top, control);
  if (!found) fail(found.error().message);
  std::vector<std::pair<std::uint64_t, IpAddress>> expected;
  for (const auto& [host, bytes] : question.bytes) expected.emplace_back(~bytes, host);
  std::sort(expected.begin(), expected.end());
  if (found->group_count != expected.size()) fail("a top list has another number of groups");
  for (std::size_t i = 0; i < found->groups.size(); ++i) {
    const bool same = found->groups[i].key[0] == GroupValue(expected[i].second) &&
                      found->groups[i].sums.bytes_from_vpc == ~expected[i].first;
    if (!same) fail("a top list has another host");
  }
}

void check_trace(const SegmentList& view, const Question& question, const ScanControl& control) {
  const auto result = trace(view, {question.trace}, {}, control);
  if (!result) fail(result.error().message);
  std::unordered_set<std::uint64_t> found;
  for (const TraceCandidate& candidate : result->answers[0].candidates) {
    const std::uint64_t id = candidate.record.session_id;
    found.insert(id);
    // Sessions that were open and silent the slow search does not look for.
    if (candidate.match != TimeMatch::kOpen && question.sessions.count(id) == 0) {
      fail("a trace found a session that was not there");
    }
  }
  for (const std::uint64_t id : question.sessions) {
    if (found.count(id) == 0) fail("a trace missed a session");
  }
}

}  // namespace

void check_answers(const CheckOptions& options) {
  MakeOptions make;
  make.sessions = options.sessions;
  make.directory = options.directory;
  make_files(make);
  std::vector<Question> questions = roll_questions(options);
  answer_slowly(questions, options.sessions);
  auto view = SegmentList::open(options.directory + "/ledger");
  if (!view) fail(view.error().message);
  ScanControl control;
  control.threads = options.threads;
  std::uint64_t rows = 0;
  std::size_t with_rows = 0;
  std::size_t tops = 0;
  std::size_t traces = 0;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const Question& question = questions[i];
    if (!(digest_of(*view, question.query, control) == question.expected)) {
      fail("question " + std::to_string(i) + " has another answer than the slow search");
    }
    rows += question.expected.rows;
    if (question.expected.rows > 0) ++with_rows;
    if (question.top) check_top(*view, question, control);
    if (question.traces) check_trace(*view, question, control);
    tops += question.top ? 1U : 0U;
    traces += question.traces ? 1U : 0U;
  }
  if (with_rows * 10 < questions.size()) fail("hardly any question had an answer");
  std::printf("checked questions=%zu with_rows=%zu rows=%llu tops=%zu traces=%zu\n", questions.size(),
              with_rows, static_cast<unsigned long long>(rows), tops, traces);
}

}  // namespace natsession::bench
