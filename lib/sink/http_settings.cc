#include "sink/http_settings.h"

#include <algorithm>
#include <array>

#include "sink/endpoint.h"
#include "sink/option_value.h"

namespace natsession {
namespace {

constexpr std::array kTable{
    SinkOption{"compress", "gzip|none", "how the body is sent; default gzip"},
    SinkOption{"headers_file", "FILE",
               "send the headers in FILE, lines of 'Name: value'; read anew on SIGHUP"},
    SinkOption{"credentials_file", "FILE", "basic authentication with the line USER:PASSWORD in FILE"},
    SinkOption{"user_env", "NAME", "likewise: the user's name is in the environment variable NAME"},
    SinkOption{"password_env", "NAME", "and the password in this one"},
    SinkOption{"token_env", "NAME", "a bearer token, in the environment variable NAME"},
    SinkOption{"timeout", "TIME", "from connecting to the end of the answer, 100ms to 5m; default 30s"},
};
constexpr std::array<std::string_view, 2> kCompressions{"gzip", "none"};

// What stands between // and the first / behind it.
std::string_view authority_of(std::string_view target) {
  if (!target.starts_with("//")) return {};
  target.remove_prefix(2);
  return target.substr(0, target.find('/'));
}

bool is_url_byte(char byte) {
  return byte > ' ' && byte < '\x7f' && byte != '#' && byte != '"' && byte != '\\';
}

}  // namespace

std::span<const SinkOption> http_option_table() {
  return kTable;
}

Result<void> HttpSettings::screen(const SinkUrl& url) {
  for (const SinkUrl::Option& option : url.options) {
    if (is_secret_key(option.key))
      return url.wrong("the option " + option.key + " " + std::string(kWhyNoSecrets));
  }
  return {};
}

Result<HttpSettings> HttpSettings::parse(const SinkUrl& url) {
  HttpSettings settings;
  SinkUrl place = url;
  place.target = "//" + std::string(authority_of(url.target));
  if (const auto endpoint = Endpoint::parse(place, 80); !endpoint) return endpoint.error();
  if (!std::all_of(url.target.begin(), url.target.end(), is_url_byte)) {
    return url.wrong("the path has a byte that no URL has: write a space as %2520, a # as %2523");
  }
  settings.url = url.scheme + ":" + url.target;
  auto tls = TlsSettings::parse(url);
  if (!tls) return tls.error();
  settings.tls = std::move(*tls);
  for (const SinkUrl::Option& option : url.options) {
    std::string* text = nullptr;
    if (option.key == "headers_file") text = &settings.headers_file;
    if (option.key == "credentials_file") text = &settings.credentials_file;
    if (option.key == "token_env") text = &settings.token_env;
    if (option.key == "user_env") text = &settings.user_env;
    if (option.key == "password_env") text = &settings.password_env;
    if (text != nullptr) {
      auto value = option_text(url, option, option.key.ends_with("_env") ? "a variable's name" : "a file");
      if (!value) return value.error();
      *text = std::move(*value);
    } else if (option.key == "compress") {
      const auto number = option_word(url, option, kCompressions);
      if (!number) return number.error();
      settings.compress = *number == 0 ? Compression::kGzip : Compression::kNone;
    } else if (option.key == "timeout") {
      const auto time = option_time(url, option, std::chrono::milliseconds(100), std::chrono::minutes(5));
      if (!time) return time.error();
      settings.timeout = *time;
    } else if (option.key == "format" && option.value != "json") {
      return url.wrong(option, "'" + option.value + "': what is posted is lines of json");
    }
  }
  if (settings.user_env.empty() != settings.password_env.empty()) {
    return url.wrong("user_env and password_env belong together");
  }
  const int ways = (settings.credentials_file.empty() ? 0 : 1) + (settings.token_env.empty() ? 0 : 1) +
                   (settings.user_env.empty() ? 0 : 1);
  if (ways > 1) return url.wrong("credentials_file, token_env and user_env exclude one another");
  return settings;
}

}  // namespace natsession
