#include "sink/local/child_process.h"

#include <linux/capability.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "sink/transport/deadline.h"

namespace natsession {
namespace {

constexpr const char* kShell = "/bin/sh";
constexpr int kCannotRun = 126;
constexpr int kNotFound = 127;

constexpr std::array<std::string_view, 4> kForEveryChild{"PATH", "HOME", "LANG", "TZ"};

std::vector<char*> environment_for_child(const std::vector<std::string>& variables) {
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    const auto has = [&](const auto& names) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    if (has(kForEveryChild) || has(variables)) environment.push_back(*entry);
  }
  environment.push_back(nullptr);
  return environment;
}

// In the child, between fork() and exec: only calls that are safe in a copy of a program with threads.
[[noreturn]] void become(int input, int nowhere, char* const* arguments, char* const* environment) {
  setpgid(0, 0);
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    sigaction(number, &action, nullptr);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  // The descriptors are above 2 (ShellCommand::start()), so neither overwrites the other.
  if (dup2(input, STDIN_FILENO) < 0 || dup2(nowhere, STDOUT_FILENO) < 0) _exit(kCannotRun);
  syscall(SYS_close_range, 3U, ~0U, 0U);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> nothing{};
  syscall(SYS_capset, &header, nothing.data());
  execve(kShell, arguments, environment);
  _exit(kNotFound);
}

std::optional<CommandEnd> end_within(CommandRunner& runner, std::chrono::nanoseconds limit) {
  const Deadline deadline(limit);
  Pauses pauses;
  for (;;) {
    auto end = runner.ended();
    if (end || deadline.passed()) return end;
    wait_for(-1, 0, std::min(pauses.next(), deadline.left()));
  }
}

}  // namespace

bool CommandEnd::not_found() const {
  return WIFEXITED(status) && (WEXITSTATUS(status) == kCannotRun || WEXITSTATUS(status) == kNotFound);
}

std::string CommandEnd::to_string() const {
  if (WIFSIGNALED(status)) {
    return "killed by signal " + std::to_string(WTERMSIG(status)) + " (" + ::strsignal(WTERMSIG(status)) +
           ")";
  }
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

Result<void> ShellCommand::start(int input, int output) {
  const UniqueFd reading(::fcntl(input, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  const UniqueFd opened(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (!reading || !opened) return system_error("open /dev/null", errno, ErrorKind::kUnavailable);
  const UniqueFd writing(::fcntl(output < 0 ? opened.get() : output, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!writing) return system_error("open /dev/null", errno, ErrorKind::kUnavailable);
  std::string shell = "sh";
  std::string option = "-c";
  std::string text = command_.text;
  const std::array<char*, 4> arguments{shell.data(), option.data(), text.data(), nullptr};
  const std::vector<char*> environment = environment_for_child(command_.variables);

  const pid_t pid = ::fork();
  if (pid < 0) return system_error("fork", errno, ErrorKind::kUnavailable);
  if (pid == 0) become(reading.get(), writing.get(), arguments.data(), environment.data());
  setpgid(pid, pid);  // here too, so that it is done whichever of the two runs first
  pid_ = pid;
  end_.reset();
  return {};
}

std::optional<CommandEnd> ShellCommand::ended() {
  if (pid_ < 0 || end_) return end_;
  int status = 0;
  const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
  if (ended == pid_) end_ = CommandEnd{status};
  if (ended < 0 && errno != EINTR) end_ = CommandEnd{};  // somebody else has waited for it
  return end_;
}

void ShellCommand::signal(int number) {
  if (pid_ > 0) ::kill(-pid_, number);
}

Result<ChildProcess> ChildProcess::start(CommandRunner& runner) {
  std::array<int, 2> ends{-1, -1};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("pipe", errno, ErrorKind::kUnavailable);
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  if (fcntl(writing.get(), F_SETFL, O_NONBLOCK) != 0)
    return system_error("pipe", errno, ErrorKind::kUnavailable);
  if (auto started = runner.start(reading.get(), -1); !started) return started.error();
  return ChildProcess(runner, std::move(writing));
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : runner_(std::exchange(other.runner_, nullptr)), input_(std::move(other.input_)), end_(other.end_) {}

ChildProcess::~ChildProcess() {
  if (runner_ != nullptr && !end_) stop({.after_end_of_input = {}, .after_sigterm = {}});
}

int ChildProcess::write(std::string_view bytes, std::size_t& written) {
  written = 0;
  while (written < bytes.size()) {
    const ssize_t count = ::write(input_.get(), bytes.data() + written, bytes.size() - written);
    if (count >= 0) {
      written += static_cast<std::size_t>(count);
      continue;
    }
    if (errno == EINTR) continue;
    return errno == EAGAIN ? 0 : errno;
  }
  return 0;
}

std::size_t ChildProcess::unread() const {
  int bytes = 0;
  if (::ioctl(input_.get(), FIONREAD, &bytes) != 0 || bytes < 0) return 0;
  return static_cast<std::size_t>(bytes);
}

void ChildProcess::wait(bool for_room, std::chrono::nanoseconds limit) const {
  wait_for(input_.get(), for_room ? POLLOUT : short{0}, limit);
}

std::optional<CommandEnd> ChildProcess::end_within(std::chrono::nanoseconds limit) {
  if (!end_) end_ = natsession::end_within(*runner_, limit);
  return end_;
}

CommandEnd ChildProcess::stop(const Patience& patience) {
  input_.reset();
  if (!end_) end_ = stop(*runner_, patience);
  return *end_;
}

CommandEnd ChildProcess::stop(CommandRunner& runner, const Patience& patience) {
  constexpr std::chrono::milliseconds kDies{1000};
  if (const auto end = natsession::end_within(runner, patience.after_end_of_input)) return *end;
  runner.signal(SIGTERM);
  runner.signal(SIGCONT);
  const auto end = natsession::end_within(runner, patience.after_sigterm);
  runner.signal(SIGKILL);  // also what it left behind in its group
  if (end) return *end;
  // A process that even this does not end hangs in the kernel; it is not waited for.
  return natsession::end_within(runner, kDies).value_or(CommandEnd{SIGKILL});
}

}  // namespace natsession
