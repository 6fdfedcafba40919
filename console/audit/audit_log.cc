#include "audit/audit_log.h"

#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "record/text_writer.h"

namespace natsession::console {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxInJournal = 4096;  // of a text: an entry has to fit into a datagram

std::string line_of(const AuditEvent& event, UnixMs now) {
  std::array<char, 64> time{};
  Json line{{"time", std::string(time.data(), write_rfc3339(time.data(), now))}, {"event", event.event}};
  const auto add = [&](const char* name, const std::string& text) {
    if (!text.empty()) line[name] = text;
  };
  add("id", event.id);
  add("user", event.caller.name);
  if (event.known) add("role", std::string(to_string(event.caller.role)));
  add("from", event.caller.from);
  add("box", event.box);
  add("what", event.what);
  add("asked", event.asked);
  add("input", event.input);
  add("reason", event.reason);
  add("time_zone", event.time_zone);
  add("format", event.format);
  if (event.rows) line["rows"] = *event.rows;
  if (event.elapsed) line["seconds"] = static_cast<double>(event.elapsed->count()) / 1000;
  add("outcome", event.outcome);
  add("warnings", event.warnings);
  // What is no UTF-8 is told as far as it is.
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// On one line, as the journal's plain form has values.
void add_field(std::string& entry, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  entry.append(name).append("=");
  for (const char c : value.substr(0, kMaxInJournal)) entry += c == '\n' ? ' ' : c;
  entry += '\n';
}

}  // namespace

Result<std::unique_ptr<AuditLog>> AuditLog::open(std::string path, std::string journal_socket) {
  std::unique_ptr<AuditLog> log(new AuditLog(std::move(path), std::move(journal_socket)));  // NOLINT
  if (auto opened = log->reopen(); !opened) return opened.error();
  return log;
}

Result<void> AuditLog::reopen() {
  struct stat there {};
  struct stat own {};
  const bool same = file_ && ::fstat(file_.get(), &own) == 0 && ::stat(path_.c_str(), &there) == 0 &&
                    own.st_ino == there.st_ino && own.st_dev == there.st_dev;
  if (same) return {};
  UniqueFd fd(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640));
  if (!fd) return system_error(path_ + ": open", errno, ErrorKind::kUnavailable);
  file_ = std::move(fd);
  // That it is there must outlive a power cut as well.
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  const UniqueFd place(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (place) static_cast<void>(::fsync(place.get()));
  return {};
}

void AuditLog::tell_journal(const AuditEvent& event, const std::string& line) {
  if (journal_socket_.empty()) return;
  if (!journal_.is_open() && journal_.connect_local(journal_socket_) != 0) return;
  std::string entry;
  add_field(entry, "MESSAGE", line.substr(0, line.size() - 1));
  add_field(entry, "PRIORITY", "5");  // notice
  add_field(entry, "SYSLOG_IDENTIFIER", "natsession-console");
  add_field(entry, "NATSESSION_AUDIT", event.event);
  add_field(entry, "NATSESSION_AUDIT_ID", event.id);
  add_field(entry, "NATSESSION_USER", event.caller.name);
  add_field(entry, "NATSESSION_FROM", event.caller.from);
  add_field(entry, "NATSESSION_WHAT", event.what);
  std::size_t sent = 0;
  const std::string_view messages[] = {entry};
  // The file is what counts; a journal that takes nothing keeps nobody waiting.
  if (journal_.send(messages, std::chrono::milliseconds(20), sent) != 0) journal_.close();
}

Result<void> AuditLog::write(const AuditEvent& event, UnixMs now) {
  const std::string line = line_of(event, now);
  const std::lock_guard lock(mutex_);
  if (auto opened = reopen(); !opened) return opened;
  struct stat before {};
  if (::fstat(file_.get(), &before) != 0) return system_error(path_ + ": stat", errno);
  // One write: lines of several processes do not mix.
  const ssize_t count = ::write(file_.get(), line.data(), line.size());
  if (count != static_cast<ssize_t>(line.size())) {
    const int cause = count < 0 ? errno : ENOSPC;
    if (count > 0 && ::ftruncate(file_.get(), before.st_size) != 0)
      file_.reset();  // half a line is taken back
    return system_error(path_ + ": write", cause);
  }
  if (::fdatasync(file_.get()) != 0 && errno != EINVAL) return system_error(path_ + ": fdatasync", errno);
  tell_journal(event, line);
  return {};
}

}  // namespace natsession::console
