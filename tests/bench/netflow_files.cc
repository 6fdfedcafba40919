#include "bench/netflow_files.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "bench/query_bench.h"

namespace natsession::bench {
namespace {

constexpr std::uint16_t kPort = 19955;
constexpr std::uint16_t kTemplate = 256;
constexpr std::uint16_t kFlowsInPacket = 300;

// NetFlow 9's fields, and how long each is here.
constexpr std::pair<std::uint16_t, std::uint16_t> kFields[] = {{8, 4},   {12, 4},  {7, 2},  {11, 2}, {4, 1},
                                                               {1, 8},   {2, 8},   {23, 8}, {24, 8}, {152, 8},
                                                               {153, 8}, {225, 4}, {227, 2}};

template <typename Number>
void put(std::string& out, Number value) {
  for (std::size_t shift = 8 * sizeof(value); shift > 0; shift -= 8) {
    out.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (shift - 8)));
  }
}

void put_address(std::string& out, const IpAddress& address) {
  const std::uint32_t v4 = address.v4();
  out.append(reinterpret_cast<const char*>(&v4), 4);
}

[[noreturn]] void fail_with_errno(const std::string& what) {
  fail(what + ": " + std::strerror(errno));
}

// Bytes that wait at the collector's socket.
std::uint64_t waiting() {
  std::ifstream sockets("/proc/net/udp");
  std::string line;
  char port[8];
  std::snprintf(port, sizeof(port), ":%04X ", kPort);
  while (std::getline(sockets, line)) {
    if (line.find(port) == std::string::npos) continue;
    std::istringstream words(line);
    std::string number, local, remote, state, queues;
    words >> number >> local >> remote >> state >> queues;
    if (local.substr(local.find(':')) + " " != port) continue;
    return std::stoull(queues.substr(queues.find(':') + 1), nullptr, 16);
  }
  return UINT64_MAX;  // nobody listens
}

void sleep_ms(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

}  // namespace

void NetflowFiles::begin_slice(std::int64_t slice) {
  slice_ = slice;
  char name[16];
  std::snprintf(name, sizeof(name), "/%03d", static_cast<int>(slice));
  const std::string directory = directory_ + name;
  std::filesystem::create_directories(directory);
  const std::string port = std::to_string(kPort);
  collector_ = ::fork();
  if (collector_ < 0) fail_with_errno("fork");
  if (collector_ == 0) {
    const int null = ::open("/dev/null", O_RDWR);
    ::dup2(null, STDOUT_FILENO);
    ::dup2(null, STDERR_FILENO);
    ::execlp("nfcapd", "nfcapd", "-w", directory.c_str(), "-b", "127.0.0.1", "-p", port.c_str(), "-B",
             "20000000", "-t", "3600", "-z", static_cast<char*>(nullptr));
    ::_exit(127);
  }
  for (int tries = 0; waiting() == UINT64_MAX; ++tries) {
    if (tries == 500) fail_with_errno("nfcapd does not listen");
    sleep_ms(10);
  }
  socket_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kPort);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    fail_with_errno("connect");
  sequence_ = 0;
}

void NetflowFiles::add(std::span<const SessionRecord> records) {
  for (const SessionRecord& record : records) {
    const std::int64_t slice = (record.end_time - begin_).count() / kSliceMs;
    if (slice != slice_) {
      end_slice();
      begin_slice(slice);
    }
    const auto count = [](Count value) { return value.known() ? value.value() : 0; };
    put_address(flows_, record.pri_ip);
    put_address(flows_, record.pub_ip);
    put(flows_, record.pri_port);
    put(flows_, record.pub_port);
    put(flows_, record.protocol);
    put(flows_, count(record.bytes_from_vpc));
    put(flows_, count(record.pkts_from_vpc));
    put(flows_, count(record.bytes_from_pub));
    put(flows_, count(record.pkts_from_pub));
    put(flows_, static_cast<std::uint64_t>(record.start_time.time_since_epoch().count()));
    put(flows_, static_cast<std::uint64_t>(record.end_time.time_since_epoch().count()));
    put_address(flows_, record.nat_ip);
    put(flows_, record.nat_port);
    if (++count_ == kFlowsInPacket) send();
  }
}

void NetflowFiles::send() {
  if (count_ == 0) return;
  constexpr auto kTemplateFields = static_cast<std::uint16_t>(std::size(kFields));
  constexpr std::uint16_t kTemplateLength = 4 + 4 + 4 * kTemplateFields;
  std::string packet;
  put(packet, std::uint16_t{9});
  put(packet, static_cast<std::uint16_t>(count_ + 1));
  put(packet, std::uint32_t{1000});  // uptime
  put(packet, static_cast<std::uint32_t>((begin_.time_since_epoch().count() + slice_ * kSliceMs) / 1000));
  put(packet, sequence_++);
  put(packet, std::uint32_t{1});
  put(packet, std::uint16_t{0});
  put(packet, kTemplateLength);
  put(packet, kTemplate);
  put(packet, kTemplateFields);
  for (const auto& [field, length] : kFields) {
    put(packet, field);
    put(packet, length);
  }
  while (flows_.size() % 4 != 0) flows_.push_back('\0');
  put(packet, kTemplate);
  put(packet, static_cast<std::uint16_t>(flows_.size() + 4));
  packet += flows_;
  // Loopback drops what does not fit: never more than the collector's buffer holds.
  while (waiting() > 4'000'000) sleep_ms(1);
  if (::send(socket_.get(), packet.data(), packet.size(), 0) < 0) fail_with_errno("send");
  flows_.clear();
  count_ = 0;
}

void NetflowFiles::end_slice() {
  if (collector_ < 0) return;
  send();
  while (waiting() > 0) sleep_ms(2);
  sleep_ms(20);
  ::kill(collector_, SIGTERM);
  int status = 0;
  ::waitpid(collector_, &status, 0);
  collector_ = -1;
}

}  // namespace natsession::bench
