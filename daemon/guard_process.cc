#include "guard_process.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <tuple>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include "config/config.h"
#include "conntrack/netlink_socket.h"
#include "conntrack/sysctls.h"
#include "system_calls.h"

namespace natsession {
namespace {

using Steady = std::chrono::steady_clock;

// How often the collectors are looked at, and after how many looks without a beat one does not answer. One
// that waits for events beats twice a second; but then nothing is dropped.
constexpr int kIntervalMs = 50;
constexpr int kSilentLooks = 4;

// After so many looks at which nothing was queued it waits for events, and costs an idle machine nothing.
constexpr int kCalmLooks = 20;

// For so long it holds what a process left: a restart or an upgrade is over by then.
constexpr std::chrono::seconds kHold{60};
// How long a successor waits for its predecessor to stop, which takes as long as --help says at most.
constexpr std::chrono::seconds kLeaveLimit{50};

// Each side refuses another.
constexpr std::uint32_t kVersion = 1;

// The event socket, the region, and the files of a TableGauge.
constexpr std::size_t kWardDescriptors = 2 + std::tuple_size_v<TableGauge::Descriptors>;

// From the daemon, and the guard's answers to it.
struct Order {
  enum Kind : std::uint32_t {
    kWatch,  // with descriptors: this source for the collector `index`; without: none
    kTake,   // I am the successor. Answered by kTake, whose `index` is how many parts follow
    kPart,   // the event socket and the region of one
    kLeave,  // the guard's: another one takes over
  };
  std::uint32_t version = kVersion;
  Kind kind = kWatch;
  std::uint64_t index = 0;
  std::uint64_t percent = 0;  // 0: guards nothing
};

Result<void> send_order(int link, const Order& order, std::span<const int> descriptors = {}) {
  return send_message(link, std::as_bytes(std::span(&order, 1)), descriptors);
}

class Ward {
 public:
  Ward(NetlinkSocket events, std::shared_ptr<EventRegion> region, TableGauge table, unsigned percent)
      : events_(std::move(events)), region_(std::move(region)), table_(std::move(table)), percent_(percent) {}

  // False if nothing is queued.
  bool look() {
    Pulse& pulse = region_->pulse();
    const std::uint64_t beat = pulse.last_beat();
    const NetlinkSocket::Queue queue = events_.queue();
    if (beat != beat_) {
      beat_ = beat;
      dropped_ = queue.dropped;
      silent_ = 0;
    } else if (++silent_ >= kSilentLooks && queue.dropped != dropped_) {
      clear_if_full(queue.dropped);
    }
    return !queue.empty;
  }
  // Nobody will read the events.
  void let_go() {
    Pulse& pulse = region_->pulse();
    (void)pulse.begin_clearing(pulse.last_beat(), events_.queue().dropped);
    (void)events_.set_broadcast_error(false);
    pulse.cleared();
  }
  // While nobody else does.
  void look_for_silence() const {
    const bool trusts = (region_->owner().events & RegionOwner::kTrustsStamps) != 0;
    const ConntrackSysctls now = table_.sysctls();
    if (!now.sends_events() || (trusts && !now.stamps_sessions())) region_->saw_silence();
  }
  [[nodiscard]] int fd() const { return events_.fd(); }
  [[nodiscard]] std::array<int, 2> left_behind() const { return {events_.fd(), region_->fd()}; }

 private:
  void clear_if_full(std::uint64_t dropped) {
    if (percent_ == 0) return;
    const auto read = table_.read();
    const TableUsage usage = read ? *read : TableUsage::not_known();
    if (TableGuard(ReliableMode::kAuto, percent_).decide(usage, /*delaying=*/true)) return;
    if (!region_->pulse().begin_clearing(beat_, dropped)) return;
    (void)events_.set_broadcast_error(false);
    region_->pulse().cleared();
  }

  NetlinkSocket events_;
  std::shared_ptr<EventRegion> region_;
  TableGauge table_;
  unsigned percent_;
  std::uint64_t beat_ = 0;
  std::uint64_t dropped_ = 0;  // when the last beat was seen
  int silent_ = 0;             // looks since then
};

// The process.
class Guard {
 public:
  // `listener`: where successors ask; none: it ends with the daemon. `stays`: also without one.
  Guard(UniqueFd link, UniqueFd listener, bool stays)
      : link_(std::move(link)), listener_(std::move(listener)), stays_(stays), wards_(kMaxNamespaces) {}

