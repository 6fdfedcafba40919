// A small language for tests of the configuration: command lines, files, and what became of them.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "config/command_line.h"
#include "config/options.h"
#include "support/temp_dir.h"

namespace natsession::testing {

inline const std::string kHost = "nat-7";

inline Result<Invocation> parse(const std::vector<std::string>& arguments, const std::string& host = kHost) {
  std::vector<const char*> argv{"natsessiond"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  return parse_command_line(static_cast<int>(argv.size()), argv.data(), host);
}

// The configuration, or the default one (which no test expects) if there is an error.
inline Config config_of(const std::vector<std::string>& arguments) {
  const auto parsed = parse(arguments);
  return parsed ? parsed->config : Config{};
}

// A setting of a configuration as its option takes it.
inline std::vector<std::string> told(const Config& config, std::string_view key) {
  return find_setting(key)->value.texts(config);
}

// The error's message; empty if there is none.
inline std::string message_of(const std::vector<std::string>& arguments, const std::string& host = kHost) {
  const auto parsed = parse(arguments, host);
  return parsed ? std::string() : parsed.error().message;
}

// What `natsessiond` does with no options and no file on this host.
inline Config defaults() {
  Config config;
  config.instance = kHost;
  return config;
}

// Settings of every kind, and none at its default.
inline constexpr std::string_view kEverySetting = R"(
sink = ["file:/var/log/nat.json?keep=3&rotate_time=1d", "journald"]
format = "logfmt"
time_format = "unix_ms"
fields = "cloud"
nat = "dnat"
records = "end"
window = "1h"
instance = "gate"
vpc_id = ["10.0.0.0/8=blue", "rest"]
events = ["new", "destroy"]
netns = ["nat"]
rcvbuf = "8M"
reliable = "on"
guard = "70%"
tune = true
ledger = "/l"
retention = "1d"
ledger_max = "1G"
sync = "never"
batch = "10"
batch_bytes = "8K"
linger = "2s"
suspend = "1m"
control = "/c"
metrics = "[::1]:9469"
log_level = "warning"
)";

// The flags that say the same as a configuration.
inline std::vector<std::string> flags_of(const Config& config) {
  std::vector<std::string> arguments;
  for (const Flag& flag : flags()) {
    if (!flag.is_setting()) continue;
    for (const std::string& text : flag.value.texts(config)) {
      if (text.empty()) continue;
      arguments.push_back(flag.flag() + "=" + text);
    }
  }
  return arguments;
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
