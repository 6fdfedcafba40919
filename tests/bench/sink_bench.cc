// What a record costs by each sink of a network, and what it is on the wire.
//
// Workloads: the records of the generated day (cgnat_day.h), in batches of 10,000 (ClickHouse: 100,000), to a
// peer over the loopback interface that reads all and answers what its protocol wants. Time is the processor
// time of the thread that delivers: encoding, compressing, TLS, and what the kernel does in its calls, which
// over loopback is the way to the peer's buffer as well. Of kafka it is that of all threads of this process,
// as most of it is librdkafka's, and the peer is librdkafka's mock cluster in a process of its own. Bytes are
// the protocol's: of datagrams, of the stream, of a request with its headers. Usage: sink_bench [--quick]
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <dirent.h>
#include <poll.h>
#include <unistd.h>

#ifdef NATSESSION_BENCH_KAFKA
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#endif

#include "base/unique_fd.h"
#include "bench/cgnat_day.h"
#include "sink/blocks/port_blocks.h"
#include "sink/clickhouse/clickhouse_table.h"
#include "sink/ipfix/ipfix_message.h"
#include "sink/registry.h"
#ifdef NATSESSION_BENCH_TLS
#include "sink/tls_peer.h"
#endif

namespace natsession::bench {
namespace {

constexpr std::size_t kBatch = 10'000;
constexpr int kRounds = 5;

double processor_seconds(clockid_t of = CLOCK_THREAD_CPUTIME_ID) {
  timespec time{};
  ::clock_gettime(of, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "sink_bench: %s\n", what.c_str());
  std::exit(1);
}

// Reads what comes to a port of 127.0.0.1, and counts it.
class Peer {
 public:
  enum class Kind { kDatagrams, kStream, kHttp, kClickHouse };

