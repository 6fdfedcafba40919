#include "sink/encoding/json_value.h"

#include <nlohmann/json.hpp>

namespace natsession {

std::optional<std::string> json_text(std::string_view json, std::initializer_list<std::string_view> path) {
  const auto parsed = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  const nlohmann::json* at = &parsed;
  for (const std::string_view name : path) {
    if (!at->is_object()) return std::nullopt;
    const auto member = at->find(std::string(name));
    if (member == at->end()) return std::nullopt;
    at = &*member;
  }
  if (const auto* const text = at->get_ptr<const std::string*>()) return *text;
  if (at->is_number_integer()) return at->dump();
  return std::nullopt;
}

}  // namespace natsession
