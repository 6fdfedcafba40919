#include <algorithm>
#include <csignal>
#include <filesystem>

#include <catch2/catch.hpp>

#include "sink/sink_fixture.h"
#include "sink/syslog_reader.h"
#include "sink/tls_peer.h"

using namespace natsession;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using namespace natsession::testing;

namespace {

const ManualClock kClock{UnixNs(0s)};

std::string with_ca() {
  return "ca=" + Certificates::get().crt("ca");
}

std::string with_client(const std::string& name = "client") {
  return with_ca() + "&cert=" + Certificates::get().crt(name) + "&key=" + Certificates::get().key(name);
}

std::unique_ptr<Sink> open(const std::string& place, const std::string& options) {
  std::signal(SIGPIPE, SIG_IGN);  // the peer's side, as in the program
  auto opened = open_sink("syslog+tls://" + place + "?timeout=5s&" + options, {}, kClock);
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

Answer deliver_one(const std::string& place, const std::string& options) {
  return open(place, options)->deliver(numbered_records(0, 1));
}

}  // namespace

TEST_CASE("a TLS receiver gets messages with their lengths, and a goodbye", "[sink][syslog][tls]") {
  const TlsPeer peer({.highest_version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION)});
  auto sink = open("localhost:" + peer.port(), with_ca());
  CHECK(sink->deliver(numbered_records(0, 2000)).kind == Answer::Kind::kDelivered);
  CHECK(sink->deliver(numbered_records(2000, 2001)).taken == 1);
  CHECK(peer.goodbyes() == 0);
  sink.reset();
  CHECK(eventually([&] { return peer.goodbyes() == 1; }));
  CHECK((numbers_of(split_octets(peer.got())) == numbers(0, 2001)));
}

TEST_CASE("the certificate must be a trusted one for the host, and of today", "[sink][syslog][tls]") {
  const auto [certificate, host, options, cause] =
      GENERATE(table<std::string, std::string, std::string, std::string>({
          {"server", "127.0.0.1", "ca", ""},
          {"server", "localhost", "ca", ""},
          {"other-name", "localhost", "ca", "mismatch"},
          {"other-name", "127.0.0.1", "ca", "mismatch"},
          {"other-name", "localhost", "servername", ""},
          {"expired", "localhost", "ca", "expired"},
          {"stranger", "localhost", "ca", "self-signed"},
          {"server", "localhost", "system", "unable to get local issuer"},
          {"stranger", "localhost", "off", ""},
          {"other-name", "localhost", "off", ""},
      }));
  CAPTURE(certificate, host, options);
  const TlsPeer peer({.certificate = certificate});
  std::string chosen = with_ca();
  if (options == "system") chosen = "verify=on";
  if (options == "off") chosen = "verify=off";
  if (options == "servername") chosen += "&servername=elsewhere.example";
  const Answer answer = deliver_one(host + ":" + peer.port(), chosen);
  if (cause.empty()) {
    CHECK(answer.kind == Answer::Kind::kDelivered);
    return;
  }
  CHECK(answer.kind == Answer::Kind::kTargetFailed);
  CHECK(answer.code == TargetCode::kUnauthorized);
  CHECK_THAT(answer.why, Contains(host + ":" + peer.port()) && Contains("certificate") && Contains(cause));
  CHECK(peer.got().empty());
}

TEST_CASE("a receiver that wants a client certificate gets the one that is given", "[sink][syslog][tls]") {
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  const TlsPeer peer({.wants_client_certificate = true, .highest_version = version});
  const std::string place = "localhost:" + peer.port();
  SECTION("a good one") {
    auto sink = open(place, with_client());
    CHECK(sink->deliver(numbered_records(0, 3)).kind == Answer::Kind::kDelivered);
    CHECK(eventually([&] { return numbers_of(split_octets(peer.got())) == numbers(0, 3); }));
  }
  SECTION("none") {
    const Answer answer = deliver_one(place, with_ca());
    CHECK(answer.kind == Answer::Kind::kTargetFailed);
    CHECK(answer.code == TargetCode::kUnauthorized);
    CHECK_THAT(answer.why, Contains(place) && Contains("refuses this client"));
    CHECK(peer.got().empty());
  }
  SECTION("one that it does not know") {
    const Answer answer = deliver_one(place, with_client("stranger"));
    CHECK(answer.kind == Answer::Kind::kTargetFailed);
    CHECK(answer.code == TargetCode::kUnauthorized);
    CHECK_THAT(answer.why, Contains(place) && Contains("refuses this client"));
  }
}

TEST_CASE("nothing older than TLS 1.2 is spoken", "[sink][syslog][tls]") {
  const TlsPeer peer({.highest_version = TLS1_1_VERSION});
  const Answer answer = deliver_one("localhost:" + peer.port(), with_ca());
  CHECK(answer.kind == Answer::Kind::kTargetFailed);
  CHECK_THAT(answer.why, Contains("protocol version"));
}

