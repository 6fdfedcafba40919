#include "control/control_server.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <fstream>
#include <future>

#include <catch2/catch.hpp>
#include <grp.h>

#include "control/fake_handler.h"
#include "control/http_talk.h"
#include "control/sample_status.h"
#include "control/status_json.h"
#include "support/temp_dir.h"

namespace natsession {
namespace {

using namespace testing;  // NOLINT: the tests' own language

struct Running {
  explicit Running(HttpLimits limits = {}, std::string group = "", std::string steer_group = "")
      : server({.socket_path = path,
                .group = std::move(group),
                .metrics = HostPort{"127.0.0.1", 0},
                .limits = limits,
                .steer_group = std::move(steer_group)}) {
    handler.told = sample_status();
    handler.live = {
        .sessions = {sample_session(), sample_session6()}, .more = false, .now = handler.told.now};
    handler.ports = {{"blue", ip("203.0.113.7"), 6, 64'000, 200'000}};
    handler.sinks = {"file:/x"};
  }
  void start() {
    REQUIRE(server.listen());
    REQUIRE(server.start(handler));
  }

  TempDir folder;
  std::string path = folder.file("control.sock");
  FakeHandler handler;
  ControlServer server;
};

mode_t mode_of(const std::string& path) {
  struct stat there {};
  return ::lstat(path.c_str(), &there) == 0 ? there.st_mode & 07777 : 0;
}

bool exists(const std::string& path) {
  struct stat there {};
  return ::lstat(path.c_str(), &there) == 0;
}

// Asks as another user: in a child process, whose exit status is the answer's. Only root can.
int status_as(uid_t uid, gid_t gid, std::vector<gid_t> groups, const std::string& path,
              const std::string& method, const std::string& target) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgroups(groups.size(), groups.data()) != 0 || ::setgid(gid) != 0 || ::setuid(uid) != 0)
      ::_exit(1);
    HttpTalk talk(path);
    if (!talk.connected()) ::_exit(2);
    talk.send(method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const int status = parse_reply(talk.read_all()).status;
    ::_exit(status == 200 ? 20 : status == 403 ? 43 : 3);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

TEST_CASE("the control socket answers the status as JSON", "[control][server]") {
  Running running;
  running.start();
  const Reply reply = ask(running.path, "GET", "/status");
  CHECK(reply.status == 200);
  CHECK(reply.head.find("Content-Type: application/json") != std::string::npos);
  CHECK(*read_status_json(reply.body) == running.handler.told);
}

TEST_CASE("the control socket answers sessions that match the query", "[control][server]") {
  Running running;
  running.start();
  const Reply reply = ask(running.path, "GET", "/sessions?pri_ip=fd64%3A%3A%2F64&protocol=udp");
  CHECK(reply.status == 200);
  const auto answer = read_sessions_json(reply.body);
  REQUIRE(answer);
  CHECK(answer->sessions == std::vector{sample_session6()});
}

TEST_CASE("the control socket answers how many ports are in use", "[control][server]") {
  Running running;
  running.start();
  const Reply reply = ask(running.path, "GET", "/ports");
  CHECK(reply.status == 200);
  const auto answer = read_ports_json(reply.body);
  REQUIRE(answer);
  CHECK(answer->ports == running.handler.ports);
  CHECK_FALSE(answer->ports.empty());
  CHECK(ask(running.path, "GET", "/ports?nat_ip=203.0.113.7").status == 400);
}

TEST_CASE("the control socket answers enable and disable by calling the handler", "[control][server]") {
  Running running;
  running.start();
  CHECK(ask(running.path, "POST", "/disable").status == 200);
  CHECK(ask(running.path, "POST", "/enable?sink=file%3A%2Fx", "Content-Length: 0\r\n").status == 200);
  const Reply unknown = ask(running.path, "POST", "/disable?sink=nowhere");
  CHECK(unknown.status == 400);
  CHECK(read_error_json(unknown.body) == "no sink is called 'nowhere'");
  running.handler.changes.with([](const auto& changes) {
    CHECK(changes == std::vector<std::string>{"disable", "enable file:/x"});
  });
}

TEST_CASE("the control socket tells of flow logs and hands on what is to be changed of them",
          "[control][server]") {
  Running running;
  running.handler.flow_log_answer.logs = {
      {.name = "edge", .state = "on", .tags = {"a=b", "c=d"}, .editable = true}};
  running.start();
  const auto told = read_flow_logs_json(ask(running.path, "GET", "/flow-logs").body);
  REQUIRE(told);
  CHECK(*told == running.handler.flow_log_answer);
  const Reply tagged =
      ask(running.path, "POST", "/flow-log?action=tag&name=edge&word=a%3Db&word=c%3Dd&remove=e&remove=f");
  CHECK(tagged.status == 200);
  const auto changed = read_flow_log_changed_json(tagged.body);
  REQUIRE(changed);
  CHECK(*changed == FlowLogChanged{"edge", "tagd", "/etc/flow-edge.toml", true});
  CHECK(ask(running.path, "POST", "/flow-log?action=create&name=x&log=%7B%7D").status == 200);
  CHECK(ask(running.path, "POST", "/flow-log?action=delete&name=nowhere").status == 400);
  CHECK(ask(running.path, "POST", "/flow-log?action=delete&name=x&name=y").status == 400);
  CHECK(ask(running.path, "POST", "/flow-log?action=delete&file=x").status == 400);
  CHECK(ask(running.path, "GET", "/flow-log").status == 405);
  CHECK(ask(running.path, "GET", "/flow-logs?name=x").status == 400);
  running.handler.flow_log_changes.with([](const auto& changes) {
    REQUIRE(changes.size() == 3);
    CHECK(changes[0] == FlowLogChange{"tag", "edge", "", {"a=b", "c=d"}, {"e", "f"}});
    CHECK(changes[1] == FlowLogChange{"create", "x", "{}", {}, {}});
  });
}

TEST_CASE("the metrics are served on the control socket and on TCP, and nothing else on TCP",
          "[control][server]") {
  Running running;
  running.start();
  const std::uint16_t port = running.server.metrics_port();
  REQUIRE(port != 0);
  const Reply local = ask(running.path, "GET", "/metrics");
  const Reply remote = ask(port, "GET", "/metrics?x=1");
  CHECK(local.status == 200);
  CHECK(remote.status == 200);
  CHECK(remote.body == local.body);
  CHECK(remote.head.find("text/plain; version=0.0.4") != std::string::npos);
  CHECK(ask(port, "GET", "/status").status == 404);
  CHECK(ask(port, "GET", "/sessions").status == 404);
  CHECK(ask(port, "POST", "/disable").status == 404);
  CHECK(ask(port, "POST", "/metrics").status == 405);
  CHECK(ask(port, "GET", "/").status == 404);
  running.handler.changes.with([](const auto& changes) { CHECK(changes.empty()); });
}

TEST_CASE("the metrics do without ports when they cannot be told", "[control][server]") {
  Running running;
  running.handler.ports_error = Error{ErrorKind::kUnavailable, "busy"};
  running.start();
  const Reply reply = ask(running.path, "GET", "/metrics");
  CHECK(reply.status == 200);
  CHECK(reply.body.find("natsession_live_sessions") != std::string::npos);
}

TEST_CASE("an exception in the handler becomes status 500", "[control][server]") {
  Running running;
  running.handler.while_answering = [] { throw std::runtime_error("no"); };
  running.start();
  CHECK(ask(running.path, "GET", "/status").status == 500);
  CHECK(ask(running.path, "GET", "/").status == 200);
}

TEST_CASE("who connects between listen and start is answered after start", "[control][server]") {
  Running running;
  REQUIRE(running.server.listen());
  HttpTalk early(running.path);
  REQUIRE(early.connected());
  early.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  REQUIRE(running.server.start(running.handler));
  CHECK(parse_reply(early.read_all()).status == 200);
}

TEST_CASE("the socket has mode 0660 whatever the umask, and is removed at the stop", "[control][server]") {
  Running running;
  const mode_t before = ::umask(0);
  REQUIRE(running.server.listen());
  CHECK(::umask(before) == 0);  // as it was
  CHECK(mode_of(running.path) == 0660);
  running.server.stop();
  CHECK_FALSE(exists(running.path));
}

TEST_CASE("a socket that was put in place of ours is not removed", "[control][server]") {
  Running first;
  first.start();
  ::unlink(first.path.c_str());
  ControlServer second({.socket_path = first.path, .group = "", .metrics = {}, .limits = {}});
  REQUIRE(second.listen());
  first.server.stop();
  CHECK(exists(first.path));
}

TEST_CASE("the socket of a dead daemon is replaced", "[control][server]") {
  Running running;
  {
    const UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, running.path.data(), running.path.size());
    REQUIRE(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  REQUIRE(exists(running.path));
  running.start();
  CHECK(ask(running.path, "GET", "/").status == 200);
}

TEST_CASE("the socket of a live daemon is refused, with its pid", "[control][server]") {
  Running running;
  running.start();
  ControlServer second({.socket_path = running.path, .group = "", .metrics = {}, .limits = {}});
  const auto refused = second.listen();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::kUnavailable);
  CHECK(refused.error().message.find("process " + std::to_string(::getpid()) + " listens there") !=
        std::string::npos);
  CHECK(ask(running.path, "GET", "/").status == 200);
}

TEST_CASE("what is no socket is refused and left alone", "[control][server]") {
  TempDir folder;
  const std::string path = folder.file("precious");
  std::ofstream(path) << "data";
  ControlServer server({.socket_path = path, .group = "", .metrics = {}, .limits = {}});
  const auto refused = server.listen();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::kUsage);
  CHECK(exists(path));
}

TEST_CASE("a path that is too long, and a folder that cannot be, are refused by name", "[control][server]") {
  TempDir folder;
  for (const std::string& path :
       {folder.file(std::string(108, 'x')), folder.file("a/b/c.sock"), std::string("/proc/no/x.sock")}) {
    ControlServer server({.socket_path = path, .group = "", .metrics = {}, .limits = {}});
    const auto refused = server.listen();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find(path) != std::string::npos);
  }
}

