// Protobuf messages as a receiver sees them, and the attributes of OpenTelemetry. Written from the formats'
// own descriptions, not from the encoder.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace natsession::testing {

// Any message: its fields by their numbers, in order. Written from protobuf's own description, not from the
// encoder.
struct ProtobufMessage {
  std::multimap<unsigned, std::string> bytes;
  std::multimap<unsigned, std::uint64_t> numbers;

  explicit ProtobufMessage(std::string_view in) {
    const auto varint = [&] {
      std::uint64_t value = 0;
      for (unsigned shift = 0;; shift += 7) {
        if (in.empty() || shift > 63) throw std::runtime_error("no varint");
        const auto byte = static_cast<unsigned char>(in[0]);
        in.remove_prefix(1);
        value |= std::uint64_t{byte & 127U} << shift;
        if (byte < 128) return value;
      }
    };
    while (!in.empty()) {
      const std::uint64_t key = varint();
      const auto number = static_cast<unsigned>(key / 8);
      if (key % 8 == 0) {
        numbers.emplace(number, varint());
      } else if (key % 8 == 1) {
        std::uint64_t value = 0;
        for (unsigned i = 0; i < 8; ++i)
          value |= std::uint64_t{static_cast<unsigned char>(in.at(i))} << 8 * i;
        numbers.emplace(number, value);
        in.remove_prefix(8);
      } else if (key % 8 == 2) {
        const auto length = static_cast<std::size_t>(varint());
        if (length > in.size()) throw std::runtime_error("cut");
        bytes.emplace(number, in.substr(0, length));
        in.remove_prefix(length);
      } else {
        throw std::runtime_error("no wire type");
      }
    }
  }
  [[nodiscard]] std::string one(unsigned number) const {
    if (bytes.count(number) != 1) throw std::runtime_error("not one field " + std::to_string(number));
    return bytes.find(number)->second;
  }
  [[nodiscard]] std::uint64_t number(unsigned number) const {
    if (numbers.count(number) != 1) throw std::runtime_error("not one number " + std::to_string(number));
    return numbers.find(number)->second;
  }
  [[nodiscard]] std::vector<std::string> all(unsigned number) const {
    std::vector<std::string> found;
    for (auto [at, end] = bytes.equal_range(number); at != end; ++at) found.push_back(at->second);
    return found;
  }
};

// KeyValues; a number as "=5".
inline std::map<std::string, std::string> attributes(const std::vector<std::string>& pairs) {
  std::map<std::string, std::string> all;
  for (const std::string& pair : pairs) {
    const ProtobufMessage key_value(pair);
    const ProtobufMessage value(key_value.one(2));
    const bool text = value.bytes.count(1) == 1;
    if (!all.emplace(key_value.one(1), text ? value.one(1) : "=" + std::to_string(value.number(3))).second)
      throw std::runtime_error("an attribute twice");
  }
  return all;
}

}  // namespace natsession::testing
