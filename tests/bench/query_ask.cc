
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <vector>

#include <unistd.h>

#include "bench/query_bench.h"
#include "query/port_usage.h"
#include "query/sql_session.h"
#include "query/timeline.h"
#include "query/top.h"
#include "query/trace.h"

namespace natsession::bench {
namespace {

constexpr std::int64_t kMidnightMs = 1'795'219'200'000;
constexpr std::int64_t kMinuteMs = 60'000;

UnixMs at_ms(std::int64_t ms) {
  return UnixMs(std::chrono::milliseconds(ms));
}
UnixMs at_minute(std::int64_t minute) {
  return at_ms(kMidnightMs + minute * kMinuteMs);
}

template <typename T>
T good(Result<T> result) {
  if (!result) fail(result.error().message);
  return std::move(*result);
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// A session to ask for, and the peer to ask about: taken from the ledger, always the same ones.
struct Probe {
  SessionRecord record;
  UnixMs at;
  std::vector<SessionRecord> list;  // for the questions at once
};

Probe find_probe(const std::string& directory) {
  const SegmentList view = good(SegmentList::open(directory));
  Probe probe;
  const auto pick = [&](UnixMs from, UnixMs until, std::size_t every, std::vector<SessionRecord>& out) {
    Query query = Query::ended_within(from, until);
    query.where = {FieldTest::number(Field::kProtocol, 6), FieldTest::number(Field::kPubPort, 443)};
    query.columns = Columns::all();
    Scan scan(view, query, {});
    std::size_t seen = 0;
    while (const ScanBatch* const batch = scan.next()) {
      for (const SessionRecord& record : batch->records()) {
        if (++seen % every != 0) continue;
        out.push_back(record);
        out.back().origin = nullptr;
        out.back().vpc_id = {};
      }
    }
  };
  std::vector<SessionRecord> some;
  pick(at_minute(14 * 60 + 57), at_minute(14 * 60 + 58), 1, some);
  if (some.empty()) fail("there is no session at 14:57");
  probe.record = some[some.size() / 2];
  probe.at = probe.record.end_time - (probe.record.end_time - probe.record.start_time) / 2;
  for (int minute = 30; minute < 24 * 60; minute += 60)
    pick(at_minute(minute), at_minute(minute + 2), 7, probe.list);
  return probe;
}

TraceQuestion question_about(const SessionRecord& record, UnixMs at) {
  TraceQuestion question;
  question.nat_ip = record.nat_ip;
  question.nat_port = record.nat_port;
  question.protocol = record.protocol;
  question.from = question.until = at;
  return question;
}

// Runs `work` some times in a child; the fastest but one of the wall-clock times, CPU of all threads for one
// run.
void measure_one(const std::string& name, int runs, const std::function<std::uint64_t()>& work,
                 const std::string& budgets = {}, double scale = 0) {
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    std::vector<double> walls;
    std::uint64_t answers = work();  // what is read from the disk is in memory then
    rusage before{};
    ::getrusage(RUSAGE_SELF, &before);
    for (int run = 0; run < runs; ++run) {
      const double begin = now();
      answers = work();
      walls.push_back(now() - begin);
    }
    rusage after{};
    ::getrusage(RUSAGE_SELF, &after);
    const auto seconds = [](const rusage& usage) {
      return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
             static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    };
    std::sort(walls.begin(), walls.end());
    std::printf("ask what=%s seconds=%.4f cpu=%.4f peak_mb=%.1f answers=%llu\n", name.c_str(),
                walls[walls.size() / 2], (seconds(after) - seconds(before)) / runs,
                static_cast<double>(after.ru_maxrss) / 1024, static_cast<unsigned long long>(answers));
    if (!budgets.empty()) {
      const double day = walls[walls.size() / 2] * scale;
      // By the processor time alone, on two cores: what it would be where nothing else runs.
      const double by_cpu = (seconds(after) - seconds(before)) / runs / 2 * scale;
      std::printf("budget what=%s day_of_100m=%.3f days_90=%.1f by_cpu_day=%.3f by_cpu_90=%.1f %s\n",
                  name.c_str(), day, 90 * day, by_cpu, 90 * by_cpu, budgets.c_str());
    }
    std::fflush(stdout);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (status != 0) fail(name + " failed");
}

std::uint64_t run_sql(const std::string& directory, const ScanControl& control, const std::string& sql) {
  SqlOptions options;
  options.control = control;
  auto session = good(SqlSession::open(good(SegmentList::open(directory)), options));
  return good(session->run(sql, {})).rows;
}

// For the peers to be compared with.
void print_answer(const std::string& name, const std::string& directory, const TopQuestion& question,
                  const ScanControl& control) {
  const TopResult result = good(find_top(good(SegmentList::open(directory)), question, control));
  for (const TopGroup& group : result.groups) {
    std::printf("answer what=%s bytes=%llu host=%s\n", name.c_str(),
                static_cast<unsigned long long>(group.sums.bytes_from_vpc),
                to_text(Field::kPriIp, group.key[0]).c_str());
  }
}

}  // namespace

void ask(const std::string& base, unsigned threads, const std::string& only) {
  const auto measure = [&only](const std::string& name, int runs,
                               const std::function<std::uint64_t()>& work) {
    if (name.find(only) != std::string::npos) measure_one(name, runs, work);
  };
  const std::string directory = base + "/ledger";
  ScanControl control;
  control.threads = threads;
  const Probe probe = find_probe(directory);
  const std::int64_t at = probe.at.time_since_epoch().count();
  const auto hour =
      std::make_pair(at_minute(14 * 60 + 30), at_minute(15 * 60 + 30) - std::chrono::milliseconds(1));
  // The surge is one to the peer that most sessions of that hour went to.
  TopQuestion top;
  top.query = Query::ended_within(hour.first, hour.second);
  top.by = {Field::kPubIp};
  top.sum = SumField::kRecords;
  const TopResult peers = good(find_top(good(SegmentList::open(directory)), top, control));
  const IpAddress peer_ip = std::get<IpAddress>(peers.groups.at(0).key[0]);
  const std::string peer = peer_ip.to_string();
  const std::string in_hour = " __time__ BETWEEN " + std::to_string((kMidnightMs + 870 * kMinuteMs) / 1000) +
                              " AND " + std::to_string((kMidnightMs + 930 * kMinuteMs) / 1000 - 1);
  std::printf("probe nat_ip=%s nat_port=%u pri_ip=%s at_ms=%lld pub_ip=%s from_ms=%lld until_ms=%lld\n",
              probe.record.nat_ip.to_string().c_str(), unsigned{probe.record.nat_port},
              probe.record.pri_ip.to_string().c_str(), static_cast<long long>(at), peer.c_str(),
              static_cast<long long>(hour.first.time_since_epoch().count()),
              static_cast<long long>(hour.second.time_since_epoch().count()));

  const auto tracing = [&](const std::vector<TraceQuestion>& questions) {
    const SegmentList view = good(SegmentList::open(directory));
    const TraceResult result = good(trace(view, questions, {}, control));
    std::uint64_t found = 0;
    for (const TraceAnswer& answer : result.answers)
      found += answer.verdict == TraceVerdict::kFound ? 1U : 0U;
    return found;
  };
  TraceQuestion question = question_about(probe.record, probe.at);
  measure("trace_at_time", 9, [&] { return tracing({question}); });
  question.from = at_minute(0);
  question.until = at_minute(24 * 60);
  measure("trace_whole_day", 3, [&] { return tracing({question}); });
  // What is asked without a time, and what that comes to over a day of 100 million sessions and 90 of them,
  // by the number of records.
  constexpr double kRecordsOfDay = 124'727'780;
  const double scale = kRecordsOfDay / static_cast<double>(good(SegmentList::open(directory)).span().records);
  const auto find = [&](const std::string& name, const std::function<std::uint64_t()>& work,
                        const std::string& budgets) {
    if (name.find(only) != std::string::npos) measure_one(name, 9, work, budgets, scale);
  };
  const auto scanning = [&](const FieldTest& test) {
    const SegmentList view = good(SegmentList::open(directory));
    Query query;
    query.where = {test};
    query.columns = Columns::all();
    Scan scan(view, query, control);
    std::uint64_t rows = 0;
    while (const ScanBatch* const batch = scan.next()) rows += batch->size();
    return rows;
  };
  TraceQuestion always = question;
  always.from = at_minute(-24 * 60);
  always.until = at_minute(100 * 24 * 60);
  find(
      "find_trace", [&] { return tracing({always}); }, "budget_90=1");
  always.nat_port = 79;  // below all that the generator gives out
  find(
      "find_trace_of_none", [&] { return tracing({always}); }, "budget_90=1");
  const FieldTest host = FieldTest::address(Field::kPriIp, probe.record.pri_ip);
  find(
      "find_host", [&] { return scanning(host); }, "budget_day=0.2 budget_90=10");
  FieldTest peers_asked(Field::kPubIp);
  for (std::uint32_t i = 0; peers_asked.addresses.size() < 9994; ++i)
    peers_asked.addresses.push_back(IpAddress::from_v4(0x9e37'79b9U * (i + 1)));
  // Six that are there, and have few sessions.
  std::map<IpAddress, std::size_t> sessions_of;
  for (const SessionRecord& record : probe.list) ++sessions_of[record.pub_ip];
  for (const auto& [address, sessions] : sessions_of) {
    if (sessions == 1 && peers_asked.addresses.size() < 10'000) peers_asked.addresses.push_back(address);
  }
  find(
      "find_list_10000", [&] { return scanning(peers_asked); }, "budget_90=60");
  std::vector<TraceQuestion> list;
  for (std::size_t i = 0; i < 10'000; ++i) {
    const SessionRecord& record = probe.list[i * 7919 % probe.list.size()];
    list.push_back(question_about(record, record.end_time));
  }
  measure("trace_list_10000", 1, [&] { return tracing(list); });

  measure("surge_sql_by_minute", 3, [&] {
    return run_sql(
        directory, control,
        "select sum(bytes_from_vpc) as total_bytes, date_trunc('minute', __time__) as ts_min from log "
        "where pub_ip = '" +
            peer + "' and" + in_hour + " group by ts_min");
  });
  measure("surge_sql_by_host", 3, [&] {
    return run_sql(directory, control,
                   "select pri_ip, sum(bytes_from_vpc) as total_bytes, date_trunc('minute', __time__) as "
                   "ts_min from log "
                   "where pub_ip = '" +
                       peer + "' and" + in_hour + " group by ts_min, pri_ip");
  });
  measure("surge_timeline", 3, [&] {
    TimelineQuestion surge;
    surge.from = hour.first;
    surge.until = hour.second + std::chrono::milliseconds(1);
    surge.by = Field::kPriIp;
    surge.where = {FieldTest::address(Field::kPubIp, peer_ip)};
    return good(find_timeline(good(SegmentList::open(directory)), surge, control)).series.size();
  });
  top = {};
  top.by = {Field::kPriIp};
  top.query = Query::ended_within(hour.first, hour.second);
  top.query.where = {FieldTest::address(Field::kPubIp, peer_ip)};
  if (only.empty()) print_answer("surge_hour", directory, top, control);
  top.query = Query::ended_within(at_minute(0), at_minute(24 * 60));
  if (only.empty()) print_answer("top_hosts_day", directory, top, control);
  measure("top_hosts_day", 1,
          [&] { return good(find_top(good(SegmentList::open(directory)), top, control)).groups.size(); });
  top.all_sums = false;
  measure("top_hosts_day_one_sum", 1,
          [&] { return good(find_top(good(SegmentList::open(directory)), top, control)).groups.size(); });
  // The same by whole hours, and the day's curve: from sums that are ready, and from the records.
  for (const bool ready : {true, false}) {
    const std::string how = ready ? "_ready" : "_records";
    ScanControl asked = control;
    asked.from_records = !ready;
    const auto whole_day =
        Query::ended_within(at_minute(0), at_minute(24 * 60) - std::chrono::milliseconds(1));
    for (const Field by : {Field::kPriIp, Field::kPubIp, Field::kNatIp, Field::kProtocol}) {
      TopQuestion hours;
      hours.query = whole_day;
      hours.by = {by};
      measure("top_" + std::string(name_of(by)) + "_day" + how, ready ? 5 : 1,
              [&] { return good(find_top(good(SegmentList::open(directory)), hours, asked)).group_count; });
    }
    TimelineQuestion curve;
    curve.from = at_minute(0);
    curve.until = at_minute(24 * 60);
    curve.bucket = std::chrono::minutes(10);
    measure("timeline_day" + how, ready ? 5 : 1, [&] {
      return good(find_timeline(good(SegmentList::open(directory)), curve, asked)).series[0].total.records;
    });
    curve.by = Field::kProtocol;
    measure("timeline_protocol_day" + how, ready ? 5 : 1, [&] {
      return good(find_timeline(good(SegmentList::open(directory)), curve, asked)).series.size();
    });
  }
  const auto measure_sql = [&](const std::string& name, const std::string& sql) {
    measure(name, 3, [&] { return run_sql(directory, control, sql); });
  };
  measure_sql("sums_day_sql",
              "select count(*), sum(bytes_from_vpc), sum(bytes_from_pub), sum(pkts_from_vpc) from log");
  measure_sql(
      "nat_ip_day_sql",
      "select nat_ip, count(*), sum(bytes_from_vpc), sum(bytes_from_pub), sum(pkts_from_vpc) from log "
      "group by nat_ip");
  // What has no sums ready: the records are added up.
  measure_sql("sums_day_sql_records",
              "select count(*), sum(bytes_from_vpc), sum(bytes_from_pub), max(pkts_from_vpc) from log");
  measure_sql(
      "nat_ip_day_sql_records",
      "select nat_ip, count(*), sum(bytes_from_vpc), sum(bytes_from_pub), max(pkts_from_vpc) from log "
      "group by nat_ip");
  measure_sql("top_hosts_day_sql",
              "select pri_ip, sum(bytes_from_vpc) b from log group by pri_ip order by b desc limit 10");
  // What SQLite sorts the rows of, in memory: a whole day's do not fit.
  measure("top_hosts_10min_sql", 1, [&] {
    return run_sql(directory, control,
                   "select pri_ip, sum(bytes_from_vpc + 0) b from log where __time__ >= " +
                       std::to_string((kMidnightMs + 890 * kMinuteMs) / 1000) + " and __time__ < " +
                       std::to_string((kMidnightMs + 900 * kMinuteMs) / 1000) +
                       " group by pri_ip order by b desc limit 10");
  });
  measure("ports_day", 1, [&] {
    PortQuestion ports;
    ports.from = at_minute(0);
    ports.until = at_minute(24 * 60);
    return good(find_ports(good(SegmentList::open(directory)), ports, control)).addresses.size();
  });
}

}  // namespace natsession::bench
