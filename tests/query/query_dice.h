// Random queries over the traffic of TrafficDice.
#pragma once

#include "query/query.h"
#include "query/query_fixture.h"

namespace natsession::testing {

class QueryDice {
 public:
  QueryDice(std::uint64_t seed, TrafficDice& traffic, const std::vector<SessionRecord>& all)
      : random_(seed), traffic_(traffic), all_(all) {}

  Query roll() {
    Query query;
    const UnixMs a = any_time();
    const UnixMs b = any_time();
    switch (pick(5)) {
      case 0:
        query = Query::overlapping(std::min(a, b), std::max(a, b));
        break;
      case 1:
        query = Query::ended_within(std::min(a, b), std::max(a, b));
        break;
      case 2:
        query = Query::overlapping(a, a);
        break;
      case 3:
        query.end.from = a;
        break;
      default:
        break;
    }
    for (std::uint64_t tests = pick(4); tests > 0; --tests) query.where.push_back(roll_test());
    query.columns = Columns::all();
    query.gap_records = pick(3) == 0;
    return query;
  }

  FieldTest roll_test() {
    const SessionRecord& like = all_[pick(all_.size())];
    Field field{};
    do {
      field = static_cast<Field>(pick(kFieldCount));
    } while (kind_of(field) == FieldKind::kTime);
    FieldTest test;
    test.field = field;
    test.excluded = pick(4) == 0;
    for (std::uint64_t values = 1 + pick(2); values > 0; --values) add_value(like, test);
    return test;
  }

 private:
  void add_value(const SessionRecord& like, FieldTest& test) {
    switch (kind_of(test.field)) {
      case FieldKind::kAddress:
        if (pick(4) == 0) {
          test.bound = {address_in(like, test.field).value_or(traffic_.hosts()[0]), pick(2) == 0,
                        pick(2) == 0};
        } else if (pick(3) == 0) {
          test.prefixes.push_back(prefix(pick(2) == 0   ? "10.0.1.0/24"
                                         : pick(2) == 0 ? "198.51.100.0/28"
                                                        : "fd00::/64"));
        } else {
          test.addresses.push_back(address_in(like, test.field).value_or(traffic_.hosts()[0]));
        }
        break;
      case FieldKind::kText:
        test.texts.push_back(text_in(like, test.field).value_or("none"));
        break;
      default: {
        const std::uint64_t value = number_in(like, test.field).value_or(1);
        test.numbers.push_back({value, value + (pick(3) == 0 ? pick(1000) : 0)});
      }
    }
  }
  UnixMs any_time() { return all_[pick(all_.size())].end_time - std::chrono::milliseconds(pick(60'000)); }
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }

  std::mt19937_64 random_;
  TrafficDice& traffic_;
  const std::vector<SessionRecord>& all_;
};

}  // namespace natsession::testing
