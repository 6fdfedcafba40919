// ControlClient: asks the daemon over its control socket.
// Threads: one.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "control/session_filter.h"

namespace natsession::ctl {

class ControlClient {
 public:
  explicit ControlClient(std::string socket_path) : path_(std::move(socket_path)) {}

  // The body of the daemon's answer.
  // Errors: kUnavailable if no daemon is there, kPermission if the socket or the change is not for this user,
  // both with
  //         the way out; kUsage if the daemon finds the question wrong; kIo if it cannot do it or does not
  //         answer.
  [[nodiscard]] Result<std::string> get(std::string_view path, const QueryArguments& arguments = {}) const;
  [[nodiscard]] Result<std::string> post(std::string_view path, const QueryArguments& arguments = {}) const;

 private:
  [[nodiscard]] Result<std::string> ask(std::string_view method, std::string_view path,
                                        const QueryArguments& arguments) const;
  [[nodiscard]] std::string where() const;
  [[nodiscard]] Error not_there(int error) const;  // errno of a connect()

  std::string path_;
};

}  // namespace natsession::ctl
