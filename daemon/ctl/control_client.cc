#include "control_client.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include <fmt/format.h>
#include <grp.h>
#include <strings.h>

#include "base/unique_fd.h"
#include "control/status_json.h"

namespace natsession::ctl {
namespace {

constexpr timeval kConnectLimit{.tv_sec = 5, .tv_usec = 0};
// An answer may be long; what it must not do is to pause for so long.
constexpr timeval kSilenceLimit{.tv_sec = 30, .tv_usec = 0};

// RFC 3986, 2.1.
std::string escaped(std::string_view text) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char byte : text) {
    const auto value = static_cast<unsigned char>(byte);
    if (kPlain.find(byte) != std::string_view::npos) {
      out += byte;
    } else {
      out += {'%', kHex[value >> 4U], kHex[value & 15U]};
    }
  }
  return out;
}

std::string request_for(std::string_view method, std::string_view path, const QueryArguments& arguments) {
  std::string text = std::string(method) + ' ' + std::string(path);
  char separator = '?';
  for (const auto& [name, value] : arguments) {
    text += separator + escaped(name) + '=' + escaped(value);
    separator = '&';
  }
  return text + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
}

// Returns errno, or 0 and `fd`.
int connect_to(const std::string& path, UniqueFd& fd) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // A path that is cut would be another socket's.
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.data(), path.size());
  fd.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kConnectLimit, sizeof kConnectLimit) != 0 ||
      ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kSilenceLimit, sizeof kSilenceLimit) != 0)
    return errno;
  const auto* const generic =
      reinterpret_cast<const sockaddr*>(&address);  // NOLINT: the socket API's own cast
  return ::connect(fd.get(), generic, sizeof address) == 0 ? 0 : errno;
}

// Appends to `answer` what comes until the other end closes. Returns errno, or 0.
int exchange(int fd, std::string_view request, std::string& answer) {
  while (!request.empty()) {
    const ssize_t sent = ::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EINTR) return errno;
    if (sent > 0) request.remove_prefix(static_cast<std::size_t>(sent));
  }
  std::array<char, 65536> part;
  while (true) {
    const ssize_t count = ::recv(fd, part.data(), part.size(), 0);
    if (count == 0) return 0;
    if (count < 0 && errno != EINTR) return errno;
    if (count > 0) answer.append(part.data(), static_cast<std::size_t>(count));
  }
}

struct Answer {
  int status = 0;
  std::string_view body;
};

// None: it is no whole answer. The daemon's always tell how long they are.
std::optional<Answer> read_answer(std::string_view text) {
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  constexpr std::string_view kEndOfLine = "\r\n";
  constexpr std::string_view kLength = "content-length: ";
  const std::size_t end = text.find("\r\n\r\n");
  if (!text.starts_with(kVersion) || end == std::string_view::npos) return std::nullopt;
  Answer answer{.status = 0, .body = text.substr(end + 4)};
  const auto number_at = [&](std::size_t place, auto& number) {
    const char* const stop = text.data() + end;
    return std::from_chars(text.data() + place, stop, number).ec == std::errc();
  };
  if (!number_at(kVersion.size(), answer.status)) return std::nullopt;
  std::size_t length = std::string_view::npos;
  for (std::size_t line = text.find(kEndOfLine); line < end; line = text.find(kEndOfLine, line + 2)) {
    const std::string_view header = text.substr(line + 2, kLength.size());
    if (::strncasecmp(header.data(), kLength.data(), header.size()) == 0)
      number_at(line + 2 + kLength.size(), length);
  }
  if (length != answer.body.size()) return std::nullopt;
  return answer;
}

std::string group_of(const std::string& path) {
  struct stat there {};
  if (::stat(path.c_str(), &there) != 0) return {};
  const group* const entry = ::getgrgid(there.st_gid);
  return entry == nullptr ? std::to_string(there.st_gid) : entry->gr_name;
}

ErrorKind kind_of(int status) {
  switch (status) {
    case 400:
    case 404:
    case 405:
      return ErrorKind::kUsage;
    case 403:
      return ErrorKind::kPermission;
    case 503:
      return ErrorKind::kUnavailable;
    default:
      return ErrorKind::kIo;
  }
}

}  // namespace

Result<std::string> ControlClient::get(std::string_view path, const QueryArguments& arguments) const {
  return ask("GET", path, arguments);
}

Result<std::string> ControlClient::post(std::string_view path, const QueryArguments& arguments) const {
  return ask("POST", path, arguments);
}

Result<std::string> ControlClient::ask(std::string_view method, std::string_view path,
                                       const QueryArguments& arguments) const {
  const auto silent = [this](std::string_view cause) {
    return Error{ErrorKind::kIo, fmt::format("{}: the daemon does not answer: {}", where(), cause)};
  };
  UniqueFd fd;
  int error = connect_to(path_, fd);
  if (error != 0 && error != EAGAIN) return not_there(error);
  std::string text;
  if (error == 0) error = exchange(fd.get(), request_for(method, path, arguments), text);
  if (error == EAGAIN) return silent("it is waited for no longer");
  if (error != 0) return silent(std::strerror(error));  // NOLINT(concurrency-mt-unsafe): one thread
  const auto answer = read_answer(text);
  if (!answer) return silent("what comes is no whole answer");
  if (answer->status == 200) return std::string(answer->body);
  std::string message = read_error_json(answer->body);
  if (message.empty()) message = "the daemon answers with HTTP status " + std::to_string(answer->status);
  return Error{kind_of(answer->status), std::move(message)};
}

std::string ControlClient::where() const {
  return "control socket " + path_;
}

Error ControlClient::not_there(int error) const {
  switch (error) {
    case ENOENT:
    case ECONNREFUSED:
      return {ErrorKind::kUnavailable, where() +
                                           (error == ENOENT ? ": it is not there" : ": nobody listens") +
                                           ": natsessiond does not run, or has another socket; start it "
                                           "(systemctl start natsessiond), or give the "
                                           "--control PATH that it was started with"};
    case EACCES:
    case EPERM: {
      const std::string group = group_of(path_);
      return {ErrorKind::kPermission,
              where() + ": permission denied: it is for root" +
                  (group.empty() || group == "root" ? "" : " and members of the group " + group)};
    }
    case ENAMETOOLONG:
      return {ErrorKind::kUsage, where() + ": the path is longer than a socket's can be"};
    default:
      return {ErrorKind::kUnavailable,
              where() + ": " + std::strerror(error)};  // NOLINT(concurrency-mt-unsafe): one thread
  }
}

}  // namespace natsession::ctl