  // `answer`: the body of a good answer, of an HTTP server.
  Peer(Kind kind, const char* answer)
      : kind_(kind),
        answer_("HTTP/1.1 200 OK\r\nx-log-requestid: 1\r\nx-cls-requestid: 1\r\nContent-Length: " +
                std::to_string(std::string_view(answer).size()) + "\r\n\r\n" + answer),
        fd_(::socket(AF_INET, (kind == Kind::kDatagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    constexpr int kBuffer = 64 << 20;
    setsockopt(fd_.get(), SOL_SOCKET, kind == Kind::kDatagrams ? SO_RCVBUFFORCE : SO_RCVBUF, &kBuffer,
               sizeof(kBuffer));
    if (::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
      fail("cannot bind");
    socklen_t length = sizeof(address);
    ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    if (kind != Kind::kDatagrams) ::listen(fd_.get(), 16);
    thread_ = std::thread([this] { serve(); });
  }
  ~Peer() {
    stopping_ = true;
    thread_.join();
  }
  [[nodiscard]] std::string place() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::size_t messages() const { return messages_; }

 private:
  // Whether something can be read.
  bool wait(int fd) const {
    pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
    while (!stopping_) {
      if (::poll(&wait, 1, 20) == 1) return true;
    }
    return false;
  }
  void serve() {
    if (kind_ == Kind::kDatagrams) {
      read(fd_.get());
      return;
    }
    while (wait(fd_.get())) {
      const UniqueFd connection(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      read(connection.get());
    }
  }
  void read(int fd) {
    std::vector<char> part(1 << 20);
    std::string request;
    while (wait(fd)) {
      const ssize_t count = ::recv(fd, part.data(), part.size(), 0);
      if (count <= 0) return;
      bytes_ += static_cast<std::size_t>(count);
      if (kind_ != Kind::kHttp && kind_ != Kind::kClickHouse) {
        ++messages_;
        continue;
      }
      request.append(part.data(), static_cast<std::size_t>(count));
      answer(fd, request);
    }
  }
  void answer(int fd, std::string& request) {
    constexpr std::string_view kLength = "Content-Length: ";
    const std::size_t head = request.find("\r\n\r\n");
    if (head == std::string::npos) return;
    if (request.starts_with("GET ")) {
      tell_table(fd, std::string_view(request).substr(0, head));
      request.clear();
      return;
    }
    const std::size_t at = request.find(kLength);
    if (at > head) fail("a request without its length");
    if (request.size() < head + 4 + std::stoul(request.substr(at + kLength.size()))) return;
    request.clear();
    ++messages_;
    if (::send(fd, answer_.data(), answer_.size(), MSG_NOSIGNAL) < 0) fail("cannot answer");
  }

  // What a ClickHouse is asked before the first insert: its columns, its settings and its version.
  static void tell_table(int fd, std::string_view asked) {
    const bool columns = asked.find("DESCRIBE") != std::string_view::npos;
    const bool version = asked.find("version%28%29") != std::string_view::npos;
    std::string body = columns ? "" : version ? "26.7\n" : "insert_deduplication_token\nasync_insert\n";
    for (const auto& column : clickhouse::columns()) {
      const std::string_view types = clickhouse::types_of(column.kind);
      if (columns)
        body += std::string(column.name) + "\t" + std::string(types.substr(0, types.find(" or "))) + "\n";
    }
    const std::string reply =
        "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    if (::send(fd, reply.data(), reply.size(), MSG_NOSIGNAL) < 0) fail("cannot answer");
  }

  const Kind kind_;
  const std::string answer_;
  const UniqueFd fd_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> bytes_{0};
  std::atomic<std::size_t> messages_{0};
  std::thread thread_;
};

struct Workload {
  const char* name;
  const char* before;  // of the URL: scheme
  const char* after;   // path and options
  Peer::Kind kind;
  const char* answer = "";  // of an HTTP server
  std::size_t batch = kBatch;
};
// The day's records are of one that has passed.
#define CLOUD_OPTIONS \
  "&tls=off&late_after=3650d&id_env=NATSESSION_BENCH_KEY_ID&secret_env=NATSESSION_BENCH_KEY_SECRET"
constexpr Workload kWorkloads[] = {
    {"ipfix", "ipfix://", "?rate=100000000", Peer::Kind::kDatagrams},
    {"ipfix, destination=no", "ipfix://", "?rate=100000000&destination=no", Peer::Kind::kDatagrams},
    {"ipfix+tcp", "ipfix+tcp://", "", Peer::Kind::kStream},
    {"syslog+udp", "syslog+udp://", "", Peer::Kind::kDatagrams},
    {"syslog+tcp", "syslog+tcp://", "", Peer::Kind::kStream},
    {"http, gzip", "http://", "/log", Peer::Kind::kHttp},
    {"http, compress=none", "http://", "/log?compress=none", Peer::Kind::kHttp},
    {"otlp", "otlp://", "", Peer::Kind::kHttp},
    {"otlp, compress=none", "otlp://", "?compress=none", Peer::Kind::kHttp},
    {"loki", "loki://", "?max_age=0s", Peer::Kind::kHttp},
    {"elasticsearch", "elasticsearch://", "/nat", Peer::Kind::kHttp, R"({"errors":false})"},
    {"clickhouse, zstd", "clickhouse://", "/d/t", Peer::Kind::kClickHouse, "", 100'000},
    {"clickhouse, compress=gzip", "clickhouse://", "/d/t?compress=gzip", Peer::Kind::kClickHouse, "",
     100'000},
    {"clickhouse, compress=none", "clickhouse://", "/d/t?compress=none", Peer::Kind::kClickHouse, "",
     100'000},
    {"sls, lz4, v4", "sls://", "/project/logstore?region=r" CLOUD_OPTIONS, Peer::Kind::kHttp},
    {"sls, lz4, v1", "sls://", "/project/logstore?signature=v1" CLOUD_OPTIONS, Peer::Kind::kHttp},
    {"sls, zstd, v4", "sls://", "/project/logstore?region=r&compress=zstd" CLOUD_OPTIONS, Peer::Kind::kHttp},
    {"sls, fields=cloud", "sls://", "/project/logstore?region=r&fields=cloud" CLOUD_OPTIONS,
     Peer::Kind::kHttp},
    {"cls, lz4", "cls://", "/topic?compress=lz4" CLOUD_OPTIONS, Peer::Kind::kHttp},
    {"lts, gzip", "lts://", "/project/group/stream?compress=gzip" CLOUD_OPTIONS, Peer::Kind::kHttp,
     R"({"errorCode":"SVCSTG.ALS.200.200"})"},
};

// The processor time of this thread for all of them, in seconds.
double deliver_all(const char* name, const std::string& url, const std::vector<SessionRecord>& records,
                   std::size_t batch_size) {
  static const SystemClock clock;
  const auto config = SinkConfig::parse(url);
  if (!config) fail(config.error().message);
  auto sink = config->open({}, clock, nullptr);
  if (!sink) fail(sink.error().message);
  const double begin = processor_seconds();
  for (std::size_t at = 0; at < records.size(); at += batch_size) {
    const Answer answer =
        (*sink)->deliver(std::span(records).subspan(at, std::min(batch_size, records.size() - at)));
    if (answer.kind != Answer::Kind::kDelivered) fail(std::string(name) + ": " + answer.why);
  }
  return processor_seconds() - begin;
}

void print_cost(const char* name, std::size_t records, double seconds, double bytes) {
  const auto count = static_cast<double>(records);
  std::printf("%-26s %12.0f records a second and core  %7.1f bytes a record\n", name, count / seconds,
              bytes / count);
}

#ifdef NATSESSION_BENCH_TLS
// Bytes are those within TLS, which adds 22 to each 16 kB.
void measure_tls(const char* name, const char* scheme, const std::vector<SessionRecord>& records,
                 int rounds) {
  double best = 1e9;
  double bytes = 0;
  for (int round = 0; round < rounds; ++round) {
    bytes = 0;
    const testing::TlsPeer peer;
    const std::string url =
        scheme + ("127.0.0.1:" + peer.port()) + "?ca=" + testing::Certificates::get().crt("ca");
    best = std::min(best, deliver_all(name, url, records, kBatch));
    for (double before = -1; before != bytes; ::poll(nullptr, 0, 50)) {
      before = bytes;
      bytes = static_cast<double>(peer.got().size());
    }
  }
  print_cost(name, records.size(), best, bytes);
}
#endif

void measure(const Workload& workload, const std::vector<SessionRecord>& records, int rounds) {
  double best = 1e9;
  double bytes = 0;
  for (int round = 0; round < rounds; ++round) {
    Peer peer(workload.kind, workload.answer);
    const std::string url = workload.before + peer.place() + workload.after;
    if (!SinkConfig::parse(url)) {
      std::printf("%-26s %s\n", workload.name, "not built");
      return;
    }
    best = std::min(best, deliver_all(workload.name, url, records, workload.batch));
    // What is on its way arrives.
    for (std::size_t before = peer.bytes() + 1; before != peer.bytes();) {
      before = peer.bytes();
      ::poll(nullptr, 0, 50);
    }
    bytes = static_cast<double>(peer.bytes());
  }
  print_cost(workload.name, records.size(), best, bytes);
}

// What blocks of ports save: a day of records as they are, and as blocks of 512 ports, one for each host. The
// generated day has ports at random, so they are given anew.
class Allocator {
 public:
  static constexpr std::uint16_t kSize = 512;
  static constexpr std::uint16_t kFrom = 1024;

  void give_port(SessionRecord& record) {
    const auto [host, is_new] = numbers_.try_emplace(record.pri_ip, numbers_.size());
    constexpr std::uint32_t kBlocksOfAddress = (65'536 - kFrom) / kSize;
    const auto number = static_cast<std::uint32_t>(host->second);
    const std::uint32_t outside = htonl(0xc612'0000U + number / kBlocksOfAddress);  // 198.18.0.0/15
    record.nat_ip = IpAddress::from_v4(outside);
    record.nat_port =
        static_cast<std::uint16_t>(kFrom + number % kBlocksOfAddress * kSize + record.nat_port % kSize);
  }

 private:
  std::map<IpAddress, std::size_t> numbers_;
};

void measure_blocks(std::size_t sessions) {
  struct Total {
    std::size_t records = 0, json = 0, ipfix = 0;
  };
  const auto encoder = make_encoder({});
  const auto add = [&](std::span<const SessionRecord> records, IpfixBatch& batch, Total& total) {
    std::string text;
    for (const SessionRecord& record : records) encoder->append(record, text);
    batch.fill(records, std::size_t{1} << 40, {});
    batch.sent(batch.messages().size());
    total.records += records.size();
    total.json += text.size();
    total.ipfix += batch.text().size();
  };
  IpfixBatch plain_batch({}, std::nullopt);
  IpfixBatch block_batch({}, std::nullopt);
  plain_batch.set_longest(1400);
  block_batch.set_longest(1400);
  Total plain;
  Total as_blocks;
  PortBlocks blocks({.prefixes = {*Prefix::parse("0.0.0.0/0")},
                     .size = Allocator::kSize,
                     .from = Allocator::kFrom,
                     .settle = {}});
  Allocator allocator;
  CgnatDay day(CgnatOptions{.sessions = sessions});
  std::vector<SessionRecord> records(kBatch);
  std::vector<SessionRecord> told;
  double seconds = 0;
  while (const std::size_t count = day.next(records)) {
    const auto some = std::span(records).first(count);
    for (SessionRecord& record : some) allocator.give_port(record);
    add(some, plain_batch, plain);
    told.clear();
    const double begin = processor_seconds();
    for (const SessionRecord& record : some) blocks.put(record, told);
    blocks.keep(count);
    seconds += processor_seconds() - begin;
    add(told, block_batch, as_blocks);
  }
  std::printf("\nblocks of %u ports, a day of %zu sessions: %zu records are %zu (%.1f times fewer)\n",
              unsigned{Allocator::kSize}, sessions, plain.records, as_blocks.records,
              static_cast<double>(plain.records) / static_cast<double>(as_blocks.records));
  std::printf(
      "  json %.1f MB: %.1f (%.1f times less); ipfix %.1f MB: %.1f (%.1f times less); %.0f ns a record\n",
      static_cast<double>(plain.json) / 1e6, static_cast<double>(as_blocks.json) / 1e6,
      static_cast<double>(plain.json) / static_cast<double>(as_blocks.json),
      static_cast<double>(plain.ipfix) / 1e6, static_cast<double>(as_blocks.ipfix) / 1e6,
      static_cast<double>(plain.ipfix) / static_cast<double>(as_blocks.ipfix),
      seconds / static_cast<double>(plain.records) * 1e9);
}

#ifdef NATSESSION_BENCH_KAFKA
constexpr const char* kBeCluster = "--be-kafka-cluster";

// What this program does with kBeCluster: tells where it listens, until it is killed.
int be_cluster() {
  std::array<char, 256> why{};
  rd_kafka_conf_t* const conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "log_level", "0", nullptr, 0);
  rd_kafka_t* const handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why.data(), why.size());
  rd_kafka_mock_cluster_t* const cluster = rd_kafka_mock_cluster_new(handle, 1);
  rd_kafka_mock_topic_create(cluster, "nat", 4, 1);
  std::printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
  std::fflush(stdout);
  while (true) ::pause();
}

class Cluster {
 public:
  Cluster() {
    std::array<int, 2> pipe{};
    if (::pipe(pipe.data()) != 0) fail("no pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(pipe[1], STDOUT_FILENO);
      ::execl("/proc/self/exe", "sink_bench", kBeCluster, static_cast<const char*>(nullptr));
      ::_exit(1);
    }
    ::close(pipe[1]);
    std::array<char, 256> told{};
    const ssize_t count = ::read(pipe[0], told.data(), told.size());
    ::close(pipe[0]);
    if (count < 2) fail("no Kafka cluster");
    place_.assign(told.data(), static_cast<std::size_t>(count - 1));
  }
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;
  ~Cluster() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] const std::string& place() const { return place_; }

 private:
  pid_t pid_ = 0;
  std::string place_;
};

// What the peers of this process's TCP connections have of it.
double bytes_sent() {
  double bytes = 0;
  DIR* const folder = ::opendir("/proc/self/fd");
  while (const dirent* const entry = ::readdir(folder)) {
    tcp_info info{};
    socklen_t length = sizeof(info);
    if (::getsockopt(std::atoi(entry->d_name), IPPROTO_TCP, TCP_INFO, &info, &length) == 0)
      bytes += static_cast<double>(info.tcpi_bytes_acked);
  }
  ::closedir(folder);
  return bytes;
}

void measure_kafka(const char* name, const char* options, const std::vector<SessionRecord>& records,
                   int rounds) {
  double best = 1e9;
  double bytes = 0;
  const SystemClock clock;
  for (int round = 0; round < rounds; ++round) {
    const Cluster cluster;
    const auto config = SinkConfig::parse("kafka://" + cluster.place() + "/nat" + options);
    if (!config) fail(config.error().message);
    auto sink = config->open({}, clock, nullptr);
    if (!sink) fail(sink.error().message);
    // The first connects, and learns of the topic.
    const auto deliver = [&](std::span<const SessionRecord> batch) {
      const Answer answer = (*sink)->deliver(batch);
      if (answer.kind != Answer::Kind::kDelivered) fail(std::string(name) + ": " + answer.why);
    };
    deliver(std::span(records).first(1));
    const double sent = bytes_sent();
    const double begin = processor_seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (std::size_t at = 0; at < records.size(); at += kBatch)
      deliver(std::span(records).subspan(at, std::min(kBatch, records.size() - at)));
    best = std::min(best, processor_seconds(CLOCK_PROCESS_CPUTIME_ID) - begin);
    bytes = bytes_sent() - sent;
  }
  print_cost(name, records.size(), best, bytes);
}
#endif

}  // namespace
}  // namespace natsession::bench

int main(int argc, char** argv) {
  using namespace natsession;
#ifdef NATSESSION_BENCH_KAFKA
  if (argc > 1 && std::string_view(argv[1]) == bench::kBeCluster) return bench::be_cluster();
#endif
  const bool quick = argc > 1 && std::string_view(argv[1]) == "--quick";
  if (argc > 2 || (argc == 2 && !quick)) {
    std::fprintf(stderr, "usage: sink_bench [--quick]\n");
    return 2;
  }
  ::setenv("NATSESSION_BENCH_KEY_ID", "id", 1);
  ::setenv("NATSESSION_BENCH_KEY_SECRET", "secret", 1);
  const std::size_t wanted = quick ? 20'000 : 500'000;
  bench::CgnatDay day(bench::CgnatOptions{.sessions = wanted});
  std::vector<SessionRecord> records(wanted);
  records.resize(day.next(records));
  for (const auto& workload : bench::kWorkloads)
    bench::measure(workload, records, quick ? 1 : bench::kRounds);
#ifdef NATSESSION_BENCH_TLS
  bench::measure_tls("ipfix+tls", "ipfix+tls://", records, quick ? 1 : bench::kRounds);
  bench::measure_tls("syslog+tls", "syslog+tls://", records, quick ? 1 : bench::kRounds);
#endif
#ifdef NATSESSION_BENCH_KAFKA
  bench::measure_kafka("kafka", "", records, quick ? 1 : bench::kRounds);
  bench::measure_kafka("kafka, format=protobuf", "?format=protobuf", records, quick ? 1 : bench::kRounds);
#endif
  bench::measure_blocks(quick ? 20'000 : 5'000'000);
}
