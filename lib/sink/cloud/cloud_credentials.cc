#include "sink/cloud/cloud_credentials.h"

#include "sink/encoding/json_value.h"
#include "sink/http/http_client.h"

namespace natsession {
namespace {

constexpr std::chrono::milliseconds kMetadataTimeout{2000};
constexpr std::chrono::minutes kBeforeExpiry{2};
constexpr std::chrono::seconds kBetweenTries{10};

// One metadata service, asked over one connection.
class Metadata {
 public:
  // Errors: as HttpClient::create().
  static Result<Metadata> open(const RoleService& service, const std::string& origin) {
    Metadata metadata(service, origin.empty() ? std::string(service.origin) : origin);
    HttpSettings settings;
    settings.origin = settings.url = metadata.origin_;
    settings.timeout = kMetadataTimeout;
    auto client = HttpClient::create(settings, {});
    if (!client) return client.error();
    metadata.client_ = std::move(*client);
    return metadata;
  }

  // Where the machine asks for it, as the clouds' hardened modes do; elsewhere there is no such path.
  // Errors: kUnavailable: no whole answer.
  Result<void> begin_session() {
    if (service_->session_path.empty()) return {};
    HttpRequest request;
    request.method = HttpRequest::Method::kPut;
    request.url = origin_ + std::string(service_->session_path);
    request.headers = {std::string(service_->session_ttl) + ": 21600"};
    const HttpReply reply = client_->send(request);
    if (reply.status == 0) return Error{ErrorKind::kUnavailable, reply.told(operation(request.url))};
    const std::string_view token = trimmed(std::string_view(reply.body).substr(0, reply.body.find('\n')));
    if (reply.status == 200 && !token.empty() && !has_control(token))
      session_ = std::string(service_->session_token) + ": " + std::string(token);
    return {};
  }

  // Errors: kUnavailable: no whole answer; kPermission: an answer that says no.
  Result<std::string> get(const std::string& path) {
    HttpRequest request;
    request.method = HttpRequest::Method::kGet;
    request.url = origin_ + path;
    if (!session_.empty()) request.headers = {session_};
    HttpReply reply = client_->send(request);
    if (reply.status == 200) return std::move(reply.body);
    const bool refused = reply.status >= 400 && reply.status < 500;
    // What it says is not shown: it may be a secret.
    reply.body.clear();
    return Error{refused ? ErrorKind::kPermission : ErrorKind::kUnavailable,
                 reply.told(operation(request.url))};
  }

 private:
  static std::string operation(const std::string& url) {
    return "ask the metadata service at " + url + " for the machine's role";
  }
  Metadata(const RoleService& service, std::string origin) : service_(&service), origin_(std::move(origin)) {}

  const RoleService* service_;
  std::string origin_;
  std::string session_;  // the header
  std::unique_ptr<HttpClient> client_;
};

bool is_role_name(std::string_view name) {
  return !name.empty() && name.size() <= 128 && name.find_first_of("/?#% \t\r\n") == std::string_view::npos &&
         !has_control(name);
}

}  // namespace

std::span<const Option<CloudKeySettings>> cloud_key_options() {
  static const Option<CloudKeySettings> kTable[] = {
      {"credentials_file", "FILE",
       "the keys: the line ID:SECRET in FILE, or ID:SECRET:TOKEN of temporary ones; read anew on SIGHUP and "
       "when they are refused",
       text_option(&CloudKeySettings::credentials_file, "a file")},
      {"id_env", "NAME", "likewise: the key's id is in the environment variable NAME",
       text_option(&CloudKeySettings::id_env, "a variable's name")},
      {"secret_env", "NAME", "and its secret in this one",
       text_option(&CloudKeySettings::secret_env, "a variable's name")},
      {"token_env", "NAME", "and the token of temporary keys in this one",
       text_option(&CloudKeySettings::token_env, "a variable's name")},
      {"role", "NAME|auto", "the keys of the machine's role, which its metadata service gives and renews",
       text_option(&CloudKeySettings::role, "a role's name, or auto")},
      {"metadata", "URL", "where that service is, if not where the cloud has it",
       text_option(&CloudKeySettings::metadata, "http://HOST:PORT")},
  };
  return kTable;
}

Result<void> CloudKeySettings::check(const SinkUrl& url) const {
  if (id_env.empty() != secret_env.empty()) return url.wrong("id_env and secret_env belong together");
  if (!token_env.empty() && id_env.empty()) return url.wrong("token_env needs id_env and secret_env");
  const int ways = (credentials_file.empty() ? 0 : 1) + (id_env.empty() ? 0 : 1) + (role.empty() ? 0 : 1);
  if (ways > 1) return url.wrong("credentials_file, id_env and role exclude one another");
  if (ways == 0) {
    return url.wrong(
        "nothing says who signs: give credentials_file=FILE, id_env=NAME&secret_env=NAME or role=auto");
  }
  if (!role.empty() && !is_role_name(role)) return url.wrong("role: '" + role + "' is no role's name");
  if (!metadata.empty() && (role.empty() || !metadata.starts_with("http://")))
    return url.wrong("metadata: with role, and http://HOST:PORT");
  return {};
}

std::optional<CloudKeys> read_cloud_keys(std::string_view line) {
  line = trimmed(line);
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0 || has_control(line)) return std::nullopt;
  CloudKeys keys;
  keys.id = line.substr(0, colon);
  const std::string_view rest = line.substr(colon + 1);
  const std::size_t next = rest.find(':');
  keys.secret = rest.substr(0, next);
  if (next != std::string_view::npos) keys.token = rest.substr(next + 1);
  if (keys.secret.empty()) return std::nullopt;
  return keys;
}

