// What people read about the options must not fall behind the option table.
#include <algorithm>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

#include "config/manual.h"
#include "config/options.h"
#include "parsing.h"
#include "sink/registry.h"

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

TEST_CASE("help and the manual page have every flag, and no other", "[config][documents]") {
  const std::string help = help_text();
  const std::string manual = without_backslashes(packaged("man/natsessiond.8"));
  for (const Flag& flag : flags()) {
    CAPTURE(flag.name);
    CHECK(has_word(help, flag.flag()));
    CHECK(has_word(manual, flag.flag()));
  }
  for (const char* name : {"man/natsessiond.8", "man/natsessiond.toml.5"}) {
    const std::string text = without_backslashes(packaged(name));
    for (std::size_t at = text.find("--"); at != std::string::npos; at = text.find("--", at + 2)) {
      const std::string found = text.substr(at + 2, text.find_first_not_of(kNameLetters, at + 2) - at - 2);
      if (found.empty() || found.front() == '-') continue;
      CAPTURE(name, found);
      const auto all = flags();
      CHECK(std::any_of(all.begin(), all.end(), [&](const Flag& flag) { return flag.name == found; }));
    }
  }
}

TEST_CASE("the manual page has every setting's range and default as the option table has them",
          "[config][documents]") {
  const std::string manual = without_backslashes(packaged("man/natsessiond.8"));
  for (const Flag& flag : flags()) {
    if (!flag.is_setting() || !flag.takes_value()) continue;
    CAPTURE(flag.name);
    const std::size_t at = manual.find(".BI " + flag.flag() + "~");
    REQUIRE(at != std::string::npos);
    std::string entry = manual.substr(at, manual.find("\n.TP", at) - at);
    std::replace(entry.begin(), entry.end(), '\n', ' ');
    const std::string usual = usual_text(flag.value);
    CHECK(has_word(entry, "Default: " + (!flag.no_default.empty() ? std::string(flag.no_default.substr(
                                                                        0, flag.no_default.find(':')))
                                         : usual.empty()          ? "none"
                                                                  : usual)));
    CHECK(entry.find(flag.value.range) != std::string::npos);
  }
}

TEST_CASE("the manual page has every sink and its options", "[config][documents]") {
  std::string manual = without_backslashes(packaged("man/natsessiond.8"));
  for (const SinkKind& kind : sink_kinds()) {
    CAPTURE(kind.scheme);
    CHECK(has_word(manual, std::string(kind.scheme)));
    for (const SinkOption& option : kind.options) {
      CAPTURE(option.key);
      CHECK(manual.find(std::string(option.key) + "=") != std::string::npos);
    }
  }
  for (const SinkOption& option : common_sink_options()) {
    CAPTURE(option.key);
    CHECK(manual.find(std::string(option.key) + "=") != std::string::npos);
  }
}

TEST_CASE("a shell is told every flag, and the words of every choice", "[config][documents]") {
  const std::string text = "\n" + list_options();
  for (const Flag& flag : flags()) {
    CAPTURE(flag.name);
    const std::size_t at = text.find("\n" + flag.flag() + (flag.takes_value() ? " " : "\n"));
    REQUIRE(at != std::string::npos);
    const std::string line = text.substr(at + 1, text.find('\n', at + 1) - at - 1);
    if (!flag.takes_value()) continue;
    for (const std::string_view word : flag.value.words) CHECK(has_word(line, std::string(word)));
  }
  CHECK(text.find("\n--events ,new update destroy\n") != std::string::npos);
  CHECK(text.find("\n--sink stdout file: journald ") != std::string::npos);
}

TEST_CASE("help tells the default of every setting that takes a value", "[config][documents]") {
  const std::string help = help_text();
  for (const Flag& option : flags()) {
    if (!option.is_setting() || !option.takes_value()) continue;
    CAPTURE(option.name);
    const std::size_t at = help.find("\n  " + option.flag() + " ");
    REQUIRE(at != std::string::npos);
    const std::string entry = help.substr(at, help.find("\n  --", at + 1) - at);
    CHECK(entry.find("default: ") != std::string::npos);
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

TEST_CASE("the file of defaults has every key in a comment, and sets nothing", "[config][documents]") {
  CHECK(SettingsFolder(default_config()).config() == defaults());
  std::vector<std::string> keys;
  std::string everything;
  for (const std::string& line : lines_of(default_config())) {
    CHECK(line.size() <= 110);
    const std::string key = commented_key(line);
    if (key.empty()) continue;
    keys.push_back(key);
    everything += line.substr(1) + "\n";
  }
  std::vector<std::string> all;
  for (const Flag& flag : flags()) {
    if (flag.is_setting()) all.push_back(flag.key());
  }
  CHECK(keys == all);
  // The host's name cannot be known to a file, so it has an example.
  Config wanted;
  wanted.instance = "nat-1";
  const SettingsFolder folder(everything);
  CHECK(folder.message().empty());
  CHECK(folder.config() == wanted);
}

}  // namespace
}  // namespace natsession::testing
