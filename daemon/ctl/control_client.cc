#include "control_client.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include <curl/curl.h>
#include <grp.h>

#include "base/unique_fd.h"
#include "control/status_json.h"

namespace natsession::ctl {
namespace {

constexpr long kConnectLimitSeconds = 5;
constexpr long kSilenceLimitSeconds = 30;

using Curl = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;

std::string escaped(CURL* curl, std::string_view text) {
  if (text.empty()) return {};
  char* const memory = curl_easy_escape(curl, text.data(), static_cast<int>(text.size()));
  const std::unique_ptr<char, decltype(&curl_free)> owned(memory, &curl_free);
  return memory == nullptr ? std::string() : memory;
}

std::string url_of(CURL* curl, std::string_view path, const QueryArguments& arguments) {
  std::string text = "http://localhost" + std::string(path);
  char separator = '?';
  for (const auto& [name, value] : arguments) {
    text += separator + escaped(curl, name) + "=" + escaped(curl, value);
    separator = '&';
  }
  return text;
}

std::size_t take_body(const char* data, std::size_t one, std::size_t size, void* body) {
  static_cast<std::string*>(body)->append(data, one * size);
  return one * size;
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

ErrorKind kind_of(long status) {
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
  // A path that is cut would be another socket's.
  if (path_.size() >= sizeof(sockaddr_un::sun_path)) return why_no_answer("");
  static const bool kStarted = curl_global_init(CURL_GLOBAL_NOTHING) == CURLE_OK;
  const Curl curl(kStarted ? curl_easy_init() : nullptr, &curl_easy_cleanup);
  if (curl == nullptr) return Error{ErrorKind::kUnavailable, "libcurl cannot be started"};
  const auto set = [&](CURLoption option, auto value) { curl_easy_setopt(curl.get(), option, value); };
  std::string body;
  set(CURLOPT_URL, url_of(curl.get(), path, arguments).c_str());
  set(CURLOPT_UNIX_SOCKET_PATH, path_.c_str());
  set(CURLOPT_PROXY, "");
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_CONNECTTIMEOUT, kConnectLimitSeconds);
  // An answer may be long; what it must not do is to pause for so long.
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, kSilenceLimitSeconds);
  if (method == Method::kPost) {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDS, "");
  }
  set(CURLOPT_WRITEFUNCTION, &take_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(&body));
  const CURLcode code = curl_easy_perform(curl.get());
  if (code != CURLE_OK) return why_no_answer(curl_easy_strerror(code));
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status == 200) return body;
  std::string message = read_error_json(body);
  if (message.empty()) message = "the daemon answers with HTTP status " + std::to_string(status);
  return Error{kind_of(status), std::move(message)};
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
