// Console: answers the console's requests: its pages, logins, and the API for whoever may ask.
// Threads: any, several at once.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "access/logins.h"
#include "access/request_guard.h"
#include "access/role.h"
#include "access/user_file.h"
#include "api/api.h"
#include "audit/audit_log.h"
#include "base/guarded.h"
#include "http/http_message.h"

namespace natsession::console {

struct ConsoleSettings {
  bool tls = false;
  bool require_reason = false;
  std::string group;  // whose members may ask without a password, from this machine
  std::vector<Box> boxes;
  std::string version;
};

class Console {
 public:
  // `logins`: null where nobody needs a password. All outlive it.
  Console(ConsoleSettings settings, RequestGuard guard, Logins* logins, Api& api, AuditLog& audit)
      : settings_(std::move(settings)), guard_(std::move(guard)), logins_(logins), api_(api), audit_(audit) {}

  [[nodiscard]] HttpAnswer answer(const HttpServerRequest& request);
  // Of a request's body, by its head: nobody's who may not ask.
  [[nodiscard]] std::size_t body_allowed(const HttpServerRequest& head);

 private:
  HttpAnswer answer_api(const HttpServerRequest& request, std::string_view path);
  HttpAnswer log_in(const HttpServerRequest& request);
  HttpAnswer log_out(const HttpServerRequest& request);
  [[nodiscard]] HttpAnswer tell_me(const std::optional<Caller>& caller) const;
  // Who is not let in: the user of this machine, where that is known, and why.
  struct Stranger {
    std::string name, why;
  };
  [[nodiscard]] std::optional<Caller> caller_of(const HttpServerRequest& request, Stranger& stranger);
  // Writes it down, but not more often than each minute of a user: anybody could fill the disk so.
  void note_refused(const HttpServerRequest& request, std::string_view path, const Stranger& stranger);
  [[nodiscard]] std::string token_of(const HttpServerRequest& request) const;
  [[nodiscard]] std::string cookie(const std::string& token, bool ends) const;

  const ConsoleSettings settings_;
  const RequestGuard guard_;
  Logins* const logins_;
  Api& api_;
  AuditLog& audit_;
  Guarded<std::map<std::string, std::chrono::steady_clock::time_point>> refused_;  // when it was written
};

}  // namespace natsession::console
