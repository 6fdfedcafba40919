#include "query/sql_context.h"

#include <algorithm>

namespace natsession {

const std::string* AddressTexts::address(const IpAddress& address) {
  const auto known = addresses_.find(address);
  if (known != addresses_.end()) return &known->second;
  if (addresses_.size() >= kMaxTexts) return nullptr;
  return &addresses_.emplace(address, address.to_string()).first->second;
}

void SqlContext::begin_statement(std::string_view sql, UnixMs time) {
  constexpr std::string_view kCollate = "collate";
  const auto found = std::search(sql.begin(), sql.end(), kCollate.begin(), kCollate.end(),
                                 [](char a, char b) { return (a | 0x20) == b; });
  other_collations = found != sql.end();
  texts.clear();
  time_texts = {};
  report = {};
  error.reset();
  now = time;
}

}  // namespace natsession
