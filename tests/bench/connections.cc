// connections: short TCP connections, as many as go: connect, one byte there, one byte back, close from both
// ends.
//
// Usage: connections server ADDRESS FIRST_PORT PORTS THREADS
//            Prints "ready" once it listens on all ports; runs until a signal ends it.
//        connections client ADDRESS FIRST_PORT PORTS THREADS WARM_UP_SECONDS SECONDS
//            Prints "connections N failed N in S s: N a second", of the time after the warm-up.
// The client closes first. Set net.ipv4.tcp_max_tw_buckets=0 where it runs, or its ports are used up in
// TIME_WAIT.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <string_view>
#include <thread>
#include <vector>

#include <unistd.h>

namespace {

constexpr std::size_t kConcurrent = 32;  // connections that each thread of the client has open at once
constexpr int kEvents = 64;
constexpr int kBacklog = 4096;
constexpr int kPollMilliseconds = 50;

struct Target {
  in_addr address{};
  std::uint16_t first_port = 0;
  std::uint16_t ports = 0;

  [[nodiscard]] sockaddr_in at(std::uint32_t number) const {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr = address;
    to.sin_port = htons(static_cast<std::uint16_t>(first_port + number % ports));
    return to;
  }
};

const sockaddr* generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);  // NOLINT: so the socket interface wants it
}

bool watch(int epoll, int fd, std::uint32_t events, std::uint64_t what) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = what;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

std::size_t wait(int epoll, std::array<epoll_event, kEvents>& events) {
  const int count = epoll_wait(epoll, events.data(), kEvents, kPollMilliseconds);
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

// One thread's share of the client's connections.
class Client {
 public:
  Client(const Target& target, std::uint32_t first_number) : target_(target), next_(first_number) {}

  void run(const std::atomic<bool>& stop) {
    epoll_ = epoll_create1(0);
    std::array<epoll_event, kEvents> events{};
    while (!stop.load(std::memory_order_relaxed)) {
      if (open_ < kConcurrent) fill();
      const std::size_t count = wait(epoll_, events);
      for (std::size_t i = 0; i < count; ++i) {
        Connection& connection = connections_[events[i].data.u64];
        if (advance(connection)) continue;
        close(connection);
        open(connection);
      }
    }
    for (Connection& connection : connections_) close(connection);
    ::close(epoll_);
  }

  [[nodiscard]] std::uint64_t done() const { return done_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t failed() const { return failed_.load(std::memory_order_relaxed); }

 private:
  enum class State { kConnecting, kAsking, kClosing };
  struct Connection {
    int fd = -1;
    State state = State::kConnecting;
  };

  static void add_one(std::atomic<std::uint64_t>& counter) {
    counter.fetch_add(1, std::memory_order_relaxed);
  }

  void fill() {
    for (Connection& connection : connections_) {
      if (connection.fd < 0) open(connection);
    }
  }

  // What cannot be opened stays empty, until fill().
  void open(Connection& connection) {
    const sockaddr_in to = target_.at(next_++);
    const auto slot = static_cast<std::uint64_t>(&connection - connections_.data());
    connection = {socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), State::kConnecting};
    if (connection.fd < 0) return add_one(failed_);
    ++open_;
    if ((connect(connection.fd, generic(to), sizeof to) == 0 || errno == EINPROGRESS) &&
        watch(epoll_, connection.fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, slot)) {
      return;
    }
    add_one(failed_);
    close(connection);
  }

  void close(Connection& connection) {
    if (connection.fd < 0) return;
    ::close(connection.fd);
    connection.fd = -1;
    --open_;
  }

  // False when the connection is over, well or not.
  bool advance(Connection& connection) {
    char byte = 'a';
    if (connection.state == State::kConnecting) {
      if (send(connection.fd, &byte, 1, MSG_NOSIGNAL) == 1) {
        connection.state = State::kAsking;
        return true;
      }
      if (errno == EAGAIN || errno == ENOTCONN) return true;
      add_one(failed_);
      return false;
    }
    const ssize_t length = recv(connection.fd, &byte, 1, 0);
    if (length < 0 && errno == EAGAIN) return true;
    if (length == 1 && connection.state == State::kAsking) {
      connection.state = State::kClosing;
      shutdown(connection.fd, SHUT_WR);
      return true;
    }
    add_one(length == 0 && connection.state == State::kClosing ? done_ : failed_);
    return false;
  }

  const Target& target_;
  std::uint32_t next_;
  int epoll_ = -1;
  std::size_t open_ = 0;
  std::array<Connection, kConcurrent> connections_;
  std::atomic<std::uint64_t> done_{0};
  std::atomic<std::uint64_t> failed_{0};
};

struct Sum {
  std::uint64_t done = 0;
  std::uint64_t failed = 0;
};

Sum sum_of(const std::list<Client>& clients) {
  Sum sum;
  for (const Client& client : clients) {
    sum.done += client.done();
    sum.failed += client.failed();
  }
  return sum;
}

int run_client(const Target& target, std::uint32_t threads, double warm_up, double length) {
  using Clock = std::chrono::steady_clock;
  std::atomic<bool> stop{false};
  std::list<Client> clients;
  std::vector<std::thread> running;
  for (std::uint32_t i = 0; i < threads; ++i) {
    Client& client = clients.emplace_back(target, i * target.ports / threads);
    running.emplace_back([&client, &stop] { client.run(stop); });
  }
  std::this_thread::sleep_for(std::chrono::duration<double>(warm_up));
  const auto start = Clock::now();
  const Sum before = sum_of(clients);
  std::this_thread::sleep_for(std::chrono::duration<double>(length));
  const Sum after = sum_of(clients);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  stop = true;
  for (std::thread& thread : running) thread.join();
  const std::uint64_t done = after.done - before.done;
  std::printf("connections %lu failed %lu in %.2f s: %.0f a second\n", done, after.failed - before.failed,
              seconds, static_cast<double>(done) / seconds);
  return done > 0 ? 0 : 1;
}

// A socket of its own for each port and thread: the kernel spreads the connections.
bool listen_on(int epoll, const sockaddr_in& address) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const int one = 1;
  return fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
         setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) == 0 &&
         bind(fd, generic(address), sizeof address) == 0 && listen(fd, kBacklog) == 0 &&
         watch(epoll, fd, EPOLLIN, static_cast<std::uint64_t>(fd) << 1 | 1);
}