Result<CloudKeys> CloudCredentials::read() const {
  if (!settings_.role.empty()) return ask();
  if (!settings_.credentials_file.empty()) {
    const auto text = read_secret_file(settings_.credentials_file);
    if (!text) return text.error();
    auto keys = read_cloud_keys(std::string_view(*text).substr(0, text->find('\n')));
    if (!keys)
      return usage_error(settings_.credentials_file + ":1: no keys: write ID:SECRET or ID:SECRET:TOKEN");
    return std::move(*keys);
  }
  CloudKeys keys;
  const auto take = [](const std::string& name, std::string& value) -> Result<void> {
    if (name.empty()) return {};
    auto text = read_secret_variable(name);
    if (!text) return text.error();
    value = std::move(*text);
    return {};
  };
  if (auto taken = take(settings_.id_env, keys.id); !taken) return taken.error();
  if (auto taken = take(settings_.secret_env, keys.secret); !taken) return taken.error();
  if (auto taken = take(settings_.token_env, keys.token); !taken) return taken.error();
  return keys;
}

Result<CloudKeys> CloudCredentials::ask() const {
  auto metadata = Metadata::open(service_, settings_.metadata);
  if (!metadata) return metadata.error();
  if (auto begun = metadata->begin_session(); !begun) return begun.error();
  std::string path(service_.path);
  if (service_.listed) {
    std::string role = settings_.role;
    if (role == "auto") {
      const auto roles = metadata->get(path);
      if (!roles) return roles.error();
      role = trimmed(std::string_view(*roles).substr(0, roles->find('\n')));
      if (!is_role_name(role))
        return Error{ErrorKind::kPermission, "the metadata service names no role: the machine has none"};
    }
    path += role;
  }
  const auto answer = metadata->get(path);
  if (!answer) return answer.error();
  const auto member = [&](std::string_view name) {
    auto text =
        service_.within.empty() ? json_text(*answer, {name}) : json_text(*answer, {service_.within, name});
    return text && !has_control(*text) ? std::move(*text) : std::string();
  };
  CloudKeys keys{member(service_.id), member(service_.secret), member(service_.token),
                 read_cloud_time(member(service_.expire))};
  if (keys.id.empty() || keys.secret.empty() || keys.token.empty())
    return Error{ErrorKind::kUnavailable, "the metadata service's answer has no keys"};
  return keys;
}

Result<const CloudKeys*> CloudCredentials::get() {
  const bool aged = keys_ && keys_->expire && clock_.now() >= *keys_->expire - kBeforeExpiry;
  if (keys_ && !aged) return &*keys_;
  const auto now = clock_.steady();
  const bool expired = !keys_ || clock_.now() >= *keys_->expire;
  if (!expired && tried_at_ && now - *tried_at_ < kBetweenTries) return &*keys_;
  if (auto renewed = renew(); !renewed && expired) return renewed.error();
  return &*keys_;
}

Result<bool> CloudCredentials::renew() {
  auto keys = read();
  if (!keys) {
    tried_at_ = clock_.steady();
    return keys.error();
  }
  tried_at_.reset();
  const bool others = !keys_ || *keys_ != *keys;
  keys_ = std::move(*keys);
  return others;
}

}  // namespace natsession