TEST_CASE("the folder of the socket is made when it is absent", "[control][server]") {
  TempDir folder;
  const std::string path = folder.file("natsessiond/control.sock");
  ControlServer server({.socket_path = path, .group = "", .metrics = {}, .limits = {}});
  REQUIRE(server.listen());
  CHECK(mode_of(folder.file("natsessiond")) == 0755);
}

TEST_CASE("a metrics port in use is refused, and leaves no socket", "[control][server]") {
  Running running;
  running.start();
  TempDir folder;
  ControlServer second({.socket_path = folder.file("x.sock"),
                        .group = "",
                        .metrics = HostPort{"127.0.0.1", running.server.metrics_port()},
                        .limits = {}});
  const auto refused = second.listen();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::kUnavailable);
  CHECK(refused.error().message.find("127.0.0.1:") != std::string::npos);
  CHECK_FALSE(exists(folder.file("x.sock")));
}

TEST_CASE("reading is for the socket's group, changes are for root and a group of their own",
          "[control][server]") {
  if (::geteuid() != 0) return;  // only root can be somebody else
  const group* const users = ::getgrnam("users");
  REQUIRE(users != nullptr);
  const gid_t gid = users->gr_gid;
  const group* const operators = ::getgrnam("staff");
  REQUIRE(operators != nullptr);
  const gid_t steer = operators->gr_gid;
  Running running({}, "users", "staff");
  ::chmod(running.folder.path().c_str(), 0755);
  running.start();
  CHECK(status_as(12345, gid, {}, running.path, "GET", "/status") == 20);
  CHECK(status_as(12345, gid, {4242}, running.path, "POST", "/disable") == 43);
  CHECK(status_as(12345, gid, {steer}, running.path, "POST", "/disable") == 20);
  CHECK(status_as(12345, steer, {4242, gid}, running.path, "POST", "/enable") == 20);
  CHECK(status_as(12345, steer, {}, running.path, "POST", "/enable") == 2);
  CHECK(status_as(12345, 12345, {}, running.path, "GET", "/status") == 2);  // 0660 keeps it out
  ::chmod(running.path.c_str(), 0666);
  CHECK(status_as(12345, 12345, {}, running.path, "GET", "/status") == 20);
  CHECK(status_as(12345, 12345, {4242}, running.path, "POST", "/disable") == 43);
  running.handler.changes.with([](const auto& changes) {
    CHECK(changes == std::vector<std::string>{"disable", "enable"});
  });
  const std::string stop = "/flow-log?action=stop&name=edge";
  CHECK(status_as(12345, gid, {}, running.path, "GET", "/flow-logs") == 20);
  CHECK(status_as(12345, gid, {4242}, running.path, "POST", stop) == 43);
  CHECK(status_as(12345, gid, {steer}, running.path, "POST", stop) == 20);
  running.handler.flow_log_changes.with([](const auto& changes) { CHECK(changes.size() == 1); });
}

