#include "sink/pseudonyms/pseudonym_sink.h"

#include <fstream>
#include <set>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "record/subscriber_encoder.h"
#include "sink/registry.h"
#include "support/capture_sink.h"
#include "support/numbered_record.h"
#include "support/temp_dir.h"

namespace natsession::testing {
namespace {

class ByAddress final : public SubscriberLookup {
 public:
  void find(const SessionRecord& record, Subscriber& out) const override {
    out = {"user of " + record.pri_ip.to_string(), "02:00:5e:00:53:01", ""};
  }
};

SessionRecord from(const char* address, std::uint32_t number = 1) {
  SessionRecord record = numbered_record(number);
  record.pri_ip = *IpAddress::parse(address);
  record.session_id = number;
  return record;
}

struct Hidden {
  explicit Hidden(const std::string& key)
      : pseudonyms(std::make_shared<const Pseudonyms>(key)),
        lookup(std::make_shared<PseudonymLookup>(pseudonyms, std::make_shared<ByAddress>())),
        sink(std::make_unique<CaptureSink>("kept", capture), lookup) {}
  std::vector<SessionRecord> deliver(const std::vector<SessionRecord>& records) {
    const std::size_t before = capture->count();
    CHECK(sink.deliver(records).taken == records.size());
    auto seen = capture->seen().records;
    return {seen.begin() + static_cast<std::ptrdiff_t>(before), seen.end()};
  }
  std::shared_ptr<Capture> capture = std::make_shared<Capture>();
  std::shared_ptr<const Pseudonyms> pseudonyms;
  std::shared_ptr<PseudonymLookup> lookup;
  PseudonymSink sink;
};

Subscriber found(const Hidden& hidden, const SessionRecord& record) {
  Subscriber out;
  hidden.lookup->find(record, out);
  return out;
}

TEST_CASE("an address is always the same pseudonym, another address another, and another key's is another") {
  Hidden hidden("a key that nobody knows"), other("another key that nobody knows");
  const auto told =
      hidden.deliver({from("10.0.0.1", 1), from("10.0.0.2", 2), from("10.0.0.1", 3), from("2001:db8::1", 4)});
  CHECK(told[0].pri_ip == told[2].pri_ip);
  const std::set<IpAddress> different{told[0].pri_ip, told[1].pri_ip, told[3].pri_ip,
                                      other.deliver({from("10.0.0.1")})[0].pri_ip};
  CHECK(different.size() == 4);
  for (const IpAddress& pseudonym : different) CHECK(Prefix::parse("fd00::/8")->contains(pseudonym));
  CHECK(told[0].session_id != told[2].session_id);
  CHECK(told[0].session_id != 1);
  CHECK(hidden.deliver({from("10.0.0.1", 1)})[0].session_id == told[0].session_id);
  CHECK(told[0].nat_ip == from("10.0.0.1").nat_ip);  // that is the box's
  CHECK(told[0].pub_ip == from("10.0.0.1").pub_ip);
}

TEST_CASE("names are looked up by the address and told as pseudonyms") {
  Hidden hidden("a key that nobody knows");
  const auto told = hidden.deliver({from("10.0.0.1"), from("10.0.0.2")});
  const Subscriber one = found(hidden, told[0]), other = found(hidden, told[1]);
  CHECK(one.subscriber.view().starts_with("p-"));
  CHECK(one.subscriber.size() == 34);
  CHECK(one.subscriber == hidden.pseudonyms->name("subscriber", "user of 10.0.0.1"));
  CHECK(one.subscriber != other.subscriber);
  CHECK(one.mac == other.mac);
  CHECK(one.host.empty());
  CHECK(!found(hidden, from("10.0.0.1")).known());
}

TEST_CASE("a gap stays as it is") {
  Hidden hidden("a key that nobody knows");
  SessionRecord gap = from("10.0.0.1");
  gap.event = RecordEvent::kGap;
  CHECK(hidden.deliver({gap})[0] == gap);
}

TEST_CASE("more addresses than are kept at once have their names within a batch") {
  Hidden hidden("a key that nobody knows");
  std::vector<SessionRecord> many;
  for (std::uint32_t i = 0; i < 70'000; ++i) {
    many.push_back(from("10.0.0.1", i));
    many.back().pri_ip = IpAddress::from_v4(0x0a000000 + i);
  }
  const auto told = hidden.deliver(many);
  CHECK(found(hidden, told.front()).known());
  CHECK(found(hidden, told.back()).known());
}

TEST_CASE("a key that can be guessed or that others may read is refused") {
  const TempDir dir;
  const auto with = [&](const std::string& text, std::filesystem::perms mode) {
    const std::string path = (dir.path() / "key").string();
    std::ofstream(path) << text;
    std::filesystem::permissions(path, mode);
    return Pseudonyms::open(path);
  };
  using std::filesystem::perms;
  CHECK(with("0123456789abcdef\n", perms::owner_read | perms::owner_write));
  const auto shorter = with("0123456789abcde\n", perms::owner_read | perms::owner_write);
  REQUIRE(!shorter);
  CHECK(shorter.error().message.find("at least 16") != std::string::npos);
  CHECK(!with(std::string(5000, 'x'), perms::owner_read | perms::owner_write));
  CHECK(!with("0123456789abcdef\n", perms::owner_read | perms::owner_write | perms::others_write));
  CHECK(!Pseudonyms::open(dir.path() / "none"));
}

TEST_CASE("a sink asks for names and for pseudonyms in its URL, where its records have room for them") {
  const TempDir dir;
  const SystemClock clock;
  const std::string path = (dir.path() / "log.json").string();
  const auto config = SinkConfig::parse("file:" + path + "?identity=on&pseudonyms=on");
  REQUIRE(config);
  CHECK(config->tells_identity());
  const SinkIdentity identity{std::make_shared<ByAddress>(),
                              std::make_shared<const Pseudonyms>("a key that nobody knows")};
  {
    auto sink = config->open({}, clock, nullptr, identity);
    REQUIRE(sink);
    const SessionRecord record = from("10.0.0.1");
    CHECK((*sink)->deliver({&record, 1}).kind == Answer::Kind::kDelivered);
    CHECK((*sink)->flush());
  }
  std::ifstream file(path);
  const auto line = nlohmann::json::parse(file);
  CHECK(line["subscriber"] == identity.pseudonyms->name("subscriber", "user of 10.0.0.1"));
  CHECK(line["pri_ip"] == identity.pseudonyms->address(*IpAddress::parse("10.0.0.1")).to_string());

  CHECK(!config->open({}, clock, nullptr, {}));
  for (const char* none :
       {"ipfix://127.0.0.1?identity=on", "syslog+udp://127.0.0.1?format=nat&identity=on"}) {
    const auto refused = SinkConfig::parse(none);
    REQUIRE(!refused);
    CHECK(refused.error().message.find("identity: records of this form") != std::string::npos);
  }
  CHECK(SinkConfig::parse("ipfix://127.0.0.1?pseudonyms=on"));
  CHECK(SinkConfig::parse("stdout?identity=on")->takes_flows());  // vm-id
  CHECK(!SinkConfig::parse("stdout?pseudonyms=on")->takes_flows());
}

}  // namespace
}  // namespace natsession::testing
