#include "delivery/dead_letters.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

#include "record/escape.h"
#include "record/text_writer.h"

namespace natsession {
namespace {

constexpr std::size_t kMaxWhyBytes = 1024;
constexpr std::size_t kMaxNameBytes = 120;

void append_json_string(std::string& out, std::string_view text) {
  append_line(out, max_escaped_length(text.size()) + kTextSlack,
              [text](char* at) { return write_json_string(at, text); });
}

// Letters in a file that is about to go; none if it is not there.
std::uint64_t count_lines(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  std::array<char, 65'536> part{};
  std::uint64_t lines = 0;
  for (ssize_t count = 0; fd && (count = ::read(fd.get(), part.data(), part.size())) > 0;) {
    lines += static_cast<std::uint64_t>(std::count(part.begin(), part.begin() + count, '\n'));
  }
  return lines;
}

}  // namespace

DeadLetters::DeadLetters(std::string path, ByteCount limit, std::string_view sink, const Clock& clock)
    : path_(std::move(path)), limit_bytes_(limit.bytes), sink_(sink), clock_(clock) {}

Error DeadLetters::error(std::string_view operation, int error_number) const {
  return system_error("dead letters " + path_ + ": " + std::string(operation), error_number);
}

Result<void> DeadLetters::add(const SessionRecord& record, std::string_view why) {
  if (path_.empty()) return {};
  std::string line = "{\"sink\":";
  append_json_string(line, sink_);
  line += ",\"time\":\"";
  append_line(line, kMaxTimeLength + kTextSlack,
              [this](char* at) { return write_rfc3339(at, to_ms(clock_.now())); });
  line += "\",\"why\":";
  append_json_string(line, why.substr(0, kMaxWhyBytes));
  line += ",\"record\":";
  // Of a process either all records have a network namespace or none has.
  if (!encoder_) encoder_ = make_encoder({.with_netns = !record.origin->netns.empty()});
  encoder_->append(record, line);
  line.insert(line.size() - 1, "}");  // before the record's newline

  struct stat status {};
  struct stat named {};
  if (fd_ && (::fstat(fd_.get(), &status) != 0 || ::stat(path_.c_str(), &named) != 0 ||
              status.st_dev != named.st_dev || status.st_ino != named.st_ino))
    fd_.reset();  // somebody removed the file, or took it away
  if (!fd_) {
    if (auto opened = open(); !opened) return opened;
  }
  if (size_bytes_ > 0 && size_bytes_ + line.size() > limit_bytes_) {
    if (auto rotated = rotate(); !rotated) return rotated;
  }
  return write(line);
}

Result<void> DeadLetters::open() {
  const std::filesystem::path parent = std::filesystem::path(path_).parent_path();
  if (!parent.empty() && ::mkdir(parent.c_str(), 0750) != 0 && errno != EEXIST) return error("mkdir", errno);
  unsynced_names_ = true;
  UniqueFd fd(
      ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640));
  if (!fd) return error("open", errno);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return error("fstat", errno);
  if (!S_ISREG(status.st_mode))
    return Error{ErrorKind::kIo, "dead letters " + path_ + ": not a regular file"};
  size_bytes_ = static_cast<std::uint64_t>(status.st_size);
  fd_ = std::move(fd);
  return {};
}

Result<void> DeadLetters::rotate() {
  const std::string old = path_ + ".1";
  if (auto synced = sync_file(); !synced) return synced;
  const std::uint64_t gone = count_lines(old);
  if (::rename(path_.c_str(), old.c_str()) != 0) return error("rename", errno);
  overwritten_ += gone;
  fd_.reset();
  return open();
}

Result<void> DeadLetters::sync() {
  if (path_.empty()) return {};
  Result<void> synced = sync_file();
  if (synced) synced = sync_names();
  return synced;
}

Result<void> DeadLetters::sync_file() {
  if (!unsynced_) return {};
  unsynced_ = false;
  if (!fd_) {
    if (auto opened = open(); !opened) return opened;
  }
  if (::fdatasync(fd_.get()) == 0) return {};
  const int error_number = errno;
  fd_.reset();
  return error("fdatasync", error_number);
}

// The file in its folder, and the folder, which may be new, in its own.
Result<void> DeadLetters::sync_names() {
  if (!unsynced_names_) return {};
  unsynced_names_ = false;
  const std::filesystem::path folder = std::filesystem::absolute(path_).parent_path();
  for (const std::filesystem::path& place : {folder, folder.parent_path()}) {
    const UniqueFd fd(::open(place.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) return error("fsync the directory", errno);
  }
  return {};
}

Result<void> DeadLetters::write(std::string_view line) {
  std::size_t written = 0;
  while (written < line.size()) {
    const ssize_t count = ::write(fd_.get(), line.data() + written, line.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      const int error_number = count < 0 ? errno : EIO;
      // Half a letter is none: whoever reads the file wants whole lines.
      if (written > 0 && ::ftruncate(fd_.get(), static_cast<off_t>(size_bytes_)) != 0) size_bytes_ += written;
      fd_.reset();
      return error("write", error_number);
    }
    written += static_cast<std::size_t>(count);
  }
  size_bytes_ += line.size();
  unsynced_ = true;
  return {};
}

std::string file_name_of(std::string_view sink) {
  std::string name;
  for (const char byte : sink) {
    const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                       (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' ||
                       (byte == '.' && !name.empty());
    if (plain) {
      name += byte;
      continue;
    }
    std::array<char, 4> hex{};
    std::snprintf(hex.data(), hex.size(), "%%%02X", static_cast<unsigned>(static_cast<unsigned char>(byte)));
    name += hex.data();
  }
  if (name.size() <= kMaxNameBytes) return name;
  std::uint64_t hash = 0xcbf2'9ce4'8422'2325;  // FNV-1a: what is cut away still tells names apart
  for (const char byte : sink) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100'0000'01b3;
  name.resize(kMaxNameBytes);
  append_line(name, kHex64Length + kTextSlack, [hash](char* at) { return write_hex64(at, hash); });
  return name;
}

}  // namespace natsession
