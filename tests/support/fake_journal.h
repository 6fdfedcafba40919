// A journald that only listens: takes entries in the native protocol and shows their fields.
#pragma once

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "support/temp_dir.h"

namespace natsession::testing {

class FakeJournal {
 public:
  using Entry = std::map<std::string, std::string>;

  FakeJournal() { listen(); }

  [[nodiscard]] std::string socket_path() const { return directory_.file("socket"); }
  void listen() {
    socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socket_path().c_str(), sizeof(address.sun_path) - 1);
    ::unlink(address.sun_path);
    if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      throw std::runtime_error("cannot bind " + socket_path());
    }
  }
  // Leaves a socket file behind that nobody listens on, as a journald that crashed does.
  void crash() { socket_.reset(); }
  void remove() {
    crash();
    ::unlink(socket_path().c_str());
  }

  // Takes at most `limit` of the entries that wait.
  std::vector<Entry> receive(std::size_t limit = SIZE_MAX) {
    std::vector<Entry> entries;
    while (entries.size() < limit) {
      const auto bytes = receive_one();
      if (!bytes) break;
      entries.push_back(parse(*bytes));
    }
    return entries;
  }

  // How many came as files, and whether all of those were sealed as they must be.
  [[nodiscard]] int files() const { return files_; }
  [[nodiscard]] bool all_sealed() const { return all_sealed_; }

  static Entry parse(std::string_view bytes) {
    Entry entry;
    while (!bytes.empty()) {
      const std::size_t line_end = bytes.find('\n');
      if (line_end == std::string_view::npos) throw std::runtime_error("a field without an end");
      const std::string_view line = bytes.substr(0, line_end);
      const std::size_t equals = line.find('=');
      bytes.remove_prefix(line_end + 1);
      if (equals != std::string_view::npos) {
        put(entry, line.substr(0, equals), line.substr(equals + 1));
        continue;
      }
      std::uint64_t length = 0;
      if (bytes.size() < sizeof(length)) throw std::runtime_error("a length that is cut off");
      for (std::size_t i = 0; i < sizeof(length); ++i) {
        length |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
      }
      bytes.remove_prefix(sizeof(length));
      if (bytes.size() < length + 1 || bytes[length] != '\n')
        throw std::runtime_error("a binary field without an end");
      put(entry, line, bytes.substr(0, length));
      bytes.remove_prefix(length + 1);
    }
    return entry;
  }

 private:
  static void put(Entry& entry, std::string_view name, std::string_view value) {
    if (name.empty() ||
        name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != std::string_view::npos) {
      throw std::runtime_error("not a field's name: " + std::string(name));
    }
    if (!entry.emplace(name, value).second) throw std::runtime_error("a field twice: " + std::string(name));
  }

  std::optional<std::string> receive_one() {
    std::string bytes(1 << 20, '\0');
    iovec part{bytes.data(), bytes.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t count = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    if (count < 0) return std::nullopt;
    bytes.resize(static_cast<std::size_t>(count));
    const cmsghdr* const header = CMSG_FIRSTHDR(&message);
    if (header == nullptr) return bytes;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    return read_sealed(UniqueFd(fd));
  }

  std::string read_sealed(const UniqueFd& file) {
    constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    ++files_;
    all_sealed_ = all_sealed_ && fcntl(file.get(), F_GET_SEALS) == kSeals;
    struct stat status {};
    fstat(file.get(), &status);
    std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
    if (pread(file.get(), bytes.data(), bytes.size(), 0) != status.st_size)
      throw std::runtime_error("cannot read it");
    return bytes;
  }

  TempDir directory_;
  UniqueFd socket_;
  int files_ = 0;
  bool all_sealed_ = true;
};

}  // namespace natsession::testing
