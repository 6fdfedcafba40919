// What people read about the options must not fall behind the option table.
#include <algorithm>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

#include "config/manual.h"
#include "config/options.h"
#include "parsing.h"

namespace natsession::testing {
namespace {

std::string packaged(const std::string& name) {
  std::ifstream file(std::string(NATSESSION_PACKAGING "/") + name);
  REQUIRE(file);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool has_word(const std::string& text, const std::string& word) {
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const char next = at + word.size() < text.size() ? text[at + word.size()] : ' ';
    if (std::isalnum(static_cast<unsigned char>(next)) == 0 && next != '-' && next != '_') return true;
  }
  return false;
}

constexpr std::string_view kNameLetters = "abcdefghijklmnopqrstuvwxyz-_";

// The key in "#key = value", else nothing.
std::string commented_key(const std::string& line) {
  const std::size_t end = line.find_first_not_of(kNameLetters, 1);
  if (!line.starts_with('#') || end == std::string::npos || !line.substr(end).starts_with(" = ")) return {};
  return line.substr(1, end - 1);
}

std::string without_backslashes(std::string text) {
  std::erase(text, '\\');  // roff writes \- for a hyphen that can be copied
  return text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST_CASE("help, the manual page and the completion have every flag", "[config][documents]") {
  const std::string help = help_text();
  const std::string manual = without_backslashes(packaged("man/natsessiond.8"));
  const std::string completion = packaged("completion/natsessiond.bash");
  for (const Option& option : options()) {
    CAPTURE(option.name);
    CHECK(has_word(help, option.flag()));
    CHECK(has_word(manual, option.flag()));
    CHECK(has_word(completion, option.flag()));
  }
}

TEST_CASE("the manual page and the completion have no flag that there is not", "[config][documents]") {
  for (const char* name : {"man/natsessiond.8", "man/natsessiond.toml.5", "completion/natsessiond.bash"}) {
    const std::string text = without_backslashes(packaged(name));
    for (std::size_t at = text.find("--"); at != std::string::npos; at = text.find("--", at + 2)) {
      const std::string found = text.substr(at + 2, text.find_first_not_of(kNameLetters, at + 2) - at - 2);
      if (found.empty() || found.front() == '-') continue;
      CAPTURE(name, found);
      const auto all = options();
      CHECK(std::any_of(all.begin(), all.end(), [&](const Option& option) { return option.name == found; }));
    }
  }
}

TEST_CASE("the file's manual page has every key with its default", "[config][documents]") {
  const std::string manual = without_backslashes(packaged("man/natsessiond.toml.5"));
  for (const Option& option : options()) {
    if (!option.is_setting()) continue;
    CAPTURE(option.name);
    CHECK(has_word(manual, ".B " + option.key()));
    if (option.default_told.empty()) CHECK(has_word(manual, "Default: " + toml_value(option, Config{})));
  }
}

TEST_CASE("the completion has every name that a choice has", "[config][documents]") {
  const std::string completion = packaged("completion/natsessiond.bash");
  for (const char* name :
       {"json",    "csv",   "logfmt",  "unix",   "unix_ms", "rfc3339",   "all",     "cloud",
        "snat",    "dnat",  "any",     "window", "end",     "start-end", "new",     "update",
        "destroy", "error", "warning", "info",   "debug",   "stdout",    "journald"}) {
    CAPTURE(name);
    CHECK(has_word(completion, name));
  }
}

TEST_CASE("help tells the default of every setting that takes a value", "[config][documents]") {
  const std::string help = help_text();
  for (const Option& option : options()) {
    if (!option.is_setting() || !option.takes_value()) continue;
    CAPTURE(option.name);
    const std::size_t at = help.find("\n  " + option.flag() + " ");
    REQUIRE(at != std::string::npos);
    const std::string entry = help.substr(at, help.find("\n  --", at + 1) - at);
    CHECK(entry.find("(default: ") != std::string::npos);
  }
}

TEST_CASE("help fits a terminal", "[config][documents]") {
  for (const std::string& line : lines_of(help_text())) {
    CAPTURE(line);
    CHECK(line.size() <= (line.starts_with("  natsessiond ") ? 100 : 80));
  }
}

TEST_CASE("the examples of help are command lines that work", "[config][documents]") {
  std::size_t examples = 0;
  for (const std::string& line : lines_of(help_text())) {
    if (!line.starts_with("  natsessiond ") || line.find("/etc/") != std::string::npos) continue;
    std::string unquoted = line;
    std::erase(unquoted, '\'');
    std::istringstream stream(unquoted);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    words.erase(words.begin());
    CAPTURE(line);
    CHECK(message_of(words).empty());
    ++examples;
  }
  CHECK(examples >= 5);
}

TEST_CASE("the version is the project's", "[config][documents]") {
  CHECK(version_text() == "natsessiond " NATSESSION_VERSION "\n");
}

TEST_CASE("the packaged file sets nothing", "[config][documents]") {
  CHECK(SettingsFolder(packaged("etc/natsessiond.toml")).config() == defaults());
}

TEST_CASE("the packaged file has every key at its default, in a comment", "[config][documents]") {
  // The host's name cannot be known to a file, so the test's host is called as the file says.
  const Environment host{"nat-1.example.net", {}};
  Config wanted;
  wanted.instance = host.hostname;
  std::vector<std::string> keys;
  std::string everything;
  for (const std::string& line : lines_of(packaged("etc/natsessiond.toml"))) {
    const std::string key = commented_key(line);
    if (key.empty()) continue;
    CAPTURE(line);
    const SettingsFolder folder(line.substr(1));
    const auto parsed = parse(folder.arguments(), host);
    CHECK(folder.message().empty());
    REQUIRE(parsed);
    CHECK(parsed->config == wanted);
    keys.push_back(key);
    everything += line.substr(1) + "\n";
  }

  std::vector<std::string> all;
  for (const Option& option : options()) {
    if (option.is_setting()) all.push_back(option.key());
  }
  CHECK(keys == all);
  const SettingsFolder folder(everything);
  const auto parsed = parse(folder.arguments(), host);
  REQUIRE(parsed);
  CHECK(parsed->config == wanted);
}

}  // namespace
}  // namespace natsession::testing
