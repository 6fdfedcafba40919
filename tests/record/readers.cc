#include "record/readers.h"

#include <set>

#include <nlohmann/json.hpp>

namespace natsession::testing {
namespace {

using Json = nlohmann::json;

class FlatObject final : public nlohmann::json_sax<Json> {
 public:
  std::vector<JsonMember> members;

  bool null() override { return add(JsonMember::Kind::kNull, ""); }
  bool boolean(bool /*value*/) override { return false; }
  bool number_integer(number_integer_t value) override {
    return add(JsonMember::Kind::kNumber, std::to_string(value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    return add(JsonMember::Kind::kNumber, std::to_string(value));
  }
  bool number_float(number_float_t /*value*/, const string_t& written) override {
    return add(JsonMember::Kind::kNumber, written);
  }
  bool string(string_t& value) override { return add(JsonMember::Kind::kString, value); }
  bool binary(binary_t& /*value*/) override { return false; }
  bool start_object(std::size_t /*size*/) override { return depth_++ == 0; }
  bool key(string_t& value) override {
    members.push_back({value, JsonMember::Kind::kNull, ""});
    return keys_.insert(value).second;
  }
  bool end_object() override { return true; }
  bool start_array(std::size_t /*size*/) override { return false; }
  bool end_array() override { return false; }
  bool parse_error(std::size_t /*at*/, const std::string& /*token*/,
                   const Json::exception& /*why*/) override {
    return false;
  }

 private:
  bool add(JsonMember::Kind kind, std::string text) {
    if (members.empty()) return false;
    members.back().kind = kind;
    members.back().text = std::move(text);
    return true;
  }

  int depth_ = 0;
  std::set<std::string> keys_;
};

}  // namespace

std::optional<std::vector<JsonMember>> read_json(std::string_view text) {
  FlatObject object;
  if (!Json::sax_parse(text, &object)) return std::nullopt;
  return std::move(object.members);
}

std::optional<std::vector<std::vector<std::string>>> read_csv(std::string_view text) {
  std::vector<std::vector<std::string>> rows;
  std::size_t at = 0;
  while (at < text.size()) {
    std::vector<std::string>& row = rows.emplace_back();
    for (;;) {
      std::string& value = row.emplace_back();
      if (at < text.size() && text[at] == '"') {
        ++at;
        for (;;) {
          if (at >= text.size()) return std::nullopt;
          if (text[at] != '"') {
            value += text[at++];
          } else if (at + 1 < text.size() && text[at + 1] == '"') {
            value += '"';
            at += 2;
          } else {
            ++at;
            break;
          }
        }
      } else {
        const std::size_t end = std::min(text.find_first_of(",\n", at), text.size());
        value = text.substr(at, end - at);
        if (value.find_first_of("\"\r") != std::string::npos) return std::nullopt;
        at = end;
      }
      if (at >= text.size()) return std::nullopt;  // the last line ends with a newline too
      const char separator = text[at++];
      if (separator == '\n') break;
      if (separator != ',') return std::nullopt;
    }
  }
  return rows;
}

std::optional<std::vector<std::pair<std::string, std::string>>> read_logfmt(std::string_view line) {
  if (line.empty() || line.back() != '\n') return std::nullopt;
  line.remove_suffix(1);
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!line.empty()) {
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos || equals == 0) return std::nullopt;
    auto& [key, value] = pairs.emplace_back(line.substr(0, equals), "");
    if (key.find_first_of(" \"\n") != std::string::npos) return std::nullopt;
    line.remove_prefix(equals + 1);

    std::size_t length = 0;
    if (line.starts_with('"')) {
      for (length = 1; length < line.size() && line[length] != '"'; ++length) {
        if (line[length] == '\\') ++length;
      }
      if (length >= line.size()) return std::nullopt;
      ++length;
      // A quoted value is a JSON string.
      const Json parsed = Json::parse(line.substr(0, length), nullptr, false);
      if (!parsed.is_string()) return std::nullopt;
      value = parsed.get<std::string>();
    } else {
      length = std::min(line.find(' '), line.size());
      value = line.substr(0, length);
      if (value.empty() || value.find_first_of("\"=\n") != std::string::npos) return std::nullopt;
    }
    line.remove_prefix(length);
    if (line.empty()) break;
    if (line.front() != ' ' || line.size() == 1) return std::nullopt;
    line.remove_prefix(1);
  }
  return pairs;
}

}  // namespace natsession::testing
