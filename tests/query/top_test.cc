#include "query/top.h"

#include <catch2/catch.hpp>

#include "query/query_dice.h"

namespace natsession::testing {
namespace {

using Key = std::vector<GroupValue>;

GroupValue value_in(const SessionRecord& record, Field field) {
  if (kind_of(field) == FieldKind::kAddress) {
    const auto address = address_in(record, field);
    return address ? GroupValue(*address) : GroupValue();
  }
  if (kind_of(field) == FieldKind::kText) return *text_in(record, field);
  const auto number = number_in(record, field);
  return number ? GroupValue(*number) : GroupValue();
}

std::map<Key, Sums> slow_groups(const std::vector<SessionRecord>& all, const Query& query,
                                const std::vector<Field>& by) {
  std::map<Key, Sums> groups;
  for (const SessionRecord& record : all) {
    if (!passes(record, query)) continue;
    Key key;
    for (const Field field : by) key.push_back(value_in(record, field));
    Sums& sums = groups[key];
    const auto add = [](std::uint64_t& sum, Count count) { sum += count.known() ? count.value() : 0; };
    add(sums.bytes_from_pub, record.bytes_from_pub);
    add(sums.pkts_from_pub, record.pkts_from_pub);
    add(sums.bytes_from_vpc, record.bytes_from_vpc);
    add(sums.pkts_from_vpc, record.pkts_from_vpc);
    ++sums.records;
    sums.unknown += record.bytes_from_vpc.known() ? 0U : 1U;
    sums.sessions += is_first(record.seq) ? 1U : 0U;
  }
  return groups;
}

struct TopFixture {
  TopFixture() { ledger.fill(dice.traffic(1500, at_minute(0), at_minute(180), 20), 150, 4); }
  TrafficDice dice{21};
  QueryLedger ledger;
};

TEST_CASE_METHOD(TopFixture, "groups have the sums and sessions that a slow count gives", "[query][top]") {
  const SegmentList view = ledger.view();
  QueryDice questions(22, dice, ledger.all);
  const std::vector<std::vector<Field>> choices = {{Field::kPriIp},
                                                   {Field::kPubIp, Field::kPubPort},
                                                   {Field::kNatIp, Field::kProtocol},
                                                   {Field::kZone},
                                                   {Field::kOrigDstIp, Field::kPriIp},
                                                   {Field::kInstance, Field::kNatPort},
                                                   {}};
  for (int i = 0; i < 100; ++i) {
    TopQuestion question;
    question.query = questions.roll();
    question.query.gap_records = false;
    question.by = choices[dice.pick(choices.size())];
    question.sum = static_cast<SumField>(dice.pick(8));
    question.count = TopQuestion::kMaxCount;
    const auto result = find_top(view, question, with_threads(i % 2 == 0 ? 1 : 3));
    REQUIRE(result);
    const auto expected = slow_groups(ledger.all, question.query, question.by);
    REQUIRE(result->group_count == expected.size());
    REQUIRE(result->groups.size() == expected.size());
    std::uint64_t before = ~std::uint64_t{0};
    Sums total;
    for (const TopGroup& group : result->groups) {
      REQUIRE(group.sums == expected.at(group.key));
      REQUIRE(group.sums.of(question.sum) <= before);
      before = group.sums.of(question.sum);
      total.add(group.sums);
    }
    REQUIRE(result->total == total);
  }
}

TEST_CASE_METHOD(TopFixture, "more groups than fit are counted in several passes, with the same answer",
                 "[query][top]") {
  const SegmentList view = ledger.view();
  TopQuestion question;
  question.by = {Field::kPriIp, Field::kPubIp};
  question.count = 20;
  const auto at_once = find_top(view, question, with_threads(2));
  question.max_groups = 100;
  const auto in_parts = find_top(view, question, with_threads(2));
  REQUIRE(at_once);
  REQUIRE(in_parts);
  CHECK(at_once->passes == 1);
  CHECK(in_parts->passes > 1);
  CHECK(in_parts->total == at_once->total);
  CHECK(in_parts->group_count == at_once->group_count);
  REQUIRE(in_parts->groups.size() == 20);
  for (std::size_t i = 0; i < 20; ++i) {
    CHECK(in_parts->groups[i].key == at_once->groups[i].key);
    CHECK(in_parts->groups[i].sums == at_once->groups[i].sums);
  }
  question.max_groups = 1;
  CHECK(find_top(view, question, with_threads(1)).error().kind == ErrorKind::kUsage);
}

TEST_CASE_METHOD(TopFixture, "fewer sums can be asked for", "[query][top]") {
  TopQuestion question;
  question.by = {Field::kPriIp};
  question.sum = SumField::kBytesFromPub;
  const auto all = find_top(ledger.view(), question, with_threads(1));
  question.all_sums = false;
  const auto one = find_top(ledger.view(), question, with_threads(1));
  REQUIRE(all);
  REQUIRE(one);
  REQUIRE(one->groups.size() == 10);
  for (std::size_t i = 0; i < one->groups.size(); ++i) {
    CHECK(one->groups[i].key == all->groups[i].key);
    CHECK(one->groups[i].sums.bytes_from_pub == all->groups[i].sums.bytes_from_pub);
    CHECK(one->groups[i].sums.records == all->groups[i].sums.records);
    CHECK(one->groups[i].sums.sessions == 0);
    CHECK(one->groups[i].sums.bytes_from_vpc == 0);
  }
}

TEST_CASE("fields that cannot group are refused", "[query][top]") {
  const QueryLedger ledger;
  TopQuestion question;
  for (const Field field : {Field::kStartTime, Field::kSeq, Field::kBytesFromVpc}) {
    question.by = {field};
    CHECK(find_top(ledger.view(), question, {}).error().kind == ErrorKind::kUsage);
  }
  question.by = {Field::kPriIp, Field::kPubIp, Field::kNatIp};
  CHECK_FALSE(find_top(ledger.view(), question, {}));
  question.by = {Field::kPriIp};
  const auto empty = find_top(ledger.view(), question, {});
  REQUIRE(empty);
  CHECK(empty->groups.empty());
}

TEST_CASE("values are shown as in the log", "[query][top]") {
  CHECK(to_text(Field::kEvent, std::uint64_t{2}) == "end");
  CHECK(to_text(Field::kPriIp, ip("10.0.0.1")) == "10.0.0.1");
  CHECK(to_text(Field::kSessionId, std::uint64_t{0xabc}) == "0000000000000abc");
  CHECK(to_text(Field::kZone, {}) == "-");
  CHECK(to_text(Field::kNatPort, std::uint64_t{40123}) == "40123");
}

}  // namespace
}  // namespace natsession::testing
