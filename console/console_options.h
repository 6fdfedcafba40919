// The command line of natsession-console, and its configuration file.
// Threads: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "api/box.h"
#include "ask/asker.h"
#include "net/host_port.h"

namespace natsession::console {

struct ConsoleOptions {
  enum class Action : std::uint8_t { kServe, kSetUser, kRemoveUser, kListUsers };

  Action action = Action::kServe;
  std::vector<Box> boxes;
  HostPort listen_at{"127.0.0.1", 8088};
  bool unix_socket = false;
  std::string listen_path;         // then: where
  std::vector<std::string> hosts;  // names that it may be called by, as a browser says them
  std::string users;               // a file; empty: no passwords
  std::string certificate, key;
  std::string audit = "/var/log/natsession-console/audit.jsonl";
  std::string journal = "/run/systemd/journal/socket";  // empty: not to the journal
  std::string group = "natsession";
  bool require_reason = false;
  QuestionLimits limits = {};
  std::size_t questions_of_user = 4;
  std::size_t questions = 16;
  unsigned connections = 256;

  std::string user, role;  // of the commands that change users
};

// What ends the program at once: --help, or a command line that will not do; it is told already.
struct Ending {
  int status = 0;
};

class ParsedOptions {
 public:
  ParsedOptions(ConsoleOptions options) : state_(std::move(options)) {}  // NOLINT: implicit
  ParsedOptions(Ending ending) : state_(ending) {}                       // NOLINT
  explicit operator bool() const { return state_.index() == 0; }
  const ConsoleOptions& operator*() const { return *std::get_if<0>(&state_); }
  const ConsoleOptions* operator->() const { return std::get_if<0>(&state_); }
  [[nodiscard]] const Ending& error() const { return *std::get_if<1>(&state_); }

 private:
  std::variant<ConsoleOptions, Ending> state_;
};

[[nodiscard]] ParsedOptions read_console_options(int argc, char** argv);

// Whether an address is of this machine alone.
[[nodiscard]] bool is_loopback(const std::string& host);

}  // namespace natsession::console
