#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstring>

#include <catch2/catch.hpp>

#include "command.h"
#include "control/control_server.h"
#include "control/fake_handler.h"
#include "control/sample_status.h"
#include "control/status_json.h"
#include "control_client.h"
#include "support/temp_dir.h"
#include "words.h"

namespace natsession::ctl {
namespace {

using namespace testing;  // NOLINT: the tests' own language

struct Served {
  Served() {
    handler.told = sample_status();
    handler.live = {
        .sessions = {sample_session(), sample_session6()}, .more = false, .now = handler.told.now};
    handler.sinks = {"http://a/?b=c&d e+f%"};
    REQUIRE(server.listen());
    REQUIRE(server.start(handler));
  }
  TempDir folder;
  std::string path = folder.file("control.sock");
  FakeHandler handler;
  ControlServer server{{.socket_path = path, .group = "", .metrics = {}, .limits = {}}};
  ControlClient client{path};
};

Error failure(const Result<std::string>& answer) {
  REQUIRE_FALSE(answer);
  return answer.error();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("the client gets what the server answers", "[control][client]") {
  Served served;
  const auto body = served.client.get("/status");
  REQUIRE(body);
  CHECK(*read_status_json(*body) == served.handler.told);
}

TEST_CASE("arguments arrive as they were given, whatever they contain", "[control][client]") {
  Served served;
  CHECK(served.client.post("/disable", {{"sink", "http://a/?b=c&d e+f%"}}));
  served.handler.changes.with([](const auto& changes) {
    CHECK(changes == std::vector<std::string>{"disable http://a/?b=c&d e+f%"});
  });
  CHECK(served.client.get("/sessions", {{"pri_ip", "fd64::/64"}, {"limit", "5"}}));
}

TEST_CASE("what the server refuses is told in the server's words", "[control][client]") {
  Served served;
  const Error unknown = failure(served.client.post("/enable", {{"sink", "x"}}));
  CHECK(unknown.kind == ErrorKind::kUsage);
  CHECK(unknown.message == "no sink is called 'x'");
  CHECK(failure(served.client.get("/nowhere")).kind == ErrorKind::kUsage);
}

TEST_CASE("a daemon that does not run is told with what would do", "[control][client]") {
  TempDir folder;
  const std::string path = folder.file("control.sock");
  const Error absent = failure(ControlClient(path).get("/status"));
  CHECK(absent.kind == ErrorKind::kUnavailable);
  CHECK(contains(absent.message, path + ": it is not there: natsessiond does not run"));
  CHECK(contains(absent.message, "systemctl start natsessiond"));
  CHECK(contains(absent.message, "--control PATH"));

  const UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  REQUIRE(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  CHECK(contains(failure(ControlClient(path).get("/status")).message, "nobody listens"));
}

TEST_CASE("a path that no socket can have is refused, not cut", "[control][client]") {
  const Error refused = failure(ControlClient("/" + std::string(200, 'x')).get("/status"));
  CHECK(refused.kind == ErrorKind::kUsage);
  CHECK(contains(refused.message, "longer than a socket's can be"));
}

TEST_CASE("a socket that is not for this user is told with whom it is for", "[control][client]") {
  if (::geteuid() != 0) return;  // only root can be somebody else
  Served served;
  ::chmod(served.folder.path().c_str(), 0755);
  REQUIRE(::chown(served.path.c_str(), 0, 100) == 0);  // users, on Debian
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgid(12345) != 0 || ::setuid(12345) != 0) ::_exit(1);
    const auto answer = ControlClient(served.path).get("/status");
    const bool told =
        !answer && answer.error().kind == ErrorKind::kPermission &&
        contains(answer.error().message, "permission denied: it is for root and members of the group users");
    ::_exit(told ? 0 : 2);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
}

TEST_CASE("what is no whole answer is an error, not a hang", "[control][client]") {
  const std::string answer = GENERATE(
      as<std::string>(), "", "220 smtp\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\n\r\n{}",
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}");
  CAPTURE(answer);
  TempDir folder;
  const std::string path = folder.file("odd.sock");
  auto listener = UnixListener::open(path, "");
  REQUIRE(listener);
  const pid_t child = ::fork();
  if (child == 0) {
    // The listening descriptor does not block.
    int fd = -1;
    while ((fd = ::accept(listener->fd(), nullptr, nullptr)) < 0) ::usleep(1000);
    char request[4096];
    (void)!::read(fd, request, sizeof request);
    (void)!::write(fd, answer.data(), answer.size());
    ::close(fd);
    ::_exit(0);
  }
  const Error error = failure(ControlClient(path).get("/status"));
  CHECK(contains(error.message, path + ": the daemon does not answer: what comes is no whole answer"));
  ::waitpid(child, nullptr, 0);
}

TEST_CASE("the ledger is the one that is named, else the daemon's", "[control][client]") {
  Served served;
  CHECK(*ledger_directory({.control = served.path, .ledger = "/x", .json = false}) == "/x");
  CHECK(*ledger_directory({.control = served.path, .ledger = "", .json = false}) ==
        "/var/lib/natsessiond/ledger");
  served.server.stop();
  const auto unknown = ledger_directory({.control = served.path, .ledger = "", .json = false});
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().kind == ErrorKind::kUnavailable);
  CHECK(contains(unknown.error().message, "Give --ledger DIR"));
}

TEST_CASE("one end of a session is an address, a prefix, a port or both", "[control][client]") {
  const auto split = [](std::string_view text) {
    const Endpoint end = split_endpoint(text);
    return end.address + "|" + end.port;
  };
  CHECK(split("10.0.0.5") == "10.0.0.5|");
  CHECK(split("10.0.0.0/8") == "10.0.0.0/8|");
  CHECK(split("10.0.0.5:4000") == "10.0.0.5|4000");
  CHECK(split(":4000") == "|4000");
  CHECK(split("fd64::2") == "fd64::2|");
  CHECK(split("::/0") == "::/0|");
  CHECK(split("[fd64::2]:4000") == "fd64::2|4000");
  CHECK(split("[fd64::2]") == "fd64::2|");
  CHECK(split("") == "|");
  CHECK(split("[fd64::2") == "[fd64::2|");  // refused later, as it stands
  CHECK(split("[fd64::2]x") == "[fd64::2]x|");
}

}  // namespace
}  // namespace natsession::ctl
