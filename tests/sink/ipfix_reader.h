// Reads IPFIX messages back, by RFC 7011 alone: written apart from what writes them.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "record/session_record.h"

namespace natsession::testing {

inline constexpr std::uint32_t kReverse = 29'305;

struct IpfixElement {
  std::uint32_t enterprise = 0;
  std::uint16_t number = 0;
  friend auto operator<=>(const IpfixElement&, const IpfixElement&) = default;
};

struct IpfixSeen {
  std::uint16_t id = 0;  // of its template
  bool options = false;
  std::map<IpfixElement, std::string> fields;

  [[nodiscard]] bool has(std::uint16_t number, std::uint32_t enterprise = 0) const {
    return fields.contains({enterprise, number});
  }
  [[nodiscard]] std::string bytes(std::uint16_t number, std::uint32_t enterprise = 0) const {
    return fields.at({enterprise, number});
  }
  [[nodiscard]] std::uint64_t value(std::uint16_t number, std::uint32_t enterprise = 0) const {
    std::uint64_t value = 0;
    for (const char byte : bytes(number, enterprise)) value = value << 8 | static_cast<unsigned char>(byte);
    return value;
  }
  [[nodiscard]] std::string address(std::uint16_t number) const {
    const std::string found = bytes(number);
    if (found.size() == 4) {
      std::uint32_t v4 = 0;
      found.copy(reinterpret_cast<char*>(&v4), 4);
      return IpAddress::from_v4(v4).to_string();
    }
    return IpAddress::from_v6(
               std::span<const std::uint8_t, 16>(reinterpret_cast<const std::uint8_t*>(found.data()), 16))
        .to_string();
  }
};

// One transport session. What is wrong in a message is an exception.
class IpfixReader {
 public:
  void read(std::string_view message) {
    if (message.size() < 16 || number(message, 0, 2) != 10) fail("no header");
    if (number(message, 2, 2) != message.size()) fail("the length is not the message's");
    const auto time = static_cast<std::uint32_t>(number(message, 4, 4));
    if (time < export_time) fail("older than the message before");
    export_time = time;
    if (number(message, 8, 4) != sequence)
      fail("sequence " + std::to_string(number(message, 8, 4)) + ", not " + std::to_string(sequence));
    domain = static_cast<std::uint32_t>(number(message, 12, 4));
    ++messages;
    message.remove_prefix(16);
    while (!message.empty()) {
      if (message.size() < 4) fail("a torn set");
      const std::size_t length = number(message, 2, 2);
      if (length <= 4 || length > message.size()) fail("the length of a set");
      read_set(static_cast<std::uint16_t>(number(message, 0, 2)), message.substr(4, length - 4));
      message.remove_prefix(length);
    }
  }
  // Messages of a stream; one that is cut at the end is left out.
  void read_stream(std::string_view stream) {
    while (stream.size() >= 4 && stream.size() >= number(stream, 2, 2)) {
      const std::size_t length = number(stream, 2, 2);
      if (length < 16) fail("the length of a message");
      read(stream.substr(0, length));
      stream.remove_prefix(length);
    }
  }

  std::vector<IpfixSeen> records;  // of data templates
  std::vector<IpfixSeen> options;
  std::uint32_t sequence = 0;
  std::uint32_t export_time = 0;
  std::uint32_t domain = 0;
  std::size_t messages = 0;
  std::size_t templates = 0;  // as often as they came

 private:
  struct Field {
    IpfixElement element;
    std::size_t length;
  };
  struct Template {
    bool options = false;
    std::vector<Field> fields;
    friend bool operator==(const Template& a, const Template& b) {
      return a.options == b.options && a.fields.size() == b.fields.size();
    }
  };

  [[noreturn]] static void fail(const std::string& what) { throw std::runtime_error("not IPFIX: " + what); }

  static std::uint64_t number(std::string_view bytes, std::size_t at, std::size_t length) {
    if (at + length > bytes.size()) fail("too short");
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < length; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
    return value;
  }

  void read_set(std::uint16_t id, std::string_view set) {
    if (id == 2 || id == 3) {
      while (!set.empty()) read_template(id == 3, set);
    } else {
      if (id < 256) fail("a set with the id " + std::to_string(id));
      const auto known = templates_.find(id);
      if (known == templates_.end()) fail("no template " + std::to_string(id));
      while (!set.empty()) read_data(id, known->second, set);
    }
  }

  void read_template(bool options_template, std::string_view& set) {
    const auto id = static_cast<std::uint16_t>(number(set, 0, 2));
    const std::size_t count = number(set, 2, 2);
    if (id < 256 || count == 0) fail("a template without an id or fields");
    std::size_t at = 4;
    if (options_template) {
      const std::size_t scopes = number(set, 4, 2);
      if (scopes == 0 || scopes > count) fail("an options template's scopes");
      at = 6;
    }
    Template read{options_template, {}};
    std::map<IpfixElement, int> twice;
    for (std::size_t i = 0; i < count; ++i) {
      Field field{{0, static_cast<std::uint16_t>(number(set, at, 2))}, number(set, at + 2, 2)};
      at += 4;
      if ((field.element.number & 0x8000) != 0) {
        field.element.number &= 0x7fff;
        field.element.enterprise = static_cast<std::uint32_t>(number(set, at, 4));
        at += 4;
      }
      if (++twice[field.element] > 1) fail("an element that stands twice");
      read.fields.push_back(field);
    }
    set.remove_prefix(at);
    const auto [known, fresh] = templates_.emplace(id, read);
    if (!fresh && !(known->second == read)) fail("an id that means another template now");
    ++templates;
  }

  void read_data(std::uint16_t id, const Template& shape, std::string_view& set) {
    IpfixSeen seen{.id = id, .options = shape.options, .fields = {}};
    std::size_t at = 0;
    for (const Field& field : shape.fields) {
      std::size_t length = field.length;
      if (length == 65'535) {
        length = number(set, at++, 1);
        if (length == 255) {
          length = number(set, at, 2);
          at += 2;
        }
      }
      if (at + length > set.size()) fail("a torn record");
      seen.fields[field.element] = std::string(set.substr(at, length));
      at += length;
    }
    set.remove_prefix(at);
    ++sequence;
    (shape.options ? options : records).push_back(std::move(seen));
  }

  std::map<std::uint16_t, Template> templates_;
};

// The number of a numbered_record(): its second of 1970.
inline std::uint32_t number_of(const IpfixSeen& seen) {
  return static_cast<std::uint32_t>(seen.value(152) / 1000);
}

inline std::vector<std::uint32_t> numbers_of(const std::vector<IpfixSeen>& records) {
  std::vector<std::uint32_t> found;
  for (const IpfixSeen& seen : records) found.push_back(number_of(seen));
  return found;
}

}  // namespace natsession::testing
