#include "command.h"

#include <sys/ioctl.h>

#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>
#include <unistd.h>

#include "base/help_text.h"
#include "control/status_json.h"
#include "control_client.h"

namespace natsession::ctl {

int fail(std::string_view command, const Error& error) {
  fmt::print(stderr, "natsessionctl: {}: {}\n", command, error.message);
  return exit_status(error.kind);
}

int print(std::string_view text) {
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  return written ? kDone : kFailed;
}

Screen screen() {
  if (::isatty(STDOUT_FILENO) == 0) return {/*with_colours=*/false};
  const char* const terminal = std::getenv("TERM");
  const char* const refused = std::getenv("NO_COLOR");  // no-color.org
  const bool colours =
      terminal != nullptr && std::string_view(terminal) != "dumb" && (refused == nullptr || *refused == '\0');
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return {colours, size.ws_col};
  const char* const columns = std::getenv("COLUMNS");
  const unsigned long told = columns == nullptr ? 0 : std::strtoul(columns, nullptr, 10);
  return {colours, told > 0 && told < Screen::kAnyWidth ? told : kHelpWidth};
}

Result<std::string> ledger_directory(const Global& global) {
  if (!global.ledger.empty()) return global.ledger;
  const auto body = ControlClient(global.control).get("/status");
  if (!body) {
    return Error{body.error().kind, "which ledger? Give --ledger DIR, because the daemon cannot be asked: " +
                                        body.error().message};
  }
  auto status = read_status_json(*body);
  if (!status) return status.error();
  if (!status->ledger)
    return Error{ErrorKind::kUnavailable, "the daemon has no ledger: it was started without --ledger DIR"};
  return std::move(status->ledger->directory);
}

}  // namespace natsession::ctl