  void run() {
    std::vector<pollfd> fds(3 + wards_.size());
    int calm = 0;
    for (;;) {
      ++calm;
      fds[0] = {link_.get(), POLLIN, 0};
      fds[1] = {listener_.get(), POLLIN, 0};
      fds[2] = {successor_.get(), POLLIN, 0};
      for (std::size_t i = 0; i < wards_.size(); ++i) {
        if (wards_[i] && wards_[i]->look()) calm = 0;
        if (wards_[i] && !link_) wards_[i]->look_for_silence();
        fds[i + 3] = {wards_[i] ? wards_[i]->fd() : -1, POLLIN, 0};
      }
      // Between two looks the event sockets are left alone: each wake-up costs the sender. Where nobody reads
      // them they stay readable.
      const bool holds = !link_ && any();
      const bool waits = calm > kCalmLooks && !holds;
      if (waits) calm = 0;
      ::poll(fds.data(), waits ? fds.size() : 3, waits ? -1 : kIntervalMs);
      if (fds[1].revents != 0) accept_successor();
      if (fds[2].revents != 0) successor_.reset();  // it has no more to say
      if (fds[0].revents != 0 && !take_order()) link_.reset();
      if (!link_ && successor_) hand_over();
      if (link_) {
        alone_since_.reset();
        continue;
      }
      if (!listener_ || (!stays_ && !any())) return;
      if (!alone_since_) alone_since_ = Steady::now();
      if (Steady::now() - *alone_since_ < kHold) continue;
      for (auto& ward : wards_) {
        if (ward) ward->let_go();
        ward.reset();
      }
      if (!stays_) return;
    }
  }

 private:
  [[nodiscard]] bool any() const {
    return std::any_of(wards_.begin(), wards_.end(), [](const auto& ward) { return ward.has_value(); });
  }

  // One message of watch(). False if the daemon has ended.
  bool take_order() {
    Order order;
    auto message = receive_message(link_.get(), std::as_writable_bytes(std::span(&order, 1)));
    if (!message || message->length != sizeof order || order.version != kVersion ||
        order.index >= wards_.size())
      return false;
    auto& ward = wards_[order.index];
    ward.reset();
    if (message->descriptor_count != kWardDescriptors) return true;
    auto events = NetlinkSocket::adopt(std::move(message->descriptors[0]));
    auto region = EventRegion::adopt(std::move(message->descriptors[1]));
    if (!events || !region) return true;
    TableGauge::Descriptors files;
    for (std::size_t i = 0; i < files.size(); ++i) files[i] = std::move(message->descriptors[i + 2]);
    ward.emplace(*std::move(events), *std::move(region), TableGauge(std::move(files)),
                 static_cast<unsigned>(order.percent));
    return true;
  }

  // Who may: this user, and root. One at a time.
  void accept_successor() {
    UniqueFd link(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ucred peer{};
    socklen_t size = sizeof peer;
    if (!link || successor_ || ::getsockopt(link.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
        (peer.uid != 0 && peer.uid != ::geteuid())) {
      return;
    }
    const timeval patience{.tv_sec = 1, .tv_usec = 0};
    for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
      if (::setsockopt(link.get(), SOL_SOCKET, option, &patience, sizeof patience) != 0) return;
    }
    Order order;
    const auto message = receive_message(link.get(), std::as_writable_bytes(std::span(&order, 1)));
    if (!message || message->length != sizeof order || order.version != kVersion ||
        order.kind != Order::kTake)
      return;
    successor_ = std::move(link);
    if (link_) (void)send_order(link_.get(), {.kind = Order::kLeave});
  }

  void hand_over() {
    link_ = std::move(successor_);
    const auto count = static_cast<std::uint64_t>(
        std::count_if(wards_.begin(), wards_.end(), [](const auto& ward) { return ward.has_value(); }));
    bool sent = static_cast<bool>(send_order(link_.get(), {.kind = Order::kTake, .index = count}));
    for (const auto& ward : wards_) {
      if (ward && sent)
        sent = static_cast<bool>(send_order(link_.get(), {.kind = Order::kPart}, ward->left_behind()));
    }
    if (!sent) link_.reset();
  }

  UniqueFd link_;
  UniqueFd listener_;
  UniqueFd successor_;  // who waits for the daemon to leave
  const bool stays_;
  std::vector<std::optional<Ward>> wards_;
  std::optional<Steady::time_point> alone_since_;
};

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return Error{ErrorKind::kUsage,
                 fmt::format("handover: \"{}\" is longer than the path of a socket may be", path)};
  path.copy(address.sun_path, path.size());
  return address;
}

const sockaddr* as_sockaddr(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);  // NOLINT: the socket API's own cast
}

// In place of a socket that nobody listens at.
Result<UniqueFd> listen_at(const std::string& path, const std::optional<User>& user) {
  const auto address = address_of(path);
  if (!address) return address.error();
  const std::string step = fmt::format("handover: listen at {}", path);
  UniqueFd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener) return system_error(step, errno, ErrorKind::kUnavailable);
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode))
      return Error{ErrorKind::kUsage,
                   fmt::format("handover: {} is there, and no socket: name another path", path)};
    ::unlink(path.c_str());
  }
  const mode_t mask = ::umask(0177);
  const int bound = ::bind(listener.get(), as_sockaddr(*address), sizeof *address);
  const int error = errno;
  ::umask(mask);
  if (bound != 0) return system_error(step, error, ErrorKind::kUnavailable);
  if (user && ::chown(path.c_str(), user->uid, user->gid) != 0) return system_error(step, errno);
  if (::listen(listener.get(), 4) != 0) return system_error(step, errno, ErrorKind::kUnavailable);
  return listener;
}