void accept_all(int epoll, int listener) {
  for (;;) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
    if (fd < 0) return;
    if (!watch(epoll, fd, EPOLLIN, static_cast<std::uint64_t>(fd) << 1)) ::close(fd);
  }
}

void answer(int fd) {
  char byte = 0;
  const ssize_t length = recv(fd, &byte, 1, 0);
  if (length < 0 && errno == EAGAIN) return;
  if (length == 1 && send(fd, &byte, 1, MSG_NOSIGNAL) == 1) return;
  ::close(fd);
}

[[noreturn]] void serve(int epoll) {
  std::array<epoll_event, kEvents> events{};
  for (;;) {
    const std::size_t count = wait(epoll, events);
    for (std::size_t i = 0; i < count; ++i) {
      const int fd = static_cast<int>(events[i].data.u64 >> 1);
      const bool is_listener = (events[i].data.u64 & 1) != 0;
      is_listener ? accept_all(epoll, fd) : answer(fd);
    }
  }
}

int run_server(const Target& target, std::uint32_t threads) {
  std::vector<int> epolls;
  for (std::uint32_t i = 0; i < threads; ++i) {
    epolls.push_back(epoll_create1(0));
    for (std::uint32_t number = 0; number < target.ports; ++number) {
      if (listen_on(epolls.back(), target.at(number))) continue;
      std::perror("connections: listen");
      return 3;
    }
  }
  std::puts("ready");
  std::fflush(stdout);
  for (std::size_t i = 1; i < epolls.size(); ++i) std::thread(serve, epolls[i]).detach();
  serve(epolls.front());
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view role = argc > 1 ? argv[1] : "";
  Target target;
  if (argc >= 6 && inet_pton(AF_INET, argv[2], &target.address) == 1) {
    target.first_port = static_cast<std::uint16_t>(std::atoi(argv[3]));
    target.ports = static_cast<std::uint16_t>(std::atoi(argv[4]));
    const int threads = std::atoi(argv[5]);
    if (target.ports > 0 && threads > 0) {
      if (role == "server" && argc == 6) return run_server(target, static_cast<std::uint32_t>(threads));
      if (role == "client" && argc == 8) {
        return run_client(target, static_cast<std::uint32_t>(threads), std::atof(argv[6]),
                          std::atof(argv[7]));
      }
    }
  }
  std::fprintf(stderr,
               "usage: connections server ADDRESS FIRST_PORT PORTS THREADS\n"
               "       connections client ADDRESS FIRST_PORT PORTS THREADS WARM_UP_SECONDS SECONDS\n");
  return 2;
}
