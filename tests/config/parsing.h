// A small language for tests of the configuration: command lines, files, and what became of them.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "config/invocation.h"
#include "support/temp_dir.h"

namespace natsession::testing {

inline const Environment kHost{"nat-7", {}};

inline Result<Invocation> parse(const std::vector<std::string>& arguments,
                                const Environment& environment = kHost) {
  std::vector<const char*> argv{"natsessiond"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  return parse_command_line(static_cast<int>(argv.size()), argv.data(), environment);
}

// The configuration, or the default one (which no test expects) if there is an error.
inline Config config_of(const std::vector<std::string>& arguments) {
  const auto parsed = parse(arguments);
  return parsed ? parsed->config : Config{};
}

// The error's message; empty if there is none.
inline std::string message_of(const std::vector<std::string>& arguments,
                              const Environment& environment = kHost) {
  const auto parsed = parse(arguments, environment);
  return parsed ? std::string() : parsed.error().message;
}

// What `natsessiond` does with no options and no file on this host.
inline Config defaults() {
  Config config;
  config.instance = kHost.hostname;
  return config;
}

// A folder with natsessiond.toml, and files in conf.d as the test adds them.
class SettingsFolder {
 public:
  explicit SettingsFolder(const std::string& text) { write("natsessiond.toml", text); }

  void write(const std::string& name, const std::string& text) {
    const std::filesystem::path path = folder_.path() / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  [[nodiscard]] std::string file() const { return folder_.file("natsessiond.toml"); }
  [[nodiscard]] std::string file(const std::string& name) const { return folder_.file(name); }

  // The message without this folder's name, so that a test can say all of it.
  [[nodiscard]] std::string message(const std::vector<std::string>& more = {}) const {
    std::string text = message_of(arguments(more));
    const std::string prefix = folder_.path().string() + "/";
    for (std::size_t at = text.find(prefix); at != std::string::npos; at = text.find(prefix)) {
      text.erase(at, prefix.size());
    }
    return text;
  }
  [[nodiscard]] Config config(const std::vector<std::string>& more = {}) const {
    return config_of(arguments(more));
  }

  [[nodiscard]] std::vector<std::string> arguments(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> result{"--config", file()};
    result.insert(result.end(), more.begin(), more.end());
    return result;
  }

 private:
  TempDir folder_;
};

}  // namespace natsession::testing