// Asks who listens at `path` for all that it holds, which is put behind `inherited`; it has handed it over
// within `limit`. None: nobody listens there.
Result<UniqueFd> ask_for_all(const std::string& path, std::chrono::seconds limit,
                             std::vector<GuardProcess::Inherited>& inherited) {
  const auto address = address_of(path);
  if (!address) return address.error();
  UniqueFd link(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!link) return system_error("handover: socket", errno, ErrorKind::kUnavailable);
  const timeval patience{.tv_sec = 1, .tv_usec = 0};
  const timeval answered{.tv_sec = limit.count(), .tv_usec = 0};
  ::setsockopt(link.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  ::setsockopt(link.get(), SOL_SOCKET, SO_RCVTIMEO, &answered, sizeof answered);
  if (::connect(link.get(), as_sockaddr(*address), sizeof *address) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) return UniqueFd();
    return system_error(fmt::format("handover: ask at {}", path), errno);
  }
  if (auto asked = send_order(link.get(), {.kind = Order::kTake}); !asked) return asked.error();
  Order order;
  const auto receive = [&](Order::Kind kind) -> Result<LinkMessage> {
    auto message = receive_message(link.get(), std::as_writable_bytes(std::span(&order, 1)));
    if (!message || message->length != sizeof order || order.version != kVersion || order.kind != kind) {
      return Error{
          ErrorKind::kUnavailable,
          fmt::format("handover: who listens at {} hands nothing over: the process before does not stop "
                      "within {} s, or is of another version; stop it first",
                      path, limit.count())};
    }
    return message;
  };
  if (auto begun = receive(Order::kTake); !begun) return begun.error();
  for (std::uint64_t left = order.index; left > 0; --left) {
    auto part = receive(Order::kPart);
    if (!part) return part.error();
    auto region = EventRegion::adopt(std::move(part->descriptors[1]));
    if (region) inherited.push_back({std::move(part->descriptors[0]), *std::move(region)});
  }
  return link;
}

// Where the program that is begun anew finds them.
constexpr int kLinkPlace = STDIN_FILENO;
constexpr int kListenerPlace = STDOUT_FILENO;

// The body of a process that start() has begun. What it does needs no capability: a socket's owner may change
// how it takes overruns. Where a sandbox refuses capset(), keep_only() has seen to it that a program is begun
// without any: so this one is, once more. Where the kernel cannot refuse system calls, the daemon says so.
void be_guard(UniqueFd link, UniqueFd listener) {
  if (holds_capabilities() && ::dup2(link.get(), kLinkPlace) == kLinkPlace &&
      (!listener || ::dup2(listener.get(), kListenerPlace) == kListenerPlace)) {
    char* const arguments[] = {const_cast<char*>(GuardProcess::kName), nullptr};  // is only read
    char* const environment[] = {nullptr};
    ::execve("/proc/self/exe", arguments, environment);
  }
  (void)refuse_system_calls({});
  Guard(std::move(link), std::move(listener), false).run();
}

Result<UniqueFd> duplicate(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy) return system_error("keep a socket for the guard", errno);
  return copy;
}

}  // namespace

