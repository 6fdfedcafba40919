#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>

#include <catch2/catch.hpp>

#include "identity/identity_keeper.h"
#include "identity/kept_log.h"
#include "identity/sources/md5.h"
#include "identity/sources/radius_packet.h"
#include "identity/sources/radius_source.h"
#include "identity_sources/text_story.h"
#include "support/files.h"
#include "support/temp_dir.h"

namespace natsession::testing {
namespace {

using Packet = std::vector<std::uint8_t>;

constexpr UnixMs kRadiusNow{std::chrono::seconds(1'796'068'000)};

// What radclient sent, with the secret testing123.
Packet sent_by_radclient(const std::string& name) {
  const std::string text = read_file(NATSESSION_FUZZ_CORPUS "/identity_radius/" + name);
  return {text.begin(), text.end()};
}

std::span<const std::uint8_t> bytes_in(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// With its length and signature made anew.
Packet signed_with(Packet packet, std::string_view secret) {
  packet[2] = static_cast<std::uint8_t>(packet.size() >> 8U);
  packet[3] = static_cast<std::uint8_t>(packet.size());
  std::fill_n(packet.begin() + 4, 16, std::uint8_t{0});
  Md5 digest;
  digest.add(packet);
  digest.add(bytes_in(secret));
  const auto bytes = digest.finish();
  std::copy(bytes.begin(), bytes.end(), packet.begin() + 4);
  return packet;
}

std::string why_not(const Packet& packet, std::string_view secret = "testing123") {
  AccountingReport report;
  const auto read = read_accounting_request(packet, secret, report);
  return read ? "" : read.error().message;
}

// A client, and a source that listens on a port that the kernel chose.
struct Client {
  explicit Client(const char* address = "127.0.0.1", const std::string& secrets = "") {
    RadiusSettings settings;
    settings.address = address;
    settings.secret_file = folder.file("secret");
    write_file(settings.secret_file, "testing123\n");
    if (!secrets.empty()) {
      settings.secrets_file = folder.file("secrets");
      write_file(settings.secrets_file, secrets);
    }
    settings.port = 0;
    source = std::make_unique<RadiusSource>("radius", settings);
    const auto opened = source->open();
    if (!opened) FAIL(opened.error().message);
    socklen_t length = sizeof server;
    REQUIRE(::getsockname(source->fd(), reinterpret_cast<sockaddr*>(&server), &length) == 0);
    // Of all addresses the first one: the answer comes from there.
    if (server.sin6_family == AF_INET6) server.sin6_addr = in6addr_loopback;
    connect();
  }
  void connect() {
    socket.reset(::socket(server.sin6_family, SOCK_DGRAM | SOCK_NONBLOCK, 0));
    REQUIRE(::connect(socket.get(), reinterpret_cast<sockaddr*>(&server), sizeof server) == 0);
  }
  void send(const Packet& packet) const {
    REQUIRE(::send(socket.get(), packet.data(), packet.size(), 0) == static_cast<ssize_t>(packet.size()));
  }
  Story turn() {
    (void)source->turn(kRadiusNow, story);
    return story.take();
  }
  [[nodiscard]] Packet answer() const {
    Packet packet(5000);
    const ssize_t length = ::recv(socket.get(), packet.data(), packet.size(), 0);
    packet.resize(static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
    return packet;
  }

  TempDir folder;
  std::unique_ptr<RadiusSource> source;
  sockaddr_in6 server{};
  UniqueFd socket;
  IdentityStory story;
};

}  // namespace

TEST_CASE("a report of radclient's is read", "[identity][radius]") {
  AccountingReport report;
  REQUIRE(read_accounting_request(sent_by_radclient("start"), "testing123", report));
  CHECK(report.status == AccountingReport::Status::kStart);
  CHECK(report.user == "alice");
  CHECK(report.session_id == "00000001");
  CHECK(report.calling_station == "02-00-00-00-00-01");
  CHECK(report.nas_identifier == "bras1");
  CHECK(report.nas_address->to_string() == "127.0.0.1");
  CHECK(report.cls == "abc");
  CHECK(report.event == at_unix(1796067000));
  CHECK(report.delay_seconds == 3);
  std::string prefixes;
  for (const Prefix& prefix : report.prefixes) prefixes += prefix.to_string() + " ";
  CHECK(prefixes == "10.7.0.9/32 2001:db8:1::/64 2001:db8:100::/56 2001:db8:1::5/128 ");
}

TEST_CASE("a packet that was not made with the secret is refused, whichever byte differs",
          "[identity][radius]") {
  for (const char* const name : {"start", "proved", "stop", "on"}) {
    const Packet packet = sent_by_radclient(name);
    CHECK(why_not(packet).empty());
    CHECK(why_not(packet, "testing124") == "was not made with the secret");
    for (std::size_t i = 0; i < packet.size(); ++i) {
      Packet changed = packet;
      changed[i] ^= 1U;
      INFO(name << ", byte " << i);
      CHECK_FALSE(why_not(changed).empty());
    }
    for (std::size_t length = 0; length < packet.size(); ++length)
      CHECK_FALSE(
          why_not(Packet(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(length))).empty());
  }
}

TEST_CASE("a Message-Authenticator is checked where there is one", "[identity][radius]") {
  Packet packet = sent_by_radclient("proved");
  constexpr std::array<std::uint8_t, 2> kProof{80, 18};
  const auto at = std::search(packet.begin() + 20, packet.end(), kProof.begin(), kProof.end()) + 2;
  REQUIRE(at < packet.end());
  *at ^= 1U;
  CHECK(why_not(signed_with(packet, "testing123")) == "has a Message-Authenticator of another secret");
}

TEST_CASE("an attribute whose length does not fit is refused, also of who knows the secret",
          "[identity][radius]") {
  const Packet stop = sent_by_radclient("stop");
  const auto with = [&](Packet attribute) {
    Packet packet = stop;
    packet.insert(packet.end(), attribute.begin(), attribute.end());
    return why_not(signed_with(packet, "testing123"));
  };
  CHECK(with({}).empty());
  CHECK(with({200, 3, 7}).empty());  // of a kind that is not known
  for (const Packet& attribute :
       {Packet{200}, Packet{200, 0}, Packet{200, 1}, Packet{200, 4, 1}, Packet{8, 5, 1, 2, 3},
        Packet{40, 3, 1}, Packet{97, 3, 0}, Packet{97, 4, 0, 129}, Packet{97, 4, 0, 64}, Packet{168, 3, 1},
        Packet{80, 3, 1}, Packet{55, 2}})
    CHECK(with(attribute).starts_with("has an attribute whose length does not fit"));
}

TEST_CASE("an answer is signed, and has what proxies gave to the request", "[identity][radius]") {
  const Packet request = sent_by_radclient("proved");
  const Packet answer = accounting_response(request, "testing123");
  REQUIRE(answer.size() == 20 + 18 + 4);
  CHECK(answer[0] == 5);
  CHECK(answer[1] == request[1]);
  // RFC 2866, 3: over the request's authenticator.
  Packet zeroed = answer;
  std::copy_n(request.begin() + 4, 16, zeroed.begin() + 4);
  Md5 digest;
  digest.add(zeroed);
  digest.add(bytes_in("testing123"));
  const auto of_all = digest.finish();
  CHECK(std::equal(of_all.begin(), of_all.end(), answer.begin() + 4));
  CHECK(Packet(answer.begin() + 20, answer.begin() + 22) == Packet{80, 18});
  CHECK(Packet(answer.end() - 4, answer.end()) == Packet{33, 4, 1, 2});
  // As radclient reads it: over zeroes in its own place, and the authenticator's.
  std::fill_n(zeroed.begin() + 22, 16, std::uint8_t{0});
  std::fill_n(zeroed.begin() + 4, 16, std::uint8_t{0});
  const auto proof = hmac_md5(bytes_in("testing123"), zeroed);
  CHECK(std::equal(proof.begin(), proof.end(), answer.begin() + 22));
  CHECK(accounting_response(sent_by_radclient("stop"), "testing123").size() == 20);
}

TEST_CASE("a client is answered when what it told is committed, and not before", "[identity][radius]") {
  Client client;
  client.send(sent_by_radclient("stop"));
  CHECK(client.turn() == Story{"ended_session bras1 00000001 at 1796067120"});
  client.send(sent_by_radclient("start"));
  CHECK(client.turn().size() == 4);
  CHECK(client.answer().empty());
  client.source->committed();
  CHECK(client.answer() == accounting_response(sent_by_radclient("stop"), "testing123"));
  CHECK(client.answer() == accounting_response(sent_by_radclient("start"), "testing123"));
  CHECK(client.answer().empty());
  client.source->committed();
  CHECK(client.answer().empty());
}

TEST_CASE("what comes again is answered again, and told once", "[identity][radius]") {
  Client client;
  for (int i = 0; i < 3; ++i) client.send(sent_by_radclient("start"));
  CHECK(client.turn().size() == 4);
  client.source->committed();
  for (int i = 0; i < 3; ++i) CHECK(client.answer().size() == 20);
  client.send(sent_by_radclient("start"));
  CHECK(client.turn().empty());
  client.source->committed();
  CHECK(client.answer().size() == 20);
  CHECK(client.source->counts().again == 3);
  CHECK(client.source->counts().told == 1);
}

TEST_CASE("what somebody heard and sends from elsewhere is answered, and told once", "[identity][radius]") {
  Client client;
  client.send(sent_by_radclient("start"));
  CHECK(client.turn().size() == 4);
  UniqueFd own = std::move(client.socket);
  client.connect();  // from another port
  client.send(sent_by_radclient("start"));
  CHECK(client.turn().empty());
  CHECK(client.source->counts().again == 1);
  client.source->committed();
  CHECK(client.answer() == accounting_response(sent_by_radclient("start"), "testing123"));
}

// Another run does not remember what the one before was told.
TEST_CASE("what is said again of an address that has gone to another changes nothing, also after a restart",
          "[identity][radius]") {
  KeptIdentity kept;
  std::unique_ptr<IdentityKeeper> keeper;
  IdentityOutput* output = nullptr;
  const auto start = [&] {
    keeper = std::make_unique<IdentityKeeper>(std::make_unique<KeptLog>(kept), IdentityKeeper::Settings());
    output = &keeper->add_source("radius", "");
  };
  const auto turn = [&](Client& client, const Packet& packet) {
    client.send(packet);
    (void)client.source->turn(kRadiusNow, *output);
    keeper->work(kRadiusNow);
  };
  const auto who = [&] {
    ShortText subscriber, mac, host;
    const UnixMs at = kRadiusNow - std::chrono::seconds(1);
    return keeper->find("", *IpAddress::parse("10.7.0.9"), at, at, {&subscriber, &mac, &host})
               ? std::string(subscriber.view())
               : "";
  };
  const Packet alice = sent_by_radclient("start");
  Packet bob = alice;
  constexpr std::string_view kAlice = "alice", kBob = "bobby";
  std::copy(kBob.begin(), kBob.end(), std::search(bob.begin(), bob.end(), kAlice.begin(), kAlice.end()));
  constexpr std::string_view kSession = "00000001";
  *(std::search(bob.begin(), bob.end(), kSession.begin(), kSession.end()) + 7) = '2';
  constexpr std::array<std::uint8_t, 2> kEventTimestamp{55, 6};
  *(std::search(bob.begin() + 20, bob.end(), kEventTimestamp.begin(), kEventTimestamp.end()) + 5) += 60;
  bob = signed_with(bob, "testing123");
  start();
  {
    Client client;
    turn(client, alice);
    CHECK(who() == "alice");
    turn(client, bob);
    CHECK(who() == "bobby");
    turn(client, alice);
    CHECK(who() == "bobby");
  }
  start();
  Client client;
  turn(client, alice);
  turn(client, sent_by_radclient("stop"));  // of the session that was alice's
  std::vector<std::string> open;
  for (const AddressAssignment& one : kept.all()) {
    if (!one.until && one.prefix.to_string() == "10.7.0.9/32") open.push_back(one.subscriber);
  }
  CHECK(open == std::vector<std::string>{"bobby"});
  turn(client, bob);
  CHECK(who() == "bobby");
}

TEST_CASE("what is not of a client or its secret is refused without an answer", "[identity][radius]") {
  Client client("127.0.0.1", "127.0.0.0/8 other\n");
  client.send(sent_by_radclient("start"));
  CHECK(client.turn() == Story{"refused a RADIUS packet from 127.0.0.1 was not made with the secret"});
  client.send(signed_with(sent_by_radclient("on"), "other"));
  CHECK(client.turn() == Story{"ended_group bras1 at 1796067240"});
  client.send({1, 2, 3});
  CHECK(client.turn() == Story{"refused a RADIUS packet from 127.0.0.1 has no length of RADIUS's"});
  client.source->committed();
  CHECK(client.answer().size() == 20);
  CHECK(client.answer().empty());
  CHECK(client.source->counts().refused == 2);
}

TEST_CASE("a source on all addresses answers over IPv6", "[identity][radius]") {
  Client client("::");
  client.send(sent_by_radclient("stop"));
  (void)client.turn();
  client.source->committed();
  CHECK(client.answer().size() == 20);
}

TEST_CASE("clients that are not answered are heard no more, until they are", "[identity][radius]") {
  Client client;
  Packet packet = sent_by_radclient("stop");
  std::size_t sent = 0;
  while (sent < RadiusSource::kMaxWaiting + 100) {
    for (int i = 0; i < 500; ++i, ++sent) {
      packet[1] = static_cast<std::uint8_t>(sent);
      packet[30] = static_cast<std::uint8_t>(sent >> 8U);
      client.send(signed_with(packet, "testing123"));
    }
    (void)client.turn();
  }
  CHECK(client.source->counts().told == RadiusSource::kMaxWaiting);
  client.source->committed();
  (void)client.turn();
  CHECK(client.source->counts().told == sent);
}

TEST_CASE("secrets are found by the longest prefix of a client", "[identity][radius]") {
  const auto secrets =
      RadiusSecrets::parse_list("# all\n10.0.0.0/8 wide one\n10.1.0.0/16\tnarrow\nfd00::/8 six\n");
  REQUIRE(secrets);
  const auto of = [&](const char* address) {
    const std::string* const found = secrets->find(*IpAddress::parse(address));
    return found == nullptr ? "none" : *found;
  };
  CHECK(of("10.2.0.1") == "wide one");
  CHECK(of("10.1.0.1") == "narrow");
  CHECK(of("fd00::1") == "six");
  CHECK(of("192.0.2.1") == "none");
  CHECK(RadiusSecrets::parse_list("10.0.0.0/8").error().message ==
        "line 1: a secret is missing: write PREFIX SECRET");
  CHECK_FALSE(RadiusSecrets::parse_list("\n10.0.0/8 a\n"));
  CHECK_FALSE(RadiusSecrets::parse_list("# none\n"));
}

TEST_CASE("a source without its secret or its address says what is missing", "[identity][radius]") {
  TempDir folder;
  const auto error_of = [](const RadiusSettings& settings) {
    const auto opened = RadiusSource("radius", settings).open();
    return opened ? std::string() : opened.error().message;
  };
  CHECK(error_of({"127.0.0.1", 0, folder.file("none"), ""}).find(folder.file("none")) != std::string::npos);
  write_file(folder.file("empty"), "\n");
  CHECK(error_of({"127.0.0.1", 0, folder.file("empty"), ""}).find("first line") != std::string::npos);
  write_file(folder.file("secret"), "a\n");
  CHECK(error_of({"192.0.2.77", 0, folder.file("secret"), ""}).find("listen on UDP port") !=
        std::string::npos);
}

}  // namespace natsession::testing
