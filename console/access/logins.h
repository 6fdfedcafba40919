// Logins: who has shown a password, by the token in the browser's cookie, and who tries too often.
// Threads: any; check() takes tens of milliseconds, of one caller at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "access/user_file.h"

namespace natsession::console {

struct LoginLimits {
  std::chrono::seconds idle = std::chrono::hours(1);  // without a request
  std::chrono::seconds in_all = std::chrono::hours(12);
  std::size_t logins = 10'000;  // at once; the oldest ends for a further one
  // Tries that failed, of an address and of a user's name: so many at once, then one for each interval.
  std::size_t failures = 5;
  std::chrono::seconds interval{15};
};

class Logins {
 public:
  using Clock = std::chrono::steady_clock;

  Logins(const UserFile& users, LoginLimits limits) : users_(users), limits_(limits) {}

  // Checks a password; the token of a new login.
  // Errors: kPermission if it is wrong, or there is no such user, in the same words; kUnavailable if this
  //         address, or somebody for this user, has tried too often, and how long to wait.
  [[nodiscard]] Result<std::string> check(const std::string& name, const std::string& password,
                                          const std::string& from, Clock::time_point now);

  // Whose token it is; nobody's if it has ended, or the user was removed or has another password since.
  [[nodiscard]] std::optional<Caller> find(const std::string& token, Clock::time_point now);
  void end(const std::string& token);

 private:
  struct Login {
    std::string name;
    std::string hash;
    Clock::time_point begun;
    Clock::time_point seen;
  };
  // When the failures so far are forgotten: each adds an interval.
  using Failures = std::map<std::string, Clock::time_point>;
  [[nodiscard]] std::optional<std::chrono::seconds> to_wait(const std::string& of,
                                                            Clock::time_point now) const;
  void failed(const std::string& of, Clock::time_point now);

  const UserFile& users_;
  const LoginLimits limits_;
  std::mutex hashing_;
  std::mutex mutex_;  // of what follows
  std::map<std::string, Login> logins_;
  Failures failures_;
};

}  // namespace natsession::console