Result<std::unique_ptr<GuardProcess>> GuardProcess::start(std::optional<unsigned> percent,
                                                          const std::string& path,
                                                          const std::optional<User>& user) {
  std::unique_ptr<GuardProcess> guard(new GuardProcess(path, percent));
  if (path.empty()) {
    auto process =
        HelperProcess::start(kName, {}, user, [](int link) { be_guard(UniqueFd(link), UniqueFd()); });
    if (!process) return process.error();
    guard->process_.emplace(*std::move(process));
    return guard;
  }
  auto listener = listen_at(path, user);
  if (!listener) return listener.error();
  auto link = HelperProcess::start_outliving(kName, user, listener->get(),
                                             [&](int end) { be_guard(UniqueFd(end), std::move(*listener)); });
  if (!link) return link.error();
  guard->link_ = std::move(*link);
  return guard;
}

void GuardProcess::begun_anew() {
  ::prctl(PR_SET_NAME, kName, 0, 0, 0);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  (void)refuse_system_calls({});
  const bool listens = ::fcntl(kListenerPlace, F_GETFD) >= 0;
  Guard(UniqueFd(kLinkPlace), UniqueFd(listens ? kListenerPlace : -1), false).run();
}

Result<std::unique_ptr<GuardProcess>> GuardProcess::join(const std::string& path,
                                                         std::optional<unsigned> percent,
                                                         std::vector<Inherited>& inherited) {
  std::unique_ptr<GuardProcess> guard(new GuardProcess(path, percent));
  auto link = ask_for_all(path, kLeaveLimit, inherited);
  if (!link) return link.error();
  if (!*link) return std::unique_ptr<GuardProcess>();
  guard->link_ = *std::move(link);
  return guard;
}

Result<void> GuardProcess::hold(const std::string& path, const std::optional<User>& user,
                                const std::function<void()>& ready) {
  auto listener = listen_at(path, user);
  if (!listener) return listener.error();
  if (auto dropped = keep_only({}, user); !dropped) return dropped;
  (void)refuse_system_calls({});
  ready();
  Guard(UniqueFd(), std::move(*listener), true).run();
  return {};
}

Result<void> GuardProcess::watch(std::size_t index, const ConntrackSource* source) {
  watched_.resize(std::max(watched_.size(), index + 1));
  Watched watched;
  if (source != nullptr) {
    auto events = duplicate(source->event_fd());
    if (!events) return events.error();
    watched.events = *std::move(events);
    const auto files = source->table().descriptors();
    for (std::size_t i = 0; i < files.size(); ++i) {
      auto file = duplicate(files[i]);
      if (!file) return file.error();
      watched.files[i] = *std::move(file);
    }
    watched.region = source->region();
  }
  watched_[index] = std::move(watched);
  return link() >= 0 ? tell(index) : Result<void>();
}

Result<void> GuardProcess::tell(std::size_t index) const {
  const Watched& watched = watched_[index];
  std::array<int, kWardDescriptors> descriptors{};
  if (watched.region) {
    descriptors[0] = watched.events.get();
    descriptors[1] = watched.region->fd();
    std::transform(watched.files.begin(), watched.files.end(), descriptors.begin() + 2,
                   [](const UniqueFd& file) { return file.get(); });
  }
  return send_order(link(), {.kind = Order::kWatch, .index = index, .percent = percent_},
                    std::span(descriptors).first(watched.region ? kWardDescriptors : 0));
}

GuardProcess::Word GuardProcess::read() {
  Order order;
  const auto message = receive_message(link(), std::as_writable_bytes(std::span(&order, 1)));
  if (!message || message->length == 0) return Word::kEnded;
  return order.kind == Order::kLeave ? Word::kLeave : Word::kNone;
}

std::string GuardProcess::died() {
  std::string how = process_ ? process_->wait_for_end() : "it has ended";
  link_.reset();
  // It may have ended between its claim and its word.
  for (const auto& watched : watched_) {
    if (watched.region) watched.region->pulse().cleared();
  }
  return how;
}

Result<bool> GuardProcess::rejoin() {
  if (path_.empty()) return false;
  std::vector<Inherited> of_another;
  auto link = ask_for_all(path_, std::chrono::seconds(1), of_another);
  if (!link) return link.error();
  if (!*link) return false;
  link_ = *std::move(link);
  for (std::size_t i = 0; i < watched_.size(); ++i) {
    if (auto told = tell(i); !told) {
      link_.reset();
      return told.error();
    }
  }
  return true;
}

}  // namespace natsession
