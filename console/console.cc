#include "console.h"

#include <algorithm>
#include <limits>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "access/local_peer.h"
#include "pages/assets.h"

namespace natsession::console {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kApi = "/api/v1";
constexpr std::string_view kCookie = "natsession_console";
// One that no page without TLS, and none of another name below the same domain, can set.
constexpr std::string_view kTlsCookie = "__Host-natsession_console";

// Paths that are states of the one page.
constexpr std::string_view kPages[] = {"/",         "/overview", "/traffic", "/trace",    "/ports",
                                       "/sessions", "/identity", "/sql",     "/flow-logs"};

std::string from_of(const HttpServerRequest& request) {
  return request.peer.empty() ? "unix" : request.peer;
}

void add_security(HttpAnswer& answer, bool tls) {
  answer.fields.emplace_back(
      "Content-Security-Policy",
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
      "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
  answer.fields.emplace_back("X-Content-Type-Options", "nosniff");
  // None for anybody else; its own pages see that they were opened from one of them (pages/state.js).
  answer.fields.emplace_back("Referrer-Policy", "same-origin");
  answer.fields.emplace_back("Cross-Origin-Opener-Policy", "same-origin");
  answer.fields.emplace_back("Cross-Origin-Resource-Policy", "same-origin");
  if (tls) answer.fields.emplace_back("Strict-Transport-Security", "max-age=31536000");
}

HttpAnswer page(const HttpServerRequest& request) {
  if (request.method != "GET" && request.method != "HEAD") {
    HttpAnswer answer = refusal(405, "usage", "pages are asked by GET");
    answer.fields.emplace_back("Allow", "GET");
    return answer;
  }
  const bool state = std::find(std::begin(kPages), std::end(kPages), request.path) != std::end(kPages);
  const std::string_view path = state ? "/index.html" : request.path;
  for (const Asset& asset : assets()) {
    if (asset.path != path) continue;
    HttpAnswer answer;
    answer.content_type = asset.type;
    answer.cache_control = "no-cache";
    answer.fields.emplace_back("ETag", asset.tag);
    if (request.field("If-None-Match") == asset.tag) {
      answer.status = 304;
    } else {
      answer.body = asset.bytes;
    }
    return answer;
  }
  return {.status = 404,
          .content_type = "text/plain; charset=utf-8",
          .body = "There is no such page; / is the first.\n"};
}

}  // namespace

std::string Console::token_of(const HttpServerRequest& request) const {
  const std::string name = std::string(settings_.tls ? kTlsCookie : kCookie) + "=";
  const std::string_view all = request.field("Cookie");
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t end = std::min(all.find(';', at), all.size());
    std::string_view one = all.substr(at, end - at);
    while (one.starts_with(' ')) one.remove_prefix(1);
    if (one.starts_with(name)) return std::string(one.substr(name.size()));
    at = end + 1;
  }
  return {};
}

std::string Console::cookie(const std::string& token, bool ends) const {
  std::string text(settings_.tls ? kTlsCookie : kCookie);
  text += "=" + token + "; Path=/; HttpOnly; SameSite=Strict";
  if (settings_.tls) text += "; Secure";
  if (ends) text += "; Max-Age=0";
  return text;
}

std::optional<Caller> Console::caller_of(const HttpServerRequest& request, Stranger& stranger) {
  if (logins_ != nullptr) {
    const std::string token = token_of(request);
    auto caller = token.empty() ? std::nullopt : logins_->find(token, Logins::Clock::now());
    if (!caller) stranger.why = "log in first: POST /api/v1/login";
    if (caller) caller->from = from_of(request);
    return caller;
  }
  const auto uid = local_peer(request.fd);
  if (!uid) {
    stranger.why = "it cannot be told which user of this machine asks";
    return std::nullopt;
  }
  const std::string name = user_name(*uid);
  if (*uid == 0 || *uid == ::geteuid()) return Caller{name, Role::kSteer, from_of(request), false};
  if (is_member(*uid, settings_.group)) return Caller{name, Role::kAsk, from_of(request), false};
  stranger = {name, "the user " + name + " is not in the group " + settings_.group +
                        ", which may ask the log; a file of users (--users) asks for passwords instead"};
  return std::nullopt;
}

void Console::note_refused(const HttpServerRequest& request, std::string_view path,
                           const Stranger& stranger) {
  constexpr std::size_t kMostRemembered = 10'000;
  const auto now = std::chrono::steady_clock::now();
  const bool due = refused_.with([&](auto& written) {
    const auto known = written.find(stranger.name);
    if (known != written.end() && now - known->second < std::chrono::minutes(1)) return false;
    if (written.size() >= kMostRemembered) written.clear();
    written[stranger.name] = now;
    return true;
  });
  if (!due) return;
  AuditEvent event;
  event.event = "refused";
  event.caller = {stranger.name, Role::kLook, from_of(request), false};
  event.known = false;
  event.what = std::string(path.substr(1, 100));
  event.outcome = stranger.why;
  static_cast<void>(audit_.write(event, to_ms(SystemClock().now())));
}

