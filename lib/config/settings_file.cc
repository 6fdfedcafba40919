#include "config/settings_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <toml++/toml.h>
#include <unistd.h>

#include "base/files.h"
#include "config/flow_log_config.h"
#include "config/text.h"

namespace natsession {
namespace {

std::string position(const std::string& path, const toml::source_region& source) {
  return path + ":" + std::to_string(source.begin.line) + ":" + std::to_string(source.begin.column);
}

// Follows TOML as far as it takes to know what stands in strings and comments. Of a file that is no TOML it
// may be wrong behind the place where the parser will stop.
Result<void> check_nesting(std::string_view text, const std::string& path) {
  std::size_t line = 1, brackets = 0, dots = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\n') {
      ++line;
      dots = 0;
    } else if (c == '#') {
      at = std::min(text.find('\n', at), text.size()) - 1;
    } else if (c == '"' || c == '\'') {
      const std::string_view quotes = text.substr(at, 3);
      const bool many_lines = quotes == std::string(3, c);
      const std::string_view end = many_lines ? quotes : quotes.substr(0, 1);
      for (at += end.size(); at < text.size() && !text.substr(at).starts_with(end); ++at) {
        if (text[at] == '\n' && !many_lines) break;  // not closed: the parser stops here
        if (text[at] == '\\' && c == '"') ++at;
        if (at < text.size() && text[at] == '\n') ++line;
      }
      if (at >= text.size() || text[at] == '\n') {
        --at;
        continue;
      }
      at += end.size() - 1;
      // A text of several lines may end in quotes of its own.
      for (int more = 0; many_lines && more < 2 && text.substr(at + 1).starts_with(c); ++more) ++at;
    } else if (c == '[' || c == '{') {
      ++brackets;
    } else if (c == ']' || c == '}') {
      brackets -= std::min<std::size_t>(brackets, 1);
    } else if (c == '.') {
      ++dots;
    }
    if (brackets <= kMaxNesting && dots <= kMaxNesting) continue;
    return usage_error(path + ":" + std::to_string(line) + ": more than " + std::to_string(kMaxNesting) +
                       (dots > kMaxNesting ? " dots in a line's keys" : " brackets in one another") +
                       ": not a configuration file");
  }
  return {};
}

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a fraction";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

// In one line; what is neither a text, a switch nor an array of texts stands there as an empty table, which
// no key takes.
std::string text_of(const toml::node& node) {
  if (const auto* const text = node.as_string()) return toml_string(text->get());
  if (const auto* const on = node.as_boolean()) return on->get() ? "true" : "false";
  std::string out;
  if (const auto* const array = node.as_array()) {
    for (const toml::node& element : *array) out += (out.empty() ? "" : ", ") + text_of(element);
    return "[" + out + "]";
  }
  return "{}";
}

std::string text_of(const toml::table& table) {
  std::string out;
  for (const auto& [key, node] : table)
    out += (out.empty() ? "" : ", ") + toml_string(key.str()) + " = " + text_of(node);
  return "{" + out + "}";
}

Error wrong_type(const Flag& flag, const toml::node& node, const std::string& where) {
  std::string needed;
  switch (flag.value.form) {
    case OptionForm::kSwitch:
      return usage_error(where + ": needs true or false, not " + std::string(type_name(node)));
    case OptionForm::kSize:
      needed = "a string or a whole number of bytes";
      break;
    case OptionForm::kList:
      needed = "a string or an array of strings";
      break;
    case OptionForm::kTables:
      return usage_error(where + ": needs tables [[" + flag.key() + "]], not " +
                         std::string(type_name(node)));
    case OptionForm::kText:
      needed = "a string";
  }
  const std::string example = flag.example.empty() ? flag.toml_value(Config{}) : std::string(flag.example);
  return usage_error(where + ": needs " + needed + ", such as " + example + ", not " +
                     std::string(type_name(node)));
}

// The texts of a value.
// Errors: kUsage if its type does not suit the option.
Result<std::vector<GivenValue>> texts_of(const Flag& flag, const toml::node& node, const std::string& path) {
  const std::string where = position(path, node.source()) + ": " + flag.key();
  if (const auto* array = node.as_array(); array != nullptr && flag.value.form == OptionForm::kList) {
    std::vector<GivenValue> values;
    for (const toml::node& element : *array) {
      const std::string element_where = position(path, element.source()) + ": " + flag.key();
      const auto* text = element.as_string();
      if (text == nullptr) return wrong_type(flag, element, element_where);
      values.push_back({text->get(), element_where});
    }
    return values;
  }
  if (flag.value.form == OptionForm::kTables) {
    const auto* const tables = node.as_array();
    if (tables == nullptr) return wrong_type(flag, node, where);
    std::vector<GivenValue> values;
    for (const toml::node& element : *tables) {
      const std::string element_where = position(path, element.source()) + ": " + flag.key();
      if (!element.is_table()) return wrong_type(flag, element, element_where);
      values.push_back({text_of(*element.as_table()), element_where});
    }
    return values;
  }
  if (flag.value.form == OptionForm::kSwitch) {
    const auto* on = node.as_boolean();
    if (on == nullptr) return wrong_type(flag, node, where);
    return std::vector<GivenValue>{{on->get() ? "true" : "false", where}};
  }
  if (const auto* text = node.as_string()) return std::vector<GivenValue>{{text->get(), where}};
  if (const auto* number = node.as_integer(); number != nullptr && flag.value.form == OptionForm::kSize) {
    return std::vector<GivenValue>{{std::to_string(number->get()), where}};
  }
  return wrong_type(flag, node, where);
}