TEST_CASE("without the group only root changes anything", "[control][server]") {
  if (::geteuid() != 0) return;
  Running running({}, "there-is-no-such-group");
  ::chmod(running.folder.path().c_str(), 0755);
  running.start();
  ::chmod(running.path.c_str(), 0666);
  CHECK(status_as(12345, 0, {0}, running.path, "POST", "/disable") == 43);  // root's group is not root
  CHECK(status_as(12345, 12345, {}, running.path, "GET", "/status") == 20);
}

TEST_CASE("stop waits for the answer that is being made and calls the handler no more", "[control][server]") {
  Running running;
  std::promise<void> asked;
  std::promise<void> go_on;
  running.handler.while_answering = [&, told = go_on.get_future().share()] {
    asked.set_value();
    told.wait();
  };
  running.start();
  HttpTalk talk(running.path);
  talk.send("GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
  asked.get_future().wait();
  auto stopped = std::async(std::launch::async, [&] { running.server.stop(); });
  go_on.set_value();
  stopped.get();
  CHECK_FALSE(HttpTalk(running.path).connected());
}

TEST_CASE("a long answer does not keep another from being made", "[control][server]") {
  Running running;
  std::promise<void> go_on;
  std::atomic<int> waiting{0};
  running.handler.while_answering = [&, told = go_on.get_future().share()] {
    if (waiting++ == 0) told.wait();
  };
  running.start();
  HttpTalk slow(running.path);
  slow.send("GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
  while (waiting == 0) std::this_thread::yield();
  CHECK(ask(running.path, "GET", "/status").status == 200);
  go_on.set_value();
  CHECK(parse_reply(slow.read_all()).status == 200);
}

}  // namespace
}  // namespace natsession
