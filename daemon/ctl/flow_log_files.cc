#include "flow_log_files.h"

#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "base/files.h"
#include "config/command_line.h"
#include "config/settings_file.h"
#include "config/text.h"

namespace natsession::ctl {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBefore = "flow-";
constexpr std::string_view kBehind = ".toml";
constexpr std::string_view kHead =
    "# Written by natsessionctl flow-log, which writes it anew with each change. natsessiond reads it at "
    "its\n"
    "# start. What is recorded, where it goes and how cannot be edited: delete the log and make another.\n"
    "[[flow_log]]\n";

std::string folder_of(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  return (fs::path(parent.empty() ? "." : parent) / "conf.d").string();
}

// The file of "/etc/n.toml:12".
std::string file_of_source(const std::string& source) {
  return source.substr(0, source.rfind(':'));
}

bool is_named_as_own(const std::string& file, const std::string& folder) {
  const std::string name = fs::path(file).filename().string();
  return fs::path(file).parent_path() == fs::path(folder) && name.starts_with(kBefore) &&
         name.ends_with(kBehind);
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
  files.folder_ = folder_of(configuration);
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
      const bool own = is_named_as_own(file, files.folder_) && in_file[file] == 1;
      files.logs_.push_back({std::move(*log), file, where, own});
    }
  }
  return files;
}

Result<FlowLogFiles> FlowLogFiles::open(const std::string& configuration) {
  const std::string folder = folder_of(configuration);
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
  while (::flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return system_error("lock " + path, errno);
  }
  auto files = read(configuration);
  if (!files) return files.error();
  files->lock_ = std::move(lock);
  return files;
}

Result<FoundFlowLog> FlowLogFiles::find(std::string_view name) const {
  std::vector<std::string> known;
  for (const FoundFlowLog& found : logs_) {
    if (found.log.name == name) return found;
    known.push_back(found.log.name);
  }
  const std::string_view meant = nearest(name, known);
  return usage_error("there is no flow log " + in_quotes(name) +
                     (meant.empty() ? "" : ": did you mean " + std::string(meant) + "?"));
}

Result<FoundFlowLog> FlowLogFiles::find_own(std::string_view name) const {
  auto found = find(name);
  if (found && !found->own) {
    return usage_error("flow log " + found->log.name + " stands in " + found->where +
                       ", not alone in a file that natsessionctl has made: change it there");
  }
  return found;
}

std::string FlowLogFiles::file_of(std::string_view name) const {
  return folder_ + "/" + std::string(kBefore) + std::string(name) + std::string(kBehind);
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

Result<void> FlowLogFiles::sync_folder() const {
  const UniqueFd folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) return system_error(folder_ + ": fsync", errno);
  return {};
}

Result<void> FlowLogFiles::write(const std::string& text, const std::string& file) const {
  const std::string_view parts[] = {text};
  // The daemon reads natsessiond.toml, as whatever user it runs: so it can read this.
  return replace_file(folder_, fs::path(file).filename().string(), parts,
                      FileAccess{access_.st_uid, access_.st_gid, (access_.st_mode & 0644U) | 0600U});
}

Result<std::string> FlowLogFiles::create(const FlowLogConfig& log) {
  const std::string file = file_of(log.name);
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
  const std::string file = log.name == found->log.name ? found->file : file_of(log.name);
  const std::string text = std::string(kHead) + log.lines();
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
  if (auto synced = sync_folder(); !synced) return synced.error();
  return found->file;
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

}  // namespace natsession::ctl
