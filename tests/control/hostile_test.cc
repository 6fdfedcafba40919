// Requests that nobody means well with. After each the server still answers, and within its limits.
#include <deque>

#include <catch2/catch.hpp>
#include <poll.h>

#include "control/control_server.h"
#include "control/fake_handler.h"
#include "control/http_talk.h"
#include "control/sample_status.h"
#include "support/sanitizer.h"
#include "support/temp_dir.h"

namespace natsession {
namespace {

using namespace testing;  // NOLINT: the tests' own language

struct Target {
  explicit Target(HttpLimits limits = {})
      : server({.socket_path = path, .group = "", .metrics = {}, .limits = limits}) {
    handler.told = sample_status();
    REQUIRE(server.listen());
    REQUIRE(server.start(handler));
  }
  bool answers() const { return ask(path, "GET", "/status").status == 200; }

  TempDir folder;
  std::string path = folder.file("control.sock");
  FakeHandler handler;
  ControlServer server;
};

// Waits for one second at most; true when the peer has closed.
bool is_closed(HttpTalk& talk) {
  pollfd fd{talk.fd(), POLLIN | POLLRDHUP, 0};
  ::poll(&fd, 1, 1000);
  return (fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

constexpr HttpLimits kShort{.connections = 8, .duration = std::chrono::milliseconds(200)};

TEST_CASE("half a request line ends with the connection's time", "[control][hostile]") {
  Target target(kShort);
  HttpTalk talk(target.path);
  talk.send("GET /sta");
  CHECK(parse_reply(talk.read_all()).status != 200);
  CHECK(talk.closed());
  CHECK(target.answers());
}

TEST_CASE("a peer that sends a byte now and then is cut off all the same", "[control][hostile]") {
  Target target(kShort);
  HttpTalk talk(target.path);
  talk.send("GET /status HTTP/1.1\r\nX: ");
  int bytes = 0;
  const auto begun = std::chrono::steady_clock::now();
  pollfd fd{talk.fd(), POLLIN | POLLRDHUP, 0};
  // The peer itself keeps time between its bytes; the loop ends by the server's hand.
  while (::poll(&fd, 1, 20) == 0 && talk.send("x")) ++bytes;
  CHECK(is_closed(talk));
  CHECK(std::chrono::steady_clock::now() - begun < kPatience);
  CHECK(bytes > 0);
  CHECK(target.answers());
}

TEST_CASE("a peer that reads nothing of a large answer is cut off", "[control][hostile]") {
  Target target(kShort);
  target.handler.live.sessions.assign(20'000, sample_session());  // 8 MB of JSON
  HttpTalk talk(target.path);
  talk.send("GET /sessions?limit=100000 HTTP/1.1\r\nHost: x\r\n\r\n");
  pollfd fd{talk.fd(), POLLRDHUP, 0};
  CHECK(::poll(&fd, 1, static_cast<int>(kPatience.count()) * 1000) == 1);
  CHECK(target.answers());
}

TEST_CASE("more connections than allowed wait, and are served when the idle ones are cut off",
          "[control][hostile]") {
  Target target(kShort);
  std::deque<HttpTalk> idle;
  for (int i = 0; i < 100; ++i) idle.emplace_back(target.path);
  for (int i = 0; i < 3; ++i) CHECK(target.answers());
}

TEST_CASE("many slow connections keep nobody waiting until their time is over", "[control][hostile]") {
  Target target(
      {.connections = 8, .duration = std::chrono::minutes(1), .hurry = std::chrono::milliseconds(100)});
  std::deque<HttpTalk> slow;
  const bool ask = GENERATE(false, true);
  target.handler.live.sessions.assign(1500, sample_session());  // more than a socket takes
  for (int i = 0; i < 20; ++i) {
    slow.emplace_back(target.path);
    slow.back().send(ask ? "GET /sessions?limit=100000 HTTP/1.1\r\nHost: x\r\n\r\n" : "GET /sta");
  }
  const auto begun = std::chrono::steady_clock::now();
  // On a busy machine who asks may take long enough to be hurried itself; then it asks again.
  const auto in_time = [&] { return std::chrono::steady_clock::now() - begun < kPatience; };
  for (int i = 0; i < 3; ++i) {
    while (!target.answers()) REQUIRE(in_time());
  }
  CHECK(in_time());
}

TEST_CASE("who is slow alone is not hurried for the crowd of another address", "[control][hostile]") {
  FakeHandler handler;
  handler.told = sample_status();
  ControlServer server({.socket_path = "",
                        .group = "",
                        .metrics = HostPort{"127.0.0.1", 0},
                        .limits = {.connections = 16, .hurry = std::chrono::milliseconds(20)}});
  REQUIRE(server.listen());
  REQUIRE(server.start(handler));
  HttpTalk alone(server.metrics_port(), 1);
  alone.send("GET /metrics HTTP/1.1\r\n");
  std::deque<HttpTalk> crowd;
  for (int i = 0; i < 100; ++i) crowd.emplace_back(server.metrics_port(), 2);
  CHECK(is_closed(crowd.front()));
  CHECK(ask(server.metrics_port(), "GET", "/metrics").status == 200);
  alone.send("Host: x\r\n\r\n");
  CHECK(parse_reply(alone.read_all()).status == 200);
}

TEST_CASE("many connections that ask at once are all answered", "[control][hostile]") {
  Target target({.connections = 8, .duration = std::chrono::seconds(30), .hurry = std::chrono::seconds(30)});
  std::deque<HttpTalk> many;
  for (int i = 0; i < 100; ++i) {
    many.emplace_back(target.path);
    REQUIRE(many.back().connected());
    many.back().send("GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  for (HttpTalk& talk : many) CHECK(parse_reply(talk.read_all()).status == 200);
}

TEST_CASE("a head beyond the limit is refused", "[control][hostile]") {
  Target target;
  for (const bool many : {false, true}) {
    HttpTalk talk(target.path);
    std::string head = "GET /status HTTP/1.1\r\nHost: x\r\n";
    if (many) {
      for (int i = 0; i < 4000; ++i) head += "X" + std::to_string(i) + ": y\r\n";
    } else {
      head += "X: " + std::string(1 << 20, 'y') + "\r\n";
    }
    talk.send(head + "\r\n");
    const Reply reply = parse_reply(talk.read_all());
    CHECK((reply.status == 431 || reply.status == 413 || reply.status == 0));
    CHECK(target.answers());
  }
}

TEST_CASE("a request line beyond the limit is refused", "[control][hostile]") {
  Target target;
  HttpTalk talk(target.path);
  talk.send("GET /" + std::string(1 << 20, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(parse_reply(talk.read_all()).status != 200);
  CHECK(target.answers());
}

TEST_CASE("a body beyond the limit is refused, announced or not", "[control][hostile]") {
  Target target;
  const Reply announced = ask(target.path, "POST", "/disable", "Content-Length: 1000000000000\r\n");
  CHECK(announced.status == 413);
  HttpTalk chunked(target.path);
  chunked.send("POST /disable HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "400\r\n" + std::string(1024, 'x') + "\r\n";
  int sent = 0;
  while (sent < 10'000 && chunked.send(chunk)) ++sent;
  CHECK(sent < 10'000);
  target.handler.changes.with([](const auto& changes) { CHECK(changes.empty()); });
  CHECK(target.answers());
}

TEST_CASE("a small body is passed over", "[control][hostile]") {
  Target target;
  CHECK(ask(target.path, "POST", "/disable", "Content-Length: 4\r\n\r\nbody").status == 200);
}

TEST_CASE("what is not HTTP is closed without harm", "[control][hostile]") {
  Target target(kShort);
  for (const std::string& text :
       {std::string("\r\n\r\n"), std::string("hello\r\n\r\n"), std::string(300, '\0') + "\r\n\r\n",
        std::string("GET\r\n\r\n"), std::string("GET /status HTTP/9.9\r\n\r\n"),
        std::string("\x16\x03\x01\x02\x00\x01", 6),
        std::string("GET /status HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
        std::string("GET /x%00%ff%zz?%=%&&&=;# HTTP/1.1\r\nHost: x\r\n\r\n")}) {
    INFO(text);
    HttpTalk talk(target.path);
    talk.send(text);
    ::shutdown(talk.fd(), SHUT_WR);
    CHECK(parse_reply(talk.read_all()).status != 200);
    CHECK(talk.closed());
    CHECK(target.answers());
  }
}

TEST_CASE("a peer that goes away in the middle of anything does no harm", "[control][hostile]") {
  Target target;
  target.handler.live.sessions.assign(20'000, sample_session());
  const std::string request = "GET /sessions?limit=100000 HTTP/1.1\r\nHost: x\r\n\r\n";
  for (std::size_t cut = 0; cut <= request.size(); ++cut) {
    HttpTalk talk(target.path);
    talk.send(std::string_view(request).substr(0, cut));
  }
  CHECK(target.answers());
}

}  // namespace
}  // namespace natsession
