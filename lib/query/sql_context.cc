#include "query/sql_context.h"

#include <algorithm>

namespace natsession {

const std::string* TextPool::address(const IpAddress& address) {
  const auto known = addresses_.find(address);
  if (known != addresses_.end()) return &known->second;
  if (addresses_.size() + texts_.size() >= kMaxTexts) return nullptr;
  return &addresses_.emplace(address, address.to_string()).first->second;
}

const std::string* TextPool::text(std::string_view text) {
  constexpr std::size_t kMaxLength = 256;
  const auto known = texts_.find(text);
  if (known != texts_.end()) return known->second.get();
  if (text.size() > kMaxLength || addresses_.size() + texts_.size() >= kMaxTexts) return nullptr;
  auto kept = std::make_unique<const std::string>(text);
  const std::string_view key = *kept;
  return texts_.emplace(key, std::move(kept)).first->second.get();
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
