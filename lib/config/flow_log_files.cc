#include "config/flow_log_files.h"

#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <toml++/toml.h>
#include <unistd.h>

#include "base/files.h"
#include "config/command_line.h"
#include "config/settings_file.h"
#include "config/text.h"

namespace natsession {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBefore = "flow-";
constexpr std::string_view kBehind = ".toml";
constexpr std::chrono::seconds kLockPatience{1};
constexpr std::string_view kHead =
    "# Written by natsessionctl flow-log. natsessiond reads it at its start. What is recorded, where it "
    "goes\n"
    "# and how cannot be edited: delete the log and make another.\n"
    "[[flow_log]]\n";

bool is_folder(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// The file of "/etc/n.toml:12".
std::string file_of_source(const std::string& source) {
  return source.substr(0, source.rfind(':'));
}

bool is_named_as_own(const std::string& file, const std::string& configuration) {
  const std::string name = fs::path(file).filename().string();
  const fs::path folder = fs::path(file).parent_path();
  return (folder == fs::path(folder_beside(configuration, kDropInFolder)) ||
          folder == fs::path(folder_beside(configuration, kFlowLogFolder))) &&
         name.starts_with(kBefore) && name.ends_with(kBehind);
}

Result<std::size_t> count_settings_files(const std::string& folder) {
  std::size_t count = 0;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with('.') && name.ends_with(kBehind)) ++count;
  }
  if (error) return system_error(folder + ": cannot be read", error.value());
  return count;
}

}  // namespace

Result<FlowLogFiles> FlowLogFiles::read(const std::string& configuration) {
  FlowLogFiles files;
  files.folder_ = folder_beside(configuration, kFlowLogFolder);
  files.own_folder_ = is_folder(files.folder_);
  if (!files.own_folder_) files.folder_ = folder_beside(configuration, kDropInFolder);
  auto settings = read_settings(configuration);
  if (!settings) return settings.error();
  if (::stat(configuration.c_str(), &files.access_) != 0) return system_error(configuration, errno);
  files.settings_ = std::move(*settings);
  std::map<std::string, std::size_t> in_file;  // settings, of which flow logs count each
  for (const Assignment& setting : files.settings_) {
    const bool flow_log = setting.flag->key() == "flow_log";
    in_file[file_of_source(setting.source)] += flow_log ? setting.values.size() : 2;
  }
  for (const Assignment& setting : files.settings_) {
    if (setting.flag->key() != "flow_log") continue;
    for (const GivenValue& value : setting.values) {
      auto log = FlowLogConfig::parse(value.text);
      if (!log) return Error{log.error().kind, value.where + ": " + log.error().message};
      const std::string file = file_of_source(setting.source);
      const std::string where = value.where.substr(0, value.where.find(':', file.size() + 1));
      const bool own = is_named_as_own(file, configuration) && in_file[file] == 1;
      files.logs_.push_back({std::move(*log), file, where, own});
    }
  }
  return files;
}

Result<FlowLogFiles> FlowLogFiles::open(const std::string& configuration) {
  std::string folder = folder_beside(configuration, kFlowLogFolder);
  if (!is_folder(folder)) folder = folder_beside(configuration, kDropInFolder);
  struct stat status {};
  if (::stat(configuration.c_str(), &status) != 0)
    return system_error(configuration, errno, ErrorKind::kUsage);
  if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST)
    return system_error(folder + ": it is not there, and cannot be made", errno);
  // A lock on the folder itself could be held by anybody who can read it.
  const std::string path = folder + "/.flow-log.lock";
  UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!lock) {
    return system_error(
        folder + ": flow logs are changed by who may write there: root, or the folder's owner", errno);
  }
  // Not for ever: who has it may be stopped, and a daemon that waits answers nobody.
  const auto deadline = std::chrono::steady_clock::now() + kLockPatience;
  while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EINTR && errno != EWOULDBLOCK) return system_error("lock " + path, errno);
    if (std::chrono::steady_clock::now() > deadline)
      return Error{ErrorKind::kIo, path + ": somebody else changes flow logs, and does not finish"};
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  // Whoever else may write there is to lock it as well; but root gives away nothing that was linked there.
  struct stat of_folder {};
  if (::stat(folder.c_str(), &of_folder) != 0 || ::fstat(lock.get(), &status) != 0)
    return system_error(path, errno);
  if (!S_ISREG(status.st_mode) || status.st_nlink != 1)
    return usage_error(path + ": it is no file of its own");
  if (::geteuid() == 0 && status.st_uid == 0 && ::fchown(lock.get(), of_folder.st_uid, of_folder.st_gid) != 0)
    return system_error("chown " + path, errno);
  auto files = read(configuration);
  if (!files) return files.error();
  files->lock_ = std::move(lock);
  return files;
}

