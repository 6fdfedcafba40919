// Prints what an encoder costs, in ns per record: the best of several rounds, over records whose numbers
// vary, so that no branch predictor learns them. Not a test: run it by hand on a quiet machine, built with
// optimisation.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <vector>

#include "record/encoder.h"

namespace natsession {
namespace {

// The workloads.
constexpr std::size_t kRecords = 65'536;
constexpr int kRounds = 25;
struct Workload {
  const char* name;
  bool ipv6;
  EncoderOptions options;
};
const Workload kWorkloads[] = {
    {"json ipv4 unix", false, {RecordFormat::kJson, TimeFormat::kUnix}},
    {"json ipv4 unix_ms", false, {RecordFormat::kJson, TimeFormat::kUnixMs}},
    {"json ipv4 rfc3339", false, {RecordFormat::kJson, TimeFormat::kRfc3339}},
    {"json ipv6 unix", true, {RecordFormat::kJson, TimeFormat::kUnix}},
    {"csv ipv4 unix", false, {RecordFormat::kCsv, TimeFormat::kUnix}},
    {"csv ipv4 cloud", false, {RecordFormat::kCsv, TimeFormat::kUnix, FieldSet::kCloud}},
    {"csv ipv6 unix", true, {RecordFormat::kCsv, TimeFormat::kUnix}},
    {"logfmt ipv4 unix", false, {RecordFormat::kLogfmt, TimeFormat::kUnix}},
    {"logfmt ipv6 unix", true, {RecordFormat::kLogfmt, TimeFormat::kUnix}},
};

std::vector<SessionRecord> make_records(const Origin& origin, bool ipv6) {
  std::mt19937_64 random(1);
  const auto address = [&] {
    if (!ipv6) return IpAddress::from_v4(static_cast<std::uint32_t>(random()));
    std::array<std::uint8_t, 16> bytes{0x20, 0x01, 0x0d, 0xb8};
    for (std::size_t i = 8; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(random());
    return IpAddress::from_v6(bytes);
  };
  const auto magnitude = [&](unsigned bits) { return random() >> (64 - 1 - random() % bits); };

  std::vector<SessionRecord> records(kRecords);
  for (SessionRecord& record : records) {
    const bool tcp = random() % 2 == 0;
    record.origin = &origin;
    record.vpc_id = "vpc-office";
    record.protocol = tcp ? 6 : 17;
    record.pri_ip = address();
    record.pub_ip = address();
    record.nat_ip = address();
    record.pri_port = static_cast<std::uint16_t>(random());
    record.pub_port = random() % 4 == 0 ? static_cast<std::uint16_t>(random()) : std::uint16_t{443};
    record.nat_port = static_cast<std::uint16_t>(random());
    record.bytes_from_pub = Count(magnitude(30));
    record.pkts_from_pub = Count(magnitude(14));
    record.bytes_from_vpc = Count(magnitude(24));
    record.pkts_from_vpc = Count(magnitude(14));
    record.session_start = UnixMs(std::chrono::milliseconds(1'795'263'000'000 + random() % 1'000'000));
    record.start_time = *record.session_start;
    record.end_time = record.start_time + std::chrono::milliseconds(random() % 600'000);
    record.session_id = random();
    record.tcp_state = tcp ? TcpState::kTimeWait : TcpState::kNone;
    record.reason = RecordReason::kDestroyed;
  }
  return records;
}

void measure(const Workload& workload) {
  const Origin origin{"nat-gateway-1", ""};
  const std::vector<SessionRecord> records = make_records(origin, workload.ipv6);
  const auto encoder = make_encoder(workload.options);
  std::string out;
  double best_ns = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    out.clear();
    const auto begin = std::chrono::steady_clock::now();
    for (const SessionRecord& record : records) {
      // As a sink does: a buffer that is emptied often enough to stay in the cache.
      if (out.size() > 65'536) out.clear();
      encoder->append(record, out);
    }
    const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - begin;
    best_ns = std::min(best_ns, spent.count() / static_cast<double>(kRecords));
  }
  std::string one;
  encoder->append(records.front(), one);
  std::printf("%-20s %7.1f ns/record  %4zu bytes\n", workload.name, best_ns, one.size());
}

}  // namespace
}  // namespace natsession

int main() {
  for (const auto& workload : natsession::kWorkloads) natsession::measure(workload);
}
