#include "sink/http/http_settings.h"

#include <algorithm>
#include <cstdlib>

#include <fcntl.h>
#include <strings.h>
#include <unistd.h>

#include "base/files.h"
#include "sink/sink_url.h"

namespace natsession {
namespace {

// What stands between // and the first / behind it.
std::string_view authority_of(std::string_view target) {
  if (!target.starts_with("//")) return {};
  target.remove_prefix(2);
  return target.substr(0, target.find('/'));
}

bool is_url_byte(char byte) {
  return byte > ' ' && byte < '\x7f' && byte != '#' && byte != '"' && byte != '\\';
}

constexpr ByteCount kMaxFile{64 << 10};

bool is_control(char byte) {
  const auto value = static_cast<unsigned char>(byte);
  return (value < ' ' && byte != '\t') || byte == '\x7f';
}

// RFC 9110, 5.6.2.
bool is_token(std::string_view text) {
  static constexpr std::string_view kBeside = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           kBeside.find(byte) != std::string_view::npos;
  });
}

Result<std::vector<std::string>> read_headers(const std::string& path) {
  const auto text = read_secret_file(path);
  if (!text) return text.error();
  std::vector<std::string> headers;
  std::string_view rest = *text;
  for (int number = 1; !rest.empty(); ++number) {
    const std::string_view line = trimmed(rest.substr(0, rest.find('\n')));
    rest.remove_prefix(
        std::min(rest.size(), rest.find('\n') == std::string_view::npos ? rest.size() : rest.find('\n') + 1));
    if (line.empty() || line.starts_with('#')) continue;
    const std::size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    if (colon == std::string_view::npos || !is_token(name) || has_control(line)) {
      return Error{ErrorKind::kUsage,
                   path + ":" + std::to_string(number) + ": not a header: write Name: value"};
    }
    headers.push_back(std::string(name) + ": " + std::string(trimmed(line.substr(colon + 1))));
  }
  return headers;
}

Result<void> read_credentials(const std::string& path, HttpSecrets& secrets) {
  const auto text = read_secret_file(path);
  if (!text) return text.error();
  const std::string_view line = trimmed(std::string_view(*text).substr(0, text->find('\n')));
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0 || has_control(line)) {
    return Error{ErrorKind::kUsage, path + ":1: not credentials: write USER:PASSWORD"};
  }
  secrets.user = line.substr(0, colon);
  secrets.password = line.substr(colon + 1);
  secrets.has_user = true;
  return {};
}

}  // namespace

Result<std::string> read_secret_file(const std::string& path) {
  auto text = read_trusted_file(path, kMaxFile, ErrorKind::kUsage, O_NONBLOCK);
  if (text && text->size() > kMaxFile.bytes)
    return usage_error("read " + path + ": it is larger than 64 KiB");
  return text;
}

Result<std::string> read_secret_variable(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  if (value == nullptr || *value == '\0') {
    return Error{ErrorKind::kUsage, "the environment variable " + name + " is not set"};
  }
  if (has_control(value)) {
    return Error{ErrorKind::kUsage, "the environment variable " + name + " has a control character"};
  }
  return std::string(value);
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(kSpace)));
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), is_control);
}

std::span<const Option<HttpSettings>> http_options() {
  static const Option<HttpSettings> kTable[] = {
      {"compress", "gzip|none", "how the body is sent",
       choice_option(&HttpSettings::compress,
                     Names<Compression>{{"gzip", Compression::kGzip}, {"none", Compression::kNone}})},
      {"headers_file", "FILE", "send the headers in FILE, lines of 'Name: value'; read anew on SIGHUP",
       text_option(&HttpSettings::headers_file, "a file")},
      {"credentials_file", "FILE", "basic authentication with the line USER:PASSWORD in FILE",
       text_option(&HttpSettings::credentials_file, "a file")},
      {"user_env", "NAME", "likewise: the user's name is in the environment variable NAME",
       text_option(&HttpSettings::user_env, "a variable's name")},
      {"password_env", "NAME", "and the password in this one",
       text_option(&HttpSettings::password_env, "a variable's name")},
      {"token_env", "NAME", "a bearer token, in the environment variable NAME",
       text_option(&HttpSettings::token_env, "a variable's name")},
      {"timeout", "TIME", "from connecting to the end of the answer",
       time_option(&HttpSettings::timeout, {std::chrono::milliseconds(100), std::chrono::minutes(5)})},
  };
  return kTable;
}

Result<HttpSettings> HttpSettings::parse(const SinkUrl& url, std::string_view protocol, std::uint16_t port) {
  HttpSettings settings;
  SinkUrl place = url;
  place.target = "//" + std::string(authority_of(url.target));
  const auto endpoint = endpoint_of(place, port);
  if (!endpoint) return endpoint.error();
  if (!std::all_of(url.target.begin(), url.target.end(), is_url_byte)) {
    return url.wrong("the path has a byte that no URL has: write a space as %2520, a # as %2523");
  }
  settings.origin = std::string(protocol) + ":" + place.target;
  // Only a sink whose port is not the protocol's has to say it.
  if (port != (protocol == "https" ? 443 : 80)) {
    settings.origin = std::string(protocol) + "://" + endpoint->to_string();
  }
  settings.url = settings.origin + url.target.substr(place.target.size());
  auto tls = TlsSettings::parse(url);
  if (!tls) return tls.error();
  settings.tls = std::move(*tls);
  if (auto read = read_options(url, http_options(), settings); !read) return read.error();
  if (settings.user_env.empty() != settings.password_env.empty()) {
    return url.wrong("user_env and password_env belong together");
  }
  const int ways = (settings.credentials_file.empty() ? 0 : 1) + (settings.token_env.empty() ? 0 : 1) +
                   (settings.user_env.empty() ? 0 : 1);
  if (ways > 1) return url.wrong("credentials_file, token_env and user_env exclude one another");
  return settings;
}

void HttpSettings::set_usual_path(const SinkUrl& sink, std::string_view path) {
  const std::size_t slash = sink.target.find('/', 2);
  if (slash == std::string::npos || slash + 1 == sink.target.size()) url = origin + std::string(path);
}

std::vector<std::string> HttpSettings::secret_files() const {
  std::vector<std::string> files = tls.secret_files();
  for (const std::string& file : {credentials_file, headers_file}) {
    if (!file.empty()) files.push_back(file);
  }
  return files;
}

bool HttpSecrets::identify() const {
  static constexpr std::string_view kName = "authorization:";
  return has_user || !token.empty() ||
         std::any_of(headers.begin(), headers.end(), [](const std::string& header) {
           return ::strncasecmp(header.c_str(), kName.data(), kName.size()) == 0;
         });
}

Result<HttpSecrets> HttpSecrets::read(const HttpSettings& settings) {
  HttpSecrets secrets;
  if (!settings.headers_file.empty()) {
    auto headers = read_headers(settings.headers_file);
    if (!headers) return headers.error();
    secrets.headers = std::move(*headers);
  }
  if (!settings.credentials_file.empty()) {
    if (auto read = read_credentials(settings.credentials_file, secrets); !read) return read.error();
  }
  if (!settings.token_env.empty()) {
    auto token = read_secret_variable(settings.token_env);
    if (!token) return token.error();
    secrets.token = std::move(*token);
  }
  if (!settings.user_env.empty()) {
    auto user = read_secret_variable(settings.user_env);
    if (!user) return user.error();
    auto password = read_secret_variable(settings.password_env);
    if (!password) return password.error();
    secrets.user = std::move(*user);
    secrets.password = std::move(*password);
    secrets.has_user = true;
  }
  return secrets;
}

}  // namespace natsession
