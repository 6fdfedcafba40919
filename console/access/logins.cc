#include "access/logins.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "access/password.h"

namespace natsession::console {
namespace {

constexpr std::size_t kMostRemembered = 100'000;  // addresses and names that failed

Result<std::string> random_token() {
  std::array<unsigned char, 32> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return system_error("getrandom", errno);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : bytes) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 0xfU];
  }
  return text;
}

}  // namespace

std::optional<std::chrono::seconds> Logins::to_wait(const std::string& of, Clock::time_point now) const {
  const auto found = failures_.find(of);
  if (found == failures_.end()) return std::nullopt;
  const auto allowed = found->second - limits_.interval * static_cast<int>(limits_.failures - 1);
  if (allowed <= now) return std::nullopt;
  return std::chrono::ceil<std::chrono::seconds>(allowed - now);
}

void Logins::failed(const std::string& of, Clock::time_point now) {
  if (failures_.size() >= kMostRemembered)
    std::erase_if(failures_, [now](const auto& one) { return one.second <= now; });
  if (failures_.size() >= kMostRemembered) failures_.clear();  // rather than grow
  Clock::time_point& until = failures_[of];
  until = std::max(until, now) + limits_.interval;
}

Result<std::string> Logins::check(const std::string& name, const std::string& password,
                                  const std::string& from, Clock::time_point now) {
  const std::string by_address = "from " + from;
  const std::string by_name = "as " + name.substr(0, 100);
  const std::lock_guard alone(hashing_);
  {
    const std::lock_guard lock(mutex_);
    const auto wait = std::max(to_wait(by_address, now), to_wait(by_name, now));
    if (wait) {
      return Error{ErrorKind::kUnavailable,
                   "too many logins have failed; wait " + std::to_string(wait->count()) + " seconds"};
    }
  }
  const auto user = users_.find(name);
  if (const std::string trouble = users_.trouble(); !trouble.empty()) {
    std::fprintf(stderr, "natsession-console: nobody can log in: %s\n", trouble.c_str());
    return Error{ErrorKind::kIo, trouble};
  }
  const bool good = password_matches(password, user ? user->hash : std::string());
  const std::lock_guard lock(mutex_);
  if (!good || !user) {
    failed(by_address, now);
    failed(by_name, now);
    return Error{ErrorKind::kPermission, "no user has this name and password"};
  }
  failures_.erase(by_address);
  failures_.erase(by_name);
  auto token = random_token();
  if (!token) return token.error();
  if (logins_.size() >= limits_.logins) {
    logins_.erase(std::min_element(logins_.begin(), logins_.end(), [](const auto& a, const auto& b) {
      return a.second.seen < b.second.seen;
    }));
  }
  logins_[*token] = {name, user->hash, now, now};
  return token;
}

std::optional<Caller> Logins::find(const std::string& token, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  const auto found = logins_.find(token);
  if (found == logins_.end()) return std::nullopt;
  Login& login = found->second;
  const auto user = users_.find(login.name);
  if (!user || user->hash != login.hash || now - login.seen > limits_.idle ||
      now - login.begun > limits_.in_all) {
    logins_.erase(found);
    return std::nullopt;
  }
  login.seen = now;
  return Caller{login.name, user->role, {}, true};
}

void Logins::end(const std::string& token) {
  const std::lock_guard lock(mutex_);
  logins_.erase(token);
}

}  // namespace natsession::console
