// The only file that includes the HTTP library: it takes its time to compile.
#include "control_client.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include <grp.h>
#include <httplib.h>

#include "base/unique_fd.h"
#include "control/status_json.h"

namespace natsession::ctl {
namespace {

constexpr std::chrono::seconds kConnectLimit{5};
constexpr std::chrono::seconds kAnswerLimit{30};

std::string escaped(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                       (byte >= 'A' && byte <= 'Z') || byte == '-' || byte == '.' || byte == '_' ||
                       byte == '~';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

std::string target(std::string_view path, const QueryArguments& arguments) {
  std::string text(path);
  char separator = '?';
  for (const auto& [name, value] : arguments) {
    text += separator;
    text += escaped(name) + "=" + escaped(value);
    separator = '&';
  }
  return text;
}

std::string group_of(const std::string& path) {
  struct stat there {};
  if (::stat(path.c_str(), &there) != 0) return {};
  const group* const entry = ::getgrgid(there.st_gid);
  return entry == nullptr ? std::to_string(there.st_gid) : entry->gr_name;
}

// errno of a connect() to `path`; 0 when somebody is there.
int try_connect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.data(), path.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return errno;
  const auto* const generic =
      reinterpret_cast<const sockaddr*>(&address);  // NOLINT: the socket API's own cast
  return ::connect(fd.get(), generic, sizeof address) == 0 || errno == EAGAIN ? 0 : errno;
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
  return ask(Method::kGet, path, arguments);
}

Result<std::string> ControlClient::post(std::string_view path, const QueryArguments& arguments) const {
  return ask(Method::kPost, path, arguments);
}

Result<std::string> ControlClient::ask(Method method, std::string_view path,
                                       const QueryArguments& arguments) const {
  // Without the limit that the library checks late: a path that is cut would be another socket's.
  if (path_.size() >= sizeof(sockaddr_un::sun_path)) return why_no_answer("");
  httplib::ClientImpl http(path_, 80);
  http.set_address_family(AF_UNIX);
  http.set_connection_timeout(kConnectLimit);
  http.set_read_timeout(kAnswerLimit);
  http.set_write_timeout(kAnswerLimit);
  http.set_default_headers({{"Host", "localhost"}});
  const std::string text = target(path, arguments);
  const httplib::Result answer =
      method == Method::kGet ? http.Get(text) : http.Post(text, std::string(), "application/octet-stream");
  if (!answer) return why_no_answer(httplib::to_string(answer.error()));
  if (answer->status == 200) return std::move(answer->body);
  std::string message = read_error_json(answer->body);
  if (message.empty()) message = "the daemon answers with HTTP status " + std::to_string(answer->status);
  return Error{kind_of(answer->status), std::move(message)};
}

Error ControlClient::why_no_answer(const std::string& reason) const {
  const std::string where = "control socket " + path_ + ": ";
  const int error = try_connect(path_);
  switch (error) {
    case 0:
      return {ErrorKind::kIo, where + "the daemon does not answer: " + reason};
    case ENOENT:
    case ECONNREFUSED:
      return {ErrorKind::kUnavailable, where + (error == ENOENT ? "it is not there" : "nobody listens") +
                                           ": natsessiond does not run, or has another socket; start it "
                                           "(systemctl start natsessiond), or give the "
                                           "--control PATH that it was started with"};
    case EACCES:
    case EPERM: {
      const std::string group = group_of(path_);
      return {ErrorKind::kPermission,
              where + "permission denied: it is for root" +
                  (group.empty() || group == "root" ? "" : " and members of the group " + group)};
    }
    case ENAMETOOLONG:
      return {ErrorKind::kUsage, where + "the path is longer than a socket's can be"};
    default:
      return {ErrorKind::kUnavailable,
              where + std::strerror(error)};  // NOLINT(concurrency-mt-unsafe): one thread
  }
}

}  // namespace natsession::ctl
