// Reads the messages that capture-corpus.sh took from a real kernel, one a file.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace natsession::testing {

struct CorpusMessage {
  std::string name;
  std::vector<std::byte> bytes;
};

// In the order of their names. Throws if there are none: a test over nothing proves nothing.
inline std::vector<CorpusMessage> read_corpus(const std::filesystem::path& directory) {
  std::vector<CorpusMessage> messages;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    CorpusMessage message{entry.path().filename().string(), std::vector<std::byte>(text.size())};
    std::transform(text.begin(), text.end(), message.bytes.begin(),
                   [](char octet) { return std::byte(octet); });
    messages.push_back(std::move(message));
  }
  if (messages.empty()) throw std::runtime_error("no messages in " + directory.string());
  std::sort(messages.begin(), messages.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return messages;
}

}  // namespace natsession::testing
