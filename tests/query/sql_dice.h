// Random SELECTs over the table `log`, with values that its rows have.
#pragma once

#include "query/group.h"
#include "query/query_fixture.h"

namespace natsession::testing {

class SqlDice {
 public:
  SqlDice(std::uint64_t seed, const std::vector<SessionRecord>& all) : random_(seed), all_(all) {}

  std::string roll() {
    const std::string where = one_in(6) ? "" : " WHERE " + condition(2);
    if (one_in(2)) {
      std::string columns = column();
      for (std::uint64_t more = pick(4); more > 0; --more) columns += ", " + column();
      return "SELECT " + columns + " FROM log" + where + (one_in(8) ? " LIMIT 0" : "");
    }
    const std::string group = one_in(3) ? "date_trunc('" + unit() + "', __time__)" : column();
    std::string sql = "SELECT " + group + " AS g, count(*), sum(" + number_column() + "), min(" + column() +
                      "), max(" + column() + "), count(" + column() + ") FROM log" + where + " GROUP BY g";
    if (one_in(4)) sql += " HAVING count(*) > " + std::to_string(pick(5));
    return sql;
  }

  std::string condition(int depth) {
    if (depth > 0 && !one_in(3)) {
      const std::string left = condition(depth - 1);
      const std::string right = condition(depth - 1);
      switch (pick(5)) {
        case 0:
          return "(" + left + " OR " + right + ")";
        case 1:
          return "NOT (" + left + ")";
        default:
          return "(" + left + " AND " + right + ")";
      }
    }
    const SessionRecord& like = all_[pick(all_.size())];
    switch (pick(9)) {
      case 0:
        return time_column() + " BETWEEN " + time_value() + " AND " + time_value();
      case 1:
        return time_column() + comparison() + time_value();
      case 2:
        return number_column() + comparison() + std::to_string(pick(2000));
      case 3: {
        const Field field = any_field();
        return std::string(name_of(field)) + " IN (" + literal(like, field) + ", " +
               literal(all_[pick(all_.size())], field) + ")";
      }
      case 4:
        return column() + (one_in(2) ? " IS NULL" : " IS NOT NULL");
      case 5: {
        static const char* const kPrefixes[] = {"10.0.1.0/24", "198.51.100.0/28", "fd00::/64", "::/0",
                                                "0.0.0.0/0"};
        return "in_prefix(" + std::string(name_of(any_address())) + ", '" + kPrefixes[pick(5)] + "')";
      }
      case 6:
        return std::string(name_of(any_address())) + " LIKE '%" + std::to_string(pick(10)) + "'";
      default: {
        const Field field = any_field();
        return std::string(name_of(field)) + (one_in(6) ? " <> " : " = ") + literal(like, field);
      }
    }
  }

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  bool one_in(std::uint64_t many) { return pick(many) == 0; }

 private:
  Field any_field() { return static_cast<Field>(pick(kFieldCount)); }
  Field any_address() {
    static constexpr Field kAddresses[] = {Field::kPriIp, Field::kPubIp, Field::kNatIp, Field::kOrigDstIp};
    return kAddresses[pick(4)];
  }
  std::string column() { return one_in(12) ? "__time__" : std::string(name_of(any_field())); }
  std::string number_column() {
    static const char* const kColumns[] = {"bytes_from_vpc", "pkts_from_pub", "nat_port",
                                           "protocol",       "seq",           "zone"};
    return kColumns[pick(6)];
  }
  std::string time_column() {
    static const char* const kColumns[] = {"__time__", "start_time", "end_time", "session_start"};
    return kColumns[pick(4)];
  }
  std::string unit() {
    static const char* const kUnits[] = {"second", "minute", "hour",    "day",
                                         "week",   "month",  "quarter", "year"};
    return kUnits[pick(8)];
  }
  std::string comparison() {
    static const char* const kComparisons[] = {" < ", " <= ", " > ", " >= ", " = "};
    return kComparisons[pick(5)];
  }
  std::string time_value() {
    const std::int64_t ms = all_[pick(all_.size())].end_time.time_since_epoch().count();
    char text[64];
    if (one_in(2)) {
      std::snprintf(text, sizeof(text), "%lld", static_cast<long long>(ms / 1000));
    } else {
      std::snprintf(text, sizeof(text), "%lld.%03lld", static_cast<long long>(ms / 1000),
                    static_cast<long long>(ms % 1000));
    }
    return text;
  }
  std::string literal(const SessionRecord& record, Field field) {
    const bool any_text = kind_of(field) == FieldKind::kText;
    if (one_in(25)) return one_in(2) ? "NULL" : any_text ? "'nothing'" : "-1";
    if (kind_of(field) == FieldKind::kAddress) {
      const auto address = address_in(record, field);
      return address ? "'" + address->to_string() + "'" : "'10.0.0.1'";
    }
    if (kind_of(field) == FieldKind::kText) return "'" + text_in(record, field).value_or("") + "'";
    if (kind_of(field) == FieldKind::kTime) return time_value();
    const std::uint64_t number = number_in(record, field).value_or(1);
    if (kind_of(field) != FieldKind::kNumber) return "'" + to_text(field, number) + "'";
    return one_in(10)   ? "'" + std::to_string(number) + "'"
           : one_in(10) ? std::to_string(number) + ".0"
                        : std::to_string(number);
  }

  std::mt19937_64 random_;
  const std::vector<SessionRecord>& all_;
};

}  // namespace natsession::testing