Error no_such_flow_log(std::string_view name, const std::vector<std::string>& known) {
  const std::string_view meant = nearest(name, known);
  return usage_error("there is no flow log " + in_quotes(name) +
                     (meant.empty() ? "" : ": did you mean " + std::string(meant) + "?"));
}

Result<FoundFlowLog> FlowLogFiles::find(std::string_view name) const {
  std::vector<std::string> known;
  for (const FoundFlowLog& found : logs_) {
    if (found.log.name == name) return found;
    known.push_back(found.log.name);
  }
  return no_such_flow_log(name, known);
}

Result<FoundFlowLog> FlowLogFiles::find_own(std::string_view name) const {
  auto found = find(name);
  if (found && !found->own) {
    return usage_error("flow log " + found->log.name + " stands in " + found->where +
                       ", not alone in a file that natsessionctl has made: change it there");
  }
  return found;
}

std::string FlowLogFiles::file_of(std::string_view name, const std::string& folder) {
  return folder + "/" + std::string(kBefore) + std::string(name) + std::string(kBehind);
}

Result<void> FlowLogFiles::check(const std::string& text, const std::string& file,
                                 const std::string& instead_of) const {
  std::vector<Assignment> settings = settings_;
  std::erase_if(settings, [&](const Assignment& one) { return file_of_source(one.source) == instead_of; });
  auto fresh = parse_settings(text, file);
  if (!fresh) return fresh.error();
  std::move(fresh->begin(), fresh->end(), std::back_inserter(settings));
  auto tried = try_settings(settings);
  if (tried) return {};
  // It is not there yet: nobody looks for a line of it.
  std::string message = tried.error().message;
  const std::size_t end = message.find(": flow_log: ");
  if (end != std::string::npos && message.starts_with(file + ":"))
    message = message.substr(end + std::string_view(": flow_log: ").size());
  return Error{tried.error().kind, message};
}

namespace {

Result<void> sync_folder(const std::string& path) {
  const UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) return system_error(path + ": fsync", errno);
  return {};
}

// Where a place of the parser's is in the text. None: it counts characters, and the line has others than
// ASCII's.
std::optional<std::size_t> offset_of(std::string_view text, const toml::source_position& place) {
  std::size_t at = 0;
  for (std::uint32_t line = 1; line < place.line; ++line) {
    at = text.find('\n', at);
    if (at == std::string_view::npos) return std::nullopt;
    ++at;
  }
  const std::string_view before = text.substr(at, place.column - 1);
  const bool ascii = std::all_of(before.begin(), before.end(), [](char c) { return c > 0 && c != '\n'; });
  if (before.size() + 1 != place.column || !ascii) return std::nullopt;
  return at + before.size();
}

std::string value_text(const FlowLogConfig& log, std::string_view key) {
  if (key == "name") return toml_string(log.name);
  if (key == "state") return log.on ? R"("on")" : R"("off")";
  std::string tags;
  for (const std::string& tag : log.tags) tags += (tags.empty() ? "" : ", ") + toml_string(tag);
  return "[" + tags + "]";
}

