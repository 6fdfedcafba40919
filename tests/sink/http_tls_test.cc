#include <csignal>

#include <catch2/catch.hpp>

#include "sink/sink_fixture.h"
#include "sink/tls_peer.h"

using namespace natsession;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using namespace natsession::testing;

namespace {

const std::string kOk = "HTTP/1.1 204 Done\r\nContent-Length: 0\r\n\r\n";

Answer deliver_one(const std::string& host, const TlsPeer& peer, const std::string& options) {
  std::signal(SIGPIPE, SIG_IGN);  // the peer's side, as in the program
  auto opened =
      open_sink("https://" + host + ":" + peer.port() + "/log?timeout=5s&" + options, {}, kStoppedClock);
  if (!opened) FAIL(opened.error().message);
  return (*opened)->deliver(numbered_records(0, 1));
}

}  // namespace

TEST_CASE("over TLS the server's certificate must be a trusted one for the host", "[sink][http][tls]") {
  const auto [certificate, host, options, good] =
      GENERATE(table<std::string, std::string, std::string, bool>({
          {"server", "localhost", "ca", true},
          {"server", "127.0.0.1", "ca", true},
          {"other-name", "localhost", "ca", false},
          {"expired", "localhost", "ca", false},
          {"stranger", "localhost", "ca", false},
          {"server", "localhost", "system", false},
          {"stranger", "localhost", "off", true},
      }));
  CAPTURE(certificate, host, options);
  const TlsPeer peer({.certificate = certificate, .answer = kOk});
  std::string chosen = "ca=" + Certificates::get().crt("ca");
  if (options == "system") chosen = "verify=on";
  if (options == "off") chosen = "verify=off";
  const Answer answer = deliver_one(host, peer, chosen);
  if (good) {
    CHECK(answer.kind == Answer::Kind::kDelivered);
    CHECK(peer.got().starts_with("POST /log HTTP/1.1\r\n"));
    return;
  }
  CHECK(answer.kind == Answer::Kind::kTargetFailed);
  CHECK(answer.code == TargetCode::kUnauthorized);
  CHECK_THAT(answer.why, Contains("https://" + host) && Contains("ertificate"));
  CHECK(peer.got().empty());
}

TEST_CASE("over TLS a client certificate is shown, and its lack is Unauthorized", "[sink][http][tls]") {
  const Certificates& files = Certificates::get();
  const TlsPeer peer({.wants_client_certificate = true,
                      .highest_version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION),
                      .answer = kOk});
  const std::string trusted = "ca=" + files.crt("ca");
  const auto as = [&](const std::string& name) {
    return "&cert=" + files.crt(name) + "&key=" + files.key(name);
  };
  CHECK(deliver_one("localhost", peer, trusted + as("client")).kind == Answer::Kind::kDelivered);
  for (const std::string& options : {trusted, trusted + as("stranger")}) {
    const Answer answer = deliver_one("localhost", peer, options);
    CAPTURE(options, answer.why);
    CHECK(answer.kind == Answer::Kind::kTargetFailed);
    CHECK(answer.code == TargetCode::kUnauthorized);
  }
}

TEST_CASE("over TLS a key that cannot be used is told and not asked about", "[sink][http][tls]") {
  const Certificates& files = Certificates::get();
  const TlsPeer peer({.answer = kOk});
  const Answer answer = deliver_one("localhost", peer,
                                    "verify=off&cert=" + files.crt("client") + "&key=" + files.key("locked"));
  CHECK(answer.kind == Answer::Kind::kTargetFailed);
  CHECK(answer.code == TargetCode::kUnauthorized);
  CHECK_THAT(answer.why, Contains("key"));
}
