// Reads what the sinks of SLS and CLS send: protobuf, by the encoding's own document
// (protobuf.dev/programming-guides/encoding) and not by the writer; and the compressions of its body.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <lz4.h>
#include <zstd.h>

namespace natsession::testing {

struct WireField {
  unsigned number = 0;
  std::uint64_t value = 0;  // of a varint
  std::string_view bytes;   // of what has a length
};

inline std::uint64_t read_varint(std::string_view& in) {
  std::uint64_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    if (in.empty() || shift > 63) throw std::runtime_error("a varint is cut or too long");
    const auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

inline std::vector<WireField> read_message(std::string_view in) {
  std::vector<WireField> fields;
  while (!in.empty()) {
    const std::uint64_t key = read_varint(in);
    WireField field{static_cast<unsigned>(key >> 3), 0, {}};
    if ((key & 7) == 0) {
      field.value = read_varint(in);
    } else if ((key & 7) == 2) {
      const std::uint64_t length = read_varint(in);
      if (length > in.size()) throw std::runtime_error("a field is longer than what holds it");
      field.bytes = in.substr(0, length);
      in.remove_prefix(length);
    } else {
      throw std::runtime_error("an unexpected wire type");
    }
    fields.push_back(field);
  }
  return fields;
}

struct ReadLog {
  std::uint64_t time = 0;
  std::map<std::string, std::string> contents;
};

struct ReadGroup {
  std::vector<ReadLog> logs;
  std::string source;
};

inline ReadGroup read_group(std::string_view in) {
  ReadGroup group;
  for (const WireField& field : read_message(in)) {
    if (field.number == 4) group.source = field.bytes;
    if (field.number != 1) continue;
    ReadLog& log = group.logs.emplace_back();
    for (const WireField& part : read_message(field.bytes)) {
      if (part.number == 1) log.time = part.value;
      if (part.number != 2) continue;
      const auto content = read_message(part.bytes);
      if (content.size() != 2 || content[0].number != 1 || content[1].number != 2)
        throw std::runtime_error("a Content is not a name and a value");
      const std::string name(content[0].bytes);
      if (!log.contents.emplace(name, content[1].bytes).second)
        throw std::runtime_error("the name " + name + " stands twice");
    }
  }
  return group;
}

inline std::string unlz4(std::string_view block, std::size_t size) {
  std::string out(size, '\0');
  const int length = LZ4_decompress_safe(block.data(), out.data(), static_cast<int>(block.size()),
                                         static_cast<int>(out.size()));
  if (length < 0 || static_cast<std::size_t>(length) != size)
    throw std::runtime_error("no LZ4 block of this size");
  return out;
}

inline std::string unlz4_up_to(std::string_view block, std::size_t most) {
  std::string out(most, '\0');
  const int length = LZ4_decompress_safe(block.data(), out.data(), static_cast<int>(block.size()),
                                         static_cast<int>(out.size()));
  if (length < 0) throw std::runtime_error("no LZ4 block");
  out.resize(static_cast<std::size_t>(length));
  return out;
}

inline std::string unzstd(std::string_view frame) {
  std::string out(ZSTD_getFrameContentSize(frame.data(), frame.size()), '\0');
  if (ZSTD_decompress(out.data(), out.size(), frame.data(), frame.size()) != out.size())
    throw std::runtime_error("no zstd frame of its size");
  return out;
}

inline std::string from_hex(std::string_view hex) {
  std::string out;
  for (std::size_t at = 0; at + 1 < hex.size(); at += 2)
    out += static_cast<char>(std::stoi(std::string(hex.substr(at, 2)), nullptr, 16));
  return out;
}

}  // namespace natsession::testing