// `text`, a file with the flow log `before`, with what may be edited as `after` has it, and all else as it
// stands there. None: that cannot be done with care.
std::optional<std::string> edited(const std::string& text, const FlowLogConfig& before,
                                  const FlowLogConfig& after, const std::string& file) {
  struct Edit {
    std::size_t from, until;
    std::string text;
  };
  std::vector<Edit> edits;
  try {
    const toml::table whole = toml::parse(text);
    const toml::table* const log = whole["flow_log"][0].as_table();
    if (log == nullptr) return std::nullopt;
    for (const std::string_view key : {"name", "tags", "state"}) {
      const std::string wanted = value_text(after, key);
      if (wanted == value_text(before, key)) continue;
      const toml::node* const node = log->get(key);
      const auto& source = (node != nullptr ? node : log->get("name"))->source();
      const auto from = offset_of(text, source.begin);
      const auto until = offset_of(text, source.end);
      if (!from || !until) return std::nullopt;
      if (node != nullptr) {
        edits.push_back({*from, *until, wanted});
      } else {
        const std::size_t end = std::min(text.find('\n', *until), text.size());
        edits.push_back({end, end, "\n" + std::string(key) + " = " + wanted});
      }
    }
  } catch (const toml::parse_error&) {
    return std::nullopt;
  }
  std::sort(edits.begin(), edits.end(), [](const Edit& a, const Edit& b) { return a.from > b.from; });
  std::string fresh = text;
  for (const Edit& edit : edits) fresh.replace(edit.from, edit.until - edit.from, edit.text);
  const auto settings = parse_settings(fresh, file);
  if (!settings || settings->size() != 1 || settings->front().values.size() != 1) return std::nullopt;
  const auto log = FlowLogConfig::parse(settings->front().values.front().text);
  return log && log->text() == after.text() ? std::optional(std::move(fresh)) : std::nullopt;
}

}  // namespace

Result<void> FlowLogFiles::write(const std::string& text, const std::string& file) const {
  const std::string_view parts[] = {text};
  const std::string folder = fs::path(file).parent_path().string();
  const std::string name = fs::path(file).filename().string();
  // The daemon reads natsessiond.toml, as whatever user it runs: so it can read this. A folder of flow logs
  // is the user's who changes them, and so is what is in it.
  struct stat like = access_;
  if (own_folder_ && folder == folder_ && ::stat(folder.c_str(), &like) != 0)
    return system_error(folder, errno);
  const FileAccess access{like.st_uid, like.st_gid, (like.st_mode & 0644U) | 0600U};
  if (::geteuid() == 0 || ::geteuid() == like.st_uid) return replace_file(folder, name, parts, access);
  return replace_file(folder, name, parts);
}

Result<std::string> FlowLogFiles::create(const FlowLogConfig& log) {
  const std::string file = file_of(log.name, folder_);
  const std::string text = std::string(kHead) + log.lines();
  if (auto fit = check(text, file, {}); !fit) return fit.error();
  struct stat status {};
  if (::lstat(file.c_str(), &status) == 0)
    return usage_error(file + " is there already, and is not of a flow log " + log.name);
  const auto there = count_settings_files(folder_);
  if (!there) return there.error();
  if (*there >= kMaxDropIns)
    return usage_error(folder_ + " has " + std::to_string(*there) + " files: the daemon reads no more");
  if (auto written = write(text, file); !written) return written.error();
  return file;
}

Result<std::string> FlowLogFiles::change(std::string_view name, const Edit& edit) {
  const auto found = find_own(name);
  if (!found) return found.error();
  FlowLogConfig log = found->log;
  if (auto edited = edit(log); !edited) return edited.error();
  const std::string folder = fs::path(found->file).parent_path().string();
  const std::string file = log.name == found->log.name ? found->file : file_of(log.name, folder);
  const auto before = read_file(found->file, kMaxSettingsFile, ErrorKind::kIo, O_NOFOLLOW | O_NONBLOCK);
  if (!before) return before.error();
  const std::string text = edited(*before, found->log, log, file).value_or(std::string(kHead) + log.lines());
  if (log.on) {
    if (auto fit = check(text, file, found->file); !fit) return fit.error();
  }
  if (file != found->file) {
    struct stat status {};
    if (::lstat(file.c_str(), &status) == 0)
      return usage_error(file + " is there already, and is not of a flow log " + log.name);
    // First the file, then what is in it: whoever starts between finds one log, by its old name.
    if (std::rename(found->file.c_str(), file.c_str()) != 0)
      return system_error("rename " + found->file + " to " + file, errno);
  }
  if (auto written = write(text, file); !written) return written.error();
  return file;
}

Result<std::string> FlowLogFiles::remove(std::string_view name) {
  const auto found = find_own(name);
  if (!found) return found.error();
  if (::unlink(found->file.c_str()) != 0) return system_error("remove " + found->file, errno);
  if (auto synced = sync_folder(fs::path(found->file).parent_path().string()); !synced) return synced.error();
  return found->file;
}

