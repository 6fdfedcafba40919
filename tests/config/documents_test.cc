// What people read about the options must not fall behind the option table.
#include <algorithm>
#include <cstdlib>
#include <regex>
#include <sstream>

#include <catch2/catch.hpp>

#include "config/manual.h"
#include "config/options.h"
#include "parsing.h"
#include "sink/registry.h"
#include "support/files.h"

namespace natsession::testing {
namespace {

const std::string kPage = NATSESSION_PACKAGING "/man/natsessiond.8";

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

// Without fonts, and the backslash in \-, which roff has for a hyphen that can be copied.
std::string without_roff(const std::string& text) {
  return std::regex_replace(text, std::regex(R"(\\(f[BIPR])?)"), "");
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST_CASE("help has every flag, and the manual pages no other", "[config][documents]") {
  const std::string help = help_text();
  for (const Flag& flag : flags()) CHECK(has_word(help, flag.flag()));
  for (const std::string& name : {kPage, std::string(NATSESSION_PACKAGING "/man/natsessiond.toml.5")}) {
    const std::string text = without_roff(read_file(name));
    for (std::size_t at = text.find("--"); at != std::string::npos; at = text.find("--", at + 2)) {
      const std::string found = text.substr(at + 2, text.find_first_not_of(kNameLetters, at + 2) - at - 2);
      if (found.empty() || found.front() == '-') continue;
      CAPTURE(name, found);
      const auto all = flags();
      CHECK(std::any_of(all.begin(), all.end(), [&](const Flag& flag) { return flag.name == found; }));
    }
  }
}

// A text of a row in roff: bold what is typed as it stands, pages and sections; italic names of values,
// fields and files.
std::string marked_up(const Flag& flag, const std::string& text) {
  static const std::regex kToken(
      // bold: flags, name(8), zone:7=green, zone:, sections
      R"((--[a-z-]+(?:=\w+)?|[a-z-]+(?=\(\d\))|[\w.:/]+=\w+|[a-z]+:(?=[A-Z])|)"
      R"(stdout|journald|SINKS|[A-Z]{2,}(?: [A-Z]{2,})+)|)"
      // italic: N, nf_conntrack_max, conf.d/*.toml
      R"((\b(?:PATH|MASK|N|V)\b|\w+_\w+|[\w.]*/[a-z*][\w./*]*\w)|[\w-]+)");
  const auto& words = flag.value.words;
  std::string roff, rest = text;
  for (std::smatch match; std::regex_search(rest, match, kToken); rest = match.suffix()) {
    const std::string token = match.str();
    const bool bold = match[1].matched ||
                      (flag.takes_value() && std::find(words.begin(), words.end(), token) != words.end());
    const bool italic =
        match[2].matched || (token.size() > 1 && flag.value_name.find(token) != std::string_view::npos);
    const std::string font = bold ? "\\fB" : italic ? "\\fI" : "";
    roff += match.prefix().str() + (font.empty() ? token : font + token + "\\fP");
  }
  return roff + rest;
}

// All rows as they stand in the manual page, a sentence a line.
std::string options_in_roff() {
  std::string roff;
  std::string_view group;
  for (const Flag& flag : flags()) {
    if (flag.group != group) roff += ".SS " + std::string(flag.group) + "\n";
    group = flag.group;
    std::string text(flag.help);
    if (!flag.more.empty()) text += " " + std::string(flag.more);
    if (!flag.value.range.empty()) text += " Range: " + flag.value.range + ".";
    if (flag.takes_value()) {
      const std::string usual(flag.no_default.empty() ? usual_text(flag.value) : flag.no_default);
      text += " Default: " + (usual.empty() ? "none" : usual) + ".";
    }
    roff += ".TP\n\\fB" + flag.flag() + "\\fP" + (flag.takes_value() ? "\\~" : "");
    roff += std::regex_replace(std::string(flag.value_name), std::regex("[A-Z]+"), "\\fI$&\\fP") + "\n";
    roff += std::regex_replace(marked_up(flag, text), std::regex("\\. "), ".\n") + "\n";
  }
  return std::regex_replace(roff, std::regex("-"), "\\-");
}

TEST_CASE("the manual page says of the options what their rows say", "[config][documents]") {
  const std::string page = read_file(kPage);
  const std::size_t begin = page.find(".SS ", page.find(".SH OPTIONS\n"));
  const std::string wanted =
      page.substr(0, begin) + options_in_roff() + page.substr(page.find(".SH SINKS\n"));
  if (std::getenv("NATSESSION_GOLDEN_WRITE") != nullptr) write_file(kPage, wanted);
  const auto is = lines_of(read_file(kPage)), ought = lines_of(wanted);
  const auto [there, here] = std::mismatch(is.begin(), is.end(), ought.begin(), ought.end());
  if (there != is.end()) {
    FAIL(kPage << ":" << there - is.begin() + 1 << " is\n  " << *there << "\nwhere the rows say\n  " << *here
               << "\nNATSESSION_GOLDEN_WRITE=1 build/release/tests/config/test_config writes it anew");
  }
}

// Every setting in a comment at its default, and the few that make a service of it.
TEST_CASE("the packages' configuration file says of the settings what their rows say",
          "[config][documents]") {
  const std::string path = NATSESSION_PACKAGING "/etc/natsessiond.toml";
  std::string wanted = default_config();
  for (const auto& [setting, value] : {std::pair("ledger", "/var/lib/natsessiond/ledger"),
                                       std::pair("control", "/run/natsessiond/control.sock")}) {
    const std::string off = "\n#" + std::string(setting) + " = \"\"\n";
    REQUIRE(wanted.find(off) != std::string::npos);
    wanted.replace(wanted.find(off), off.size(), "\n" + std::string(setting) + " = \"" + value + "\"\n");
  }
  const std::string usual = "\n#events = [\"new\", \"update\", \"destroy\"]\n";
  REQUIRE(wanted.find(usual) != std::string::npos);
  wanted.replace(wanted.find(usual), usual.size(), "\nevents = \"auto\"\n");
  if (std::getenv("NATSESSION_GOLDEN_WRITE") != nullptr) write_file(path, wanted);
  CHECK(read_file(path) == wanted);
}

TEST_CASE("the manual page has every sink and its options", "[config][documents]") {
  const std::string manual = without_roff(read_file(kPage));
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
  CHECK(text.find("\n--events ,new update destroy auto\n") != std::string::npos);
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
