// CloudCredentials: the keys with which requests to a cloud are signed: from a file, the environment, or the
// role of the machine, which its metadata service gives for some hours at a time.
// Threads: one at a time.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "sink/cloud/signed_request.h"
#include "sink/sink_kind.h"

namespace natsession {

// How a cloud's machines learn the keys of their role, by HTTP at an address of the machine's own network.
struct RoleService {
  std::string_view origin;
  std::string_view path;  // if `listed`: of the list of roles, and with the role's name behind it of the keys
  bool listed;
  std::string_view session_path;   // PUT: a token that the others are asked with; empty: there is none
  std::string_view session_ttl;    // the header's name with which its life is asked for
  std::string_view session_token;  // the header's name with which it is shown
  std::string_view within;         // the member that the keys stand in; empty: at the top
  std::string_view id;             // names of members
  std::string_view secret;
  std::string_view token;
  std::string_view expire;
};

// What a URL says of it. One of the first three groups is given.
struct CloudKeySettings {
  std::string credentials_file;  // one line, ID:SECRET or ID:SECRET:TOKEN
  std::string id_env;            // variables of the environment
  std::string secret_env;
  std::string token_env;  // of these may be absent
  std::string role;       // its name, or auto: the one that the machine has
  std::string metadata;   // in place of the service's origin: http://HOST:PORT

  // Errors: kUsage, naming the URL and what is missing or too much.
  [[nodiscard]] Result<void> check(const SinkUrl& url) const;
};

[[nodiscard]] std::span<const Option<CloudKeySettings>> cloud_key_options();

class CloudCredentials {
 public:
  // `service` and `clock` outlive the object. Nothing is read or asked yet.
  CloudCredentials(CloudKeySettings settings, const RoleService& service, const Clock& clock)
      : settings_(std::move(settings)), service_(service), clock_(clock) {}

  // What to sign with now: of a role asked for anew two minutes before the keys expire; where that fails the
  // old ones serve until they do.
  // Errors: kUsage, kPermission: there are none, or they cannot be read; kUnavailable: the metadata service
  //         does not answer. The keys of a file or the environment that were read once stay.
  Result<const CloudKeys*> get();

  // Reads or asks for them anew, whatever is known of them. Returns whether they are others.
  // Errors: as get(); the old ones stay.
  Result<bool> renew();

 private:
  [[nodiscard]] Result<CloudKeys> read() const;
  [[nodiscard]] Result<CloudKeys> ask() const;

  const CloudKeySettings settings_;
  const RoleService& service_;
  const Clock& clock_;
  std::optional<CloudKeys> keys_;
  std::optional<std::chrono::nanoseconds> tried_at_;  // steady: the last try to renew that failed
};

// ID:SECRET or ID:SECRET:TOKEN, on one line; nothing: it is neither.
[[nodiscard]] std::optional<CloudKeys> read_cloud_keys(std::string_view line);

}  // namespace natsession
