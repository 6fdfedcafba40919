#include "record/subscriber_encoder.h"

#include <map>
#include <string>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "record/golden.h"

namespace natsession::testing {
namespace {

class NamedLookup final : public SubscriberLookup {
 public:
  explicit NamedLookup(Subscriber named) : named_(std::move(named)) {}
  void find(const SessionRecord&, Subscriber& out) const override { out = named_; }

 private:
  Subscriber named_;
};

struct Encoded {
  std::string line, plain;
};
Encoded encoded(const SessionRecord& record, RecordFormat format, const Subscriber& named) {
  const EncoderOptions options{.format = format};
  const SubscriberEncoder encoder(options, std::make_shared<NamedLookup>(named));
  Encoded all;
  encoder.append(record, all.line);
  make_encoder(options)->append(record, all.plain);
  return all;
}

const Subscriber kAnn{"ann \"o\",\n", "02:00:5e:00:53:01", ""};

TEST_CASE("whose a record is stands behind its other fields") {
  const Encoded json = encoded(golden_tcp(), RecordFormat::kJson, kAnn);
  auto with = nlohmann::json::parse(json.line);
  CHECK(with["subscriber"] == kAnn.subscriber);
  CHECK(with["mac"] == kAnn.mac);
  CHECK(with["host"].is_null());
  for (const char* name : {"subscriber", "mac", "host"}) with.erase(name);
  CHECK(with == nlohmann::json::parse(json.plain));

  const Encoded csv = encoded(golden_tcp(), RecordFormat::kCsv, kAnn);
  CHECK(csv.line == csv.plain.substr(0, csv.plain.size() - 1) + ",\"ann \"\"o\"\",\n\",02:00:5e:00:53:01,\n");

  const Encoded logfmt = encoded(golden_tcp(), RecordFormat::kLogfmt, {"ann", "", "pc 1"});
  CHECK(logfmt.line == logfmt.plain.substr(0, logfmt.plain.size() - 1) + " subscriber=ann host=\"pc 1\"\n");
}

// Says of each record when it ended.
class TimeLookup final : public SubscriberLookup {
 public:
  void find(const SessionRecord& record, Subscriber& out) const override {
    out = {std::to_string(record.end_time.time_since_epoch().count()), "", ""};
  }
};

TEST_CASE("records one behind the other are as each alone, until it is enough") {
  std::vector<SessionRecord> records;
  for (int i = 0; i < 100; ++i) {
    records.push_back(i % 37 == 20 || i == 0 ? golden_gap() : golden_tcp());
    records.back().end_time += std::chrono::milliseconds(i);
  }
  const EncoderOptions options{
      .own = std::make_shared<const SubscriberEncoder>(EncoderOptions{}, std::make_shared<TimeLookup>())};
  const auto encoder = make_encoder(options);
  for (const std::size_t most : {std::size_t{1}, std::size_t{21}, std::size_t{33}, std::size_t{100}}) {
    std::string alone, together;
    for (std::size_t i = 0; i < most; ++i) encoder->append(records[i], alone);
    std::size_t count = 0;
    encoder->append_each(records, together, [&] { return ++count < most; });
    CHECK(count == most);
    CHECK(together == alone);
  }
}

TEST_CASE("a gap is nobody's") {
  const Encoded json = encoded(golden_gap(), RecordFormat::kJson, kAnn);
  CHECK(json.line == json.plain);
  const Encoded logfmt = encoded(golden_gap(), RecordFormat::kLogfmt, kAnn);
  CHECK(logfmt.line == logfmt.plain);
  const Encoded csv = encoded(golden_gap(), RecordFormat::kCsv, kAnn);
  CHECK(csv.line == csv.plain.substr(0, csv.plain.size() - 1) + ",,,\n");
}

TEST_CASE("the columns of CSV are named") {
  const SubscriberEncoder csv({.format = RecordFormat::kCsv}, nullptr);
  CHECK(std::string(csv.header()).ends_with(",subscriber,mac,host\n"));
  CHECK(SubscriberEncoder({.format = RecordFormat::kJson}, nullptr).header().empty());
}

TEST_CASE("as names and values a record has what it has as JSON, and whose it is") {
  const SubscriberEncoder encoder({.format = RecordFormat::kJson}, std::make_shared<NamedLookup>(kAnn));
  for (const SessionRecord& record : {golden_tcp(), golden_icmp(), golden_ipv6(), golden_gap()}) {
    std::vector<std::pair<std::string_view, std::string>> pairs;
    encoder.append_pairs(record, pairs);
    std::string line;
    encoder.append(record, line);
    std::map<std::string, std::string> values;
    for (const auto& [name, value] : pairs) {
      const auto [at, is_new] = values.emplace(name, value);
      INFO(name);
      CHECK(is_new);
    }
    const auto json = nlohmann::json::parse(line);
    for (const auto& [name, value] : json.items()) {
      INFO(name);
      if (value.is_null()) {
        CHECK(!values.contains(name));
      } else {
        REQUIRE(values.contains(name));
        if (value.is_string()) CHECK(values[name] == value.get<std::string>());
        if (value.is_number_unsigned()) CHECK(values[name] == std::to_string(value.get<std::uint64_t>()));
      }
      values.erase(name);
    }
    CHECK(values.empty());
  }
}

}  // namespace
}  // namespace natsession::testing