TEST_CASE("a peer that closes the connection is connected to again", "[sink][syslog][tls]") {
  const TlsPeer peer({.reads = 1});
  auto sink = open("localhost:" + peer.port(), with_ca());
  for (std::uint32_t number = 0; number < 3; ++number) {
    const auto records = numbered_records(number, number + 1);
    CHECK(eventually([&] { return sink->deliver(records).kind == Answer::Kind::kDelivered; }));
  }
  // A peer that closes with unread data loses it: that is seen, and sent again, with the next delivery.
  const auto next = numbered_records(3, 4);
  CHECK(eventually([&] {
    static_cast<void>(sink->deliver(next));
    const auto got = numbers_of(split_octets(peer.got()));
    return std::find(got.begin(), got.end(), 2) != got.end();
  }));
}

TEST_CASE("a peer that speaks no TLS, or nothing, is tried again later", "[sink][syslog][tls]") {
  const Listener listener;
  const std::string place = "localhost:" + listener.place().substr(listener.place().find(':') + 1);
  std::string options = with_ca();
  std::string cause;
  std::thread peer;
  const auto answer_with = [&](const std::string& text) {
    peer = std::thread([&listener, text] {
      const UniqueFd fd = listener.accept();
      CHECK(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
      std::array<char, 4096> hello;
      CHECK(::read(fd.get(), hello.data(), hello.size()) > 0);
      if (text.empty()) return;
      static_cast<void>(testing::read_to_end(fd.get()));
    });
  };
  SECTION("another protocol") {
    answer_with("220 mail.example.org ESMTP ready, what would you like?\r\n");
    cause = "wrong version number";
  }
  SECTION("a connection that is closed at once") {
    answer_with("");
    cause = "closed the connection";
  }
  SECTION("silence") {
    options += "&";
    options = "timeout=200ms&" + with_ca();
    cause = "does not answer the TLS handshake";
    auto opened = open_sink("syslog+tls://" + place + "?" + options, {}, kClock);
    REQUIRE(opened);
    const Answer answer = (*opened)->deliver(numbered_records(0, 1));
    CHECK(answer.kind == Answer::Kind::kRetryLater);
    CHECK_THAT(answer.why, Contains(place) && Contains(cause));
    return;
  }
  const Answer answer = deliver_one(place, options);
  peer.join();
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK_THAT(answer.why, Contains(place) && Contains(cause));
}

TEST_CASE("files of keys and certificates that do not do are refused before anything is sent",
          "[sink][syslog][tls]") {
  const Certificates& files = Certificates::get();
  const auto [options, words] = GENERATE_REF(table<std::string, std::vector<std::string>>({
      {"ca=/no/such/file", {"/no/such/file", "No such file"}},
      {"ca=" + files.key("ca"), {files.key("ca")}},
      {"cert=/no/such/file", {"/no/such/file"}},
      {"cert=" + files.crt("client"), {files.crt("client")}},
      {"cert=" + files.crt("client") + "&key=" + files.key("server"),
       {files.key("server"), "as the key of " + files.crt("client"), "mismatch"}},
      {"cert=" + files.crt("client") + "&key=" + files.key("locked"), {files.key("locked")}},
  }));
  CAPTURE(options);
  const std::string url = "syslog+tls://localhost?" + options;
  for (const auto& error : {probe_sink(url).error(), open_sink(url, {}, kClock).error()}) {
    for (const std::string& word : words) CHECK_THAT(error.message, Contains(word));
    CHECK(error.kind == ErrorKind::kUsage);
  }
}

TEST_CASE("a certificate that others may exchange is refused", "[sink][syslog][tls]") {
  const testing::TempDir directory;
  const std::string trusted = directory.file("trusted");
  testing::write_file(trusted, testing::read_file(Certificates::get().crt("ca")));
  std::filesystem::permissions(trusted, std::filesystem::perms::others_write,
                               std::filesystem::perm_options::add);
  const auto refused = probe_sink("syslog+tls://localhost?ca=" + trusted).error();
  CHECK(refused.kind == ErrorKind::kPermission);
  CHECK_THAT(refused.message, Contains("everybody may write it: chmod o-w " + trusted));
}

TEST_CASE("reopening reads certificates anew, and keeps the old ones if the new ones do not do",
          "[sink][syslog][tls]") {
  const testing::TempDir directory;
  const std::string trusted = directory.file("trusted");
  testing::write_file(trusted, testing::read_file(Certificates::get().crt("stranger")));
  const TlsPeer peer;
  auto sink = open("localhost:" + peer.port(), "ca=" + trusted);
  CHECK(sink->deliver(numbered_records(0, 1)).code == TargetCode::kUnauthorized);
  testing::write_file(trusted, testing::read_file(Certificates::get().crt("ca")));
  CHECK(sink->reopen());
  CHECK(sink->deliver(numbered_records(0, 1)).kind == Answer::Kind::kDelivered);
  testing::write_file(trusted, "nonsense");
  const auto reopened = sink->reopen();
  REQUIRE_FALSE(reopened);
  CHECK_THAT(reopened.error().message, Contains(trusted));
  CHECK(sink->deliver(numbered_records(1, 2)).kind == Answer::Kind::kDelivered);
}
