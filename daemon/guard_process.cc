#include "guard_process.h"

#include <algorithm>
#include <cerrno>
#include <tuple>
#include <vector>

#include <poll.h>

#include "conntrack/netlink_socket.h"
#include "conntrack/sysctls.h"
#include "system_calls.h"

namespace natsession {
namespace {

// How often the collectors are looked at, and after how many looks without a beat one does not answer. One
// that waits for events beats twice a second; but then nothing is dropped.
constexpr int kIntervalMs = 50;
constexpr int kSilentLooks = 4;

// After so many looks at which nothing was queued it waits for events, and costs an idle machine nothing.
constexpr int kCalmLooks = 20;

// The event socket, and the files of a TableGauge.
constexpr std::size_t kWardDescriptors = 1 + std::tuple_size_v<TableGauge::Descriptors>;

class Ward {
 public:
  Ward(NetlinkSocket events, TableGauge table) : events_(std::move(events)), table_(std::move(table)) {}

  // False if nothing is queued.
  bool look(Pulse& pulse, unsigned percent) {
    const std::uint64_t beat = pulse.last_beat();
    const NetlinkSocket::Queue queue = events_.queue();
    if (beat != beat_) {
      beat_ = beat;
      dropped_ = queue.dropped;
      silent_ = 0;
    } else if (++silent_ >= kSilentLooks && queue.dropped != dropped_) {
      clear_if_full(pulse, percent, queue.dropped);
    }
    return !queue.empty;
  }
  [[nodiscard]] int fd() const { return events_.fd(); }

 private:
  void clear_if_full(Pulse& pulse, unsigned percent, std::uint64_t dropped) {
    const auto read = table_.read();
    const TableUsage usage = read ? *read : TableUsage::not_known();
    if (TableGuard(ReliableMode::kAuto, percent).decide(usage, /*delaying=*/true)) return;
    if (!pulse.begin_clearing(beat_, dropped)) return;
    (void)events_.set_broadcast_error(false);
    pulse.cleared();
  }

  NetlinkSocket events_;
  TableGauge table_;
  std::uint64_t beat_ = 0;
  std::uint64_t dropped_ = 0;  // when the last beat was seen
  int silent_ = 0;             // looks since then
};

// Takes one message of watch(). False if this process is to end.
bool take_order(int link, std::span<std::optional<Ward>> wards) {
  std::size_t index = 0;
  auto message = receive_message(link, std::as_writable_bytes(std::span(&index, 1)));
  if (!message || message->length != sizeof index || index >= wards.size()) return false;
  wards[index].reset();
  if (message->descriptor_count != kWardDescriptors) return true;
  auto events = NetlinkSocket::adopt(std::move(message->descriptors[0]));
  if (!events) return true;
  TableGauge::Descriptors files;
  for (std::size_t i = 0; i < files.size(); ++i) files[i] = std::move(message->descriptors[i + 1]);
  wards[index].emplace(*std::move(events), TableGauge(std::move(files)));
  return true;
}

// The process. Nothing is allocated once it runs.
void guard_tables(int link, std::span<Pulse> pulses, unsigned percent) {
  std::vector<std::optional<Ward>> wards(pulses.size());
  std::vector<pollfd> fds(1 + pulses.size());
  fds[0] = {link, POLLIN, 0};
  int calm = 0;
  for (;;) {
    ++calm;
    for (std::size_t i = 0; i < wards.size(); ++i) {
      if (wards[i] && wards[i]->look(pulses[i], percent)) calm = 0;
      fds[i + 1] = {wards[i] ? wards[i]->fd() : -1, POLLIN, 0};
    }
    // Between two looks the event sockets are left alone: each wake-up costs the sender.
    const bool waits = calm > kCalmLooks;
    if (waits) calm = 0;
    ::poll(fds.data(), waits ? fds.size() : 1, waits ? -1 : kIntervalMs);
    if (fds[0].revents != 0 && !take_order(link, wards)) return;
  }
}

}  // namespace

Result<std::unique_ptr<GuardProcess>> GuardProcess::start(std::size_t count, unsigned percent,
                                                          const std::optional<User>& user) {
  const std::size_t bytes = sizeof(Pulse) * count;
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return system_error("mmap", errno, ErrorKind::kUnavailable);
  Pulse* const pulses = static_cast<Pulse*>(memory);
  std::uninitialized_default_construct_n(pulses, count);
  std::unique_ptr<GuardProcess> guard(new GuardProcess(Pulses(pulses, Unmap{bytes}), count));
  // What it does needs no capability: a socket's owner may change how it takes overruns.
  auto process = HelperProcess::start("natsess-guard", {}, user, [&](int link) {
    (void)refuse_system_calls({});  // where the kernel cannot, the daemon says so
    guard_tables(link, std::span(pulses, count), percent);
  });
  if (!process) return process.error();
  guard->process_.emplace(*std::move(process));
  return guard;
}

Result<void> GuardProcess::watch(std::size_t index, const ConntrackSource* source) {
  std::array<int, kWardDescriptors> descriptors{};
  if (source != nullptr) {
    const auto files = source->table().descriptors();
    descriptors[0] = source->event_fd();
    std::copy(files.begin(), files.end(), descriptors.begin() + 1);
  }
  return send_message(process_->link(), std::as_bytes(std::span(&index, 1)),
                      std::span(descriptors).first(source != nullptr ? kWardDescriptors : 0));
}

std::string GuardProcess::died() {
  std::string how = process_->wait_for_end();
  // It may have ended between its claim and its word.
  for (std::size_t i = 0; i < count_; ++i) pulse(i).cleared();
  return how;
}

}  // namespace natsession