std::string unknown(const std::string& key, const toml::node& node) {
  std::vector<std::string> keys;
  for (const Flag& flag : flags()) {
    if (flag.is_setting()) {
      keys.push_back(flag.key());
    } else if (flag.key() == key) {
      return key + " is for the command line only: " + flag.flag();
    }
  }
  std::string message = "unknown key " + in_quotes(key);
  if (const std::string_view meant = nearest(key, keys); !meant.empty()) {
    message += ": did you mean " + std::string(meant) + "?";
  }
  if (node.is_table() || node.is_array_of_tables())
    message += "; the only tables of this file are [[flow_log]], all other keys stand at its top";
  return message;
}

// Of one that may have an owner of its own: nobody else may write it.
Result<void> check_sole_writer(const std::string& path, struct stat status) {
  status.st_uid = ::geteuid();
  return check_writers(path, status);
}

Result<std::vector<std::string>> drop_ins(const std::string& path, std::string_view name_of_folder) {
  const std::filesystem::path folder = folder_beside(path, name_of_folder);
  std::vector<std::string> found;
  std::error_code error;
  if (struct stat status{}; ::stat(folder.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
    status.st_mode &= ~static_cast<mode_t>(S_ISVTX);  // whoever may add a file there, may add settings
    const auto trusted = name_of_folder == kFlowLogFolder ? check_sole_writer(folder.string(), status)
                                                          : check_writers(folder.string(), status);
    if (!trusted) return trusted.error();
  }
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with('.') || !name.ends_with(".toml")) continue;
    if (found.size() == kMaxDropIns) {
      return usage_error(folder.string() + ": has more than " + std::to_string(kMaxDropIns) + " files");
    }
    if (auto fit = check_text(name); !fit)
      return usage_error(folder.string() + ": the file name " + fit.error().message);
    found.push_back(entry->path().string());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return system_error(folder.string() + ": cannot be read", error.value(), ErrorKind::kUsage);
  }
  std::sort(found.begin(), found.end());
  return found;
}

// The owner of the folder may put anything there, and who reads it may be root: no link is followed, and
// nothing but a file is read.
Result<std::string> read_flow_log_file(const std::string& path) {
  return read_checked_file(path, kMaxSettingsFile, ErrorKind::kUsage, O_NOFOLLOW | O_NONBLOCK,
                           [](const std::string& file, const struct stat& status) -> Result<void> {
                             if (!S_ISREG(status.st_mode)) return usage_error(file + ": it is no file");
                             return check_sole_writer(file, status);
                           });
}

Result<void> check_flow_logs_alone(const std::vector<Assignment>& assignments) {
  for (const Assignment& assignment : assignments) {
    if (assignment.flag->key() != "flow_log") {
      return usage_error(assignment.where + ": in the folder " + std::string(kFlowLogFolder) +
                         " stand flow logs alone; conf.d is for all settings");
    }
    for (const GivenValue& value : assignment.values) {
      const auto log = FlowLogConfig::parse(value.text);  // one that is none is refused later
      if (log && log->destination.command()) {
        return usage_error(value.where +
                           ": a flow log whose destination starts a program stands in conf.d, not in " +
                           std::string(kFlowLogFolder));
      }
    }
  }
  return {};
}

}  // namespace

std::string folder_beside(const std::string& path, std::string_view folder) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return (std::filesystem::path(parent.empty() ? "." : parent) / folder).string();
}

Result<std::vector<Assignment>> parse_settings(std::string_view text, const std::string& path) {
  if (auto fit = check_nesting(text, path); !fit) return fit.error();
  toml::table table;
  try {
    table = toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    return usage_error(position(path, error.source()) + ": " + std::string(error.description()));
  }

  std::vector<std::pair<const toml::key*, const toml::node*>> pairs;
  for (const auto& [key, node] : table) pairs.emplace_back(&key, &node);
  std::sort(pairs.begin(), pairs.end(),
            [](const auto& a, const auto& b) { return a.first->source().begin < b.first->source().begin; });

  std::vector<Assignment> assignments;
  for (const auto& [key, node] : pairs) {
    const std::string name(key->str());
    const Flag* const flag = find_setting(name);
    if (flag == nullptr) return usage_error(position(path, key->source()) + ": " + unknown(name, *node));
    auto values = texts_of(*flag, *node, path);
    if (!values) return values.error();
    assignments.push_back({flag, path + ":" + std::to_string(key->source().begin.line),
                           position(path, node->source()) + ": " + name, std::move(*values)});
  }
  return assignments;
}

Result<std::vector<Assignment>> read_settings(const std::string& path) {
  auto files = drop_ins(path, kDropInFolder);
  if (!files) return files.error();
  files->insert(files->begin(), path);
  const std::size_t settings_files = files->size();
  const auto flow_log_files = drop_ins(path, kFlowLogFolder);
  if (!flow_log_files) return flow_log_files.error();
  files->insert(files->end(), flow_log_files->begin(), flow_log_files->end());

  std::vector<Assignment> all;
  for (std::size_t i = 0; i < files->size(); ++i) {
    const std::string& file = (*files)[i];
    const bool flow_logs_alone = i >= settings_files;
    const auto text = flow_logs_alone ? read_flow_log_file(file)
                                      : read_trusted_file(file, kMaxSettingsFile, ErrorKind::kUsage);
    if (!text) return text.error();
    if (text->size() > kMaxSettingsFile.bytes) {
      return usage_error(file + ": is larger than " + format_byte_count(kMaxSettingsFile) +
                         ": not a configuration file");
    }
    auto assignments = parse_settings(*text, file);
    if (!assignments) return assignments.error();
    if (auto fit = flow_logs_alone ? check_flow_logs_alone(*assignments) : Result<void>(); !fit)
      return fit.error();
    std::move(assignments->begin(), assignments->end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace natsession