HttpAnswer Console::tell_me(const std::optional<Caller>& caller) const {
  Json answer{{"version", settings_.version},
              {"needs_login", logins_ != nullptr && !caller},
              {"require_reason", settings_.require_reason}};
  if (caller) {
    answer["user"] = caller->name;
    answer["role"] = to_string(caller->role);
    answer["logged_in"] = caller->logged_in;
    answer["boxes"] = Json::array();
    for (const Box& box : settings_.boxes) {
      answer["boxes"].push_back({{"name", box.name},
                                 {"log", !box.store.empty() ? "store" : "ledger"},
                                 {"daemon", !box.control.empty()}});
    }
  }
  return {.body = answer.dump() + "\n"};
}

HttpAnswer Console::log_in(const HttpServerRequest& request) {
  if (request.method != "POST") return refusal(405, "usage", "a login is a POST");
  if (logins_ == nullptr)
    return refusal(400, "usage", "there are no passwords here: the user of this machine counts");
  // A form of another page could not send this type.
  if (!request.field("Content-Type").starts_with("application/json"))
    return refusal(415, "usage", "a login is JSON: {\"name\": …, \"password\": …}");
  const Json body = Json::parse(request.body, nullptr, false);
  if (!body.is_object() || !body.contains("name") || !body.contains("password") ||
      !body["name"].is_string() || !body["password"].is_string())
    return refusal(400, "usage", "a login is JSON: {\"name\": …, \"password\": …}");
  AuditEvent event;
  event.caller = {body["name"].get<std::string>().substr(0, 100), Role::kLook, from_of(request), true};
  const auto token = logins_->check(body["name"], body["password"], from_of(request), Logins::Clock::now());
  event.event = token ? "login" : "login_failed";
  if (!token) event.outcome = token.error().message;
  const auto caller = token ? logins_->find(*token, Logins::Clock::now()) : std::nullopt;
  event.known = caller.has_value();
  if (caller) event.caller.role = caller->role;
  // Who is made to wait is not written down each time: anybody could fill the disk so.
  if (!token && token.error().kind == ErrorKind::kUnavailable)
    return refusal(429, "busy", token.error().message);
  if (!token && token.error().kind != ErrorKind::kPermission)
    return refusal(503, "missing", "logins cannot be checked now");
  const auto written = audit_.write(event, to_ms(SystemClock().now()));
  if (!token && written) return refusal(401, "forbidden", token.error().message);
  if (!written) {
    if (token) logins_->end(*token);
    return refusal(503, "missing",
                   "the login cannot be written to the audit log: " + written.error().message);
  }
  HttpAnswer answer = tell_me(caller);
  answer.fields.emplace_back("Set-Cookie", cookie(*token, /*ends=*/false));
  return answer;
}

HttpAnswer Console::log_out(const HttpServerRequest& request) {
  if (request.method != "POST") return refusal(405, "usage", "a logout is a POST");
  const std::string token = token_of(request);
  if (logins_ != nullptr && !token.empty()) {
    if (auto caller = logins_->find(token, Logins::Clock::now())) {
      caller->from = from_of(request);
      AuditEvent event;
      event.event = "logout";
      event.caller = *caller;
      static_cast<void>(audit_.write(event, to_ms(SystemClock().now())));
    }
    logins_->end(token);
  }
  HttpAnswer answer{.body = "{}\n"};
  answer.fields.emplace_back("Set-Cookie", cookie("", /*ends=*/true));
  return answer;
}

HttpAnswer Console::answer_api(const HttpServerRequest& request, std::string_view path) {
  if (path == "/openapi.json") {
    HttpServerRequest file;
    file.method = request.method;
    file.path = "/openapi.json";
    return page(file);
  }
  if (path == "/login") return log_in(request);
  if (path == "/logout") return log_out(request);
  Stranger stranger;
  const auto caller = caller_of(request, stranger);
  if (path == "/me" && (caller || logins_ != nullptr)) return tell_me(caller);
  if (!caller) {
    // A user of this machine cannot change who he is.
    if (logins_ != nullptr) return refusal(401, "login", stranger.why);
    note_refused(request, path, stranger);
    return refusal(403, "forbidden", stranger.why);
  }
  return api_.answer(request, path, *caller);
}

std::size_t Console::body_allowed(const HttpServerRequest& head) {
  constexpr std::size_t kSmall = 4096;  // a name and a password
  if (guard_.refuse(head, /*is_api=*/true) || !head.path.starts_with(kApi)) return kSmall;
  std::string_view other;
  const ApiRoute* const route = find_route(head.method, head.path.substr(kApi.size()), other);
  if (route == nullptr || !route->takes_body) return kSmall;
  Stranger stranger;
  const auto caller = caller_of(head, stranger);
  return caller && may_ask(caller->role, *route, head.query) ? std::numeric_limits<std::size_t>::max()
                                                             : kSmall;
}

HttpAnswer Console::answer(const HttpServerRequest& request) {
  const bool is_api = request.path == kApi || request.path.starts_with("/api/");
  const auto refused = guard_.refuse(request, is_api);
  HttpAnswer answer;
  if (refused) {
    answer = refusal(is_api ? 403 : 421, "forbidden", *refused);
  } else if (!is_api) {
    answer = page(request);
  } else if (!request.path.starts_with(std::string(kApi) + "/")) {
    answer = refusal(404, "usage", "the API is /api/v1/; /api/v1/openapi.json tells what there is");
  } else {
    answer = answer_api(request, request.path.substr(kApi.size()));
  }
  add_security(answer, settings_.tls);
  return answer;
}

}  // namespace natsession::console