Result<FlowLogConfig> parse_asked(const std::string& text) {
  const auto settings = parse_settings("flow_log = [" + text + "\n]", "log");
  if (!settings) return settings.error();
  if (settings->size() != 1 || settings->front().values.size() != 1)
    return usage_error("log: it is to be one table of TOML, in one line");
  return FlowLogConfig::parse(settings->front().values.front().text);
}

FlowLogFacts facts_of(const FoundFlowLog& found) {
  const FlowLogConfig& log = found.log;
  return {.name = log.name,
          .state = log.on ? "on" : "off",
          .resource = log.resource.to_string(),
          .traffic = std::string(to_string(log.traffic)),
          .record = log.record.text,
          .format = log.format == FlowFormat::kJson ? "json" : "text",
          .window = format_duration(log.window),
          .destination = without_secrets(log.destination.url().text),
          .target = std::string(log.destination.url().name()),
          .tags = log.tags,
          .file = found.file,
          .where = found.where,
          .editable = found.own};
}

Result<FlowLogsAnswer> flow_logs_of(const std::string& configuration) {
  const auto files = FlowLogFiles::read(configuration);
  if (!files) return files.error();
  FlowLogsAnswer answer;
  for (const FoundFlowLog& found : files->logs()) answer.logs.push_back(facts_of(found));
  return answer;
}

Result<FlowLogChanged> change_flow_logs(const std::string& configuration, const FlowLogChange& change) {
  const std::string& action = change.action;
  FlowLogChanged changed{change.name, {}, {}, true};
  const auto done = [&changed](Result<std::string> file) -> Result<FlowLogChanged> {
    if (!file) return file.error();
    changed.file = *std::move(file);
    return changed;
  };
  if (action == "create") {
    // Before anything is touched: a log that is none.
    const auto log = parse_asked(change.log);
    if (!log) return log.error();
    auto files = FlowLogFiles::open(configuration);
    if (!files) return files.error();
    changed.name = log->name;
    changed.done = "created";
    return done(files->create(*log));
  }
  const bool renames = action == "rename";
  if (renames && change.words.size() != 1) return usage_error("rename: give the old name and the new");
  const bool switches = action == "start" || action == "stop";
  if (!renames && !switches && action != "tag" && action != "delete")
    return usage_error("unknown action " + in_quotes(action));
  auto files = FlowLogFiles::open(configuration);
  if (!files) return files.error();
  if (action == "delete") {
    changed.done = "deleted";
    return done(files->remove(change.name));
  }
  return done(files->change(change.name, [&](FlowLogConfig& log) -> Result<void> {
    if (switches) {
      const bool on = action == "start";
      changed.done = log.on == on ? "was so already" : on ? "on" : "off";
      log.on = on;
      return {};
    }
    if (renames) {
      changed.name = log.name = change.words.front();
      changed.done = "its name is now " + log.name;
      return check_flow_log_name(log.name);
    }
    changed.done = "tags changed";
    return edit_tags(log.tags, change.words, change.removed);
  }));
}

Result<void> edit_tags(std::vector<std::string>& tags, const std::vector<std::string>& set,
                       const std::vector<std::string>& removed) {
  std::vector<std::string> edited = tags;
  const auto of_key = [&](std::string_view key) {
    return std::find_if(edited.begin(), edited.end(), [&](const std::string& tag) {
      return std::string_view(tag).substr(0, tag.find('=')) == key;
    });
  };
  for (const std::string& key : removed) {
    const auto at = of_key(key);
    if (at == edited.end()) return usage_error("there is no tag " + in_quotes(key));
    edited.erase(at);
  }
  for (const std::string& word : set) {
    const std::string tag = word.starts_with('+') ? word.substr(1) : word;
    if (auto fit = check_tag(tag); !fit) return fit;
    const auto at = of_key(std::string_view(tag).substr(0, tag.find('=')));
    if (at == edited.end()) {
      edited.push_back(tag);
    } else {
      *at = tag;
    }
  }
  if (edited.size() > kMaxTags) return usage_error("tags: more than " + std::to_string(kMaxTags));
  tags = std::move(edited);
  return {};
}

}  // namespace natsession
