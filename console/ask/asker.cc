#include "ask/asker.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <new>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "program.h"

namespace natsession::console {
namespace {

// What a message to the process has beside its descriptors: numbers and texts, each ended by a NUL.
constexpr std::size_t kMaxMessage = std::size_t{48} << 10;
constexpr std::size_t kMaxMessages = std::size_t{64} << 10;  // that are told of one question
// What a question may write into files: progress and warnings, and a flow log's own few lines.
constexpr rlim_t kMaxWritten = rlim_t{4} << 20;
constexpr std::string_view kProgress = "{\"progress\": ";

enum Descriptor : std::size_t { kInput, kOutput, kErrors, kControl, kDescriptors };

// The byte that tells how it ended; one that is answered says its exit status behind it.
constexpr char kSaysAnswered = 'a';
constexpr char kSaysTime = 't';
constexpr char kSaysMemory = 'm';

constexpr int kKept = 3;  // the descriptor of a question's process that says it

void say(int control, char how, int status) {
  const std::array<char, 2> said{how, static_cast<char>(status)};
  static_cast<void>(::send(control, said.data(), said.size(), MSG_NOSIGNAL));
}

void limit(int resource, rlim_t value) {
  const rlimit both{value, value};
  static_cast<void>(::setrlimit(static_cast<__rlimit_resource>(resource), &both));
}

// Ends the process when nobody wants its answer any more, or when its time is up.
void watch(int control, std::chrono::seconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd closed{control, POLLIN | POLLRDHUP, 0};
    const int count = left.count() > 0 ? ::poll(&closed, 1, static_cast<int>(left.count())) : 0;
    if (count < 0 && errno == EINTR) continue;
    if (count == 0) say(control, kSaysTime, 0);
    ::_exit(1);
  }
}

// Where an allocation fails, whichever thread asked for it: nobody who has no memory tells it better.
void tell_that_memory_is_used_up() {
  say(kKept, kSaysMemory, 0);
  ::_exit(1);
}

struct Order {
  std::chrono::seconds time{};
  std::uint64_t memory = 0;
  std::string time_zone;
  std::vector<std::string> arguments;
};

Order read_order(std::string_view bytes) {
  std::vector<std::string> texts;
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\0');
    texts.emplace_back(bytes.substr(0, end));
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
  }
  Order order;
  order.time = std::chrono::seconds(std::strtoll(texts.at(0).c_str(), nullptr, 10));
  order.memory = std::strtoull(texts.at(1).c_str(), nullptr, 10);
  order.time_zone = texts.at(2);
  order.arguments.assign(texts.begin() + 3, texts.end());
  return order;
}

[[noreturn]] void answer(const Order& order, const std::array<int, kDescriptors>& given,
                         std::span<ctl::AddCommand* const> commands) {
  for (int i = 0; i < 3; ++i) ::dup2(given[static_cast<std::size_t>(i)], i);
  ::dup2(given[kControl], kKept);
  ::close_range(kKept + 1, ~0U, 0);
  std::signal(SIGCHLD, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::prctl(PR_SET_NAME, "natsess-question", 0, 0, 0);
  // A sanitizer needs address space for itself.
  if (std::string_view(NATSESSION_SANITIZE).empty()) limit(RLIMIT_DATA, order.memory);
  std::set_new_handler(tell_that_memory_is_used_up);
  limit(RLIMIT_FSIZE, kMaxWritten);
  limit(RLIMIT_CORE, 0);
  if (!order.time_zone.empty()) ::setenv("TZ", order.time_zone.c_str(), 1);
  ::tzset();
  int status = 1;
  try {
    std::thread(watch, kKept, order.time).detach();
    std::string program = "natsessionctl";
    std::vector<char*> words{program.data()};
    std::vector<std::string> arguments = order.arguments;
    for (std::string& argument : arguments) words.push_back(argument.data());
    words.push_back(nullptr);
    status = ctl::run_program(static_cast<int>(words.size()) - 1, words.data(), commands);
  } catch (const std::bad_alloc&) {
    // Of what asks the kernel for memory itself.
    tell_that_memory_is_used_up();
  } catch (const std::system_error& failure) {
    // A thread that has no room for its stack.
    if (failure.code() == std::errc::resource_unavailable_try_again) tell_that_memory_is_used_up();
    std::fprintf(stderr, "natsessionctl: %s\n", failure.what());
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "natsessionctl: %s\n", failure.what());
  }
  std::fflush(stdout);
  std::fflush(stderr);
  say(kKept, kSaysAnswered, status);
  ::_exit(status);
}

// The process that all questions are copies of.
void serve(int link, std::span<ctl::AddCommand* const> commands) {
  std::signal(SIGCHLD, SIG_IGN);  // who has ended is gone
  std::vector<std::byte> buffer(kMaxMessage);
  while (true) {
    auto message = receive_message(link, buffer);
    if (!message || message->length == 0) return;
    if (message->descriptor_count != kDescriptors) continue;
    const pid_t child = ::fork();
    // What could not be begun is closed, which whoever asked sees.
    if (child != 0) continue;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    std::array<int, kDescriptors> given{};
    // Above those that they are put onto.
    constexpr int kAbove = 10;
    for (std::size_t i = 0; i < kDescriptors; ++i)
      given[i] = ::fcntl(message->descriptors[i].get(), F_DUPFD, kAbove);
    ::close(link);
    answer(read_order({reinterpret_cast<const char*>(buffer.data()), message->length}),  // NOLINT: bytes
           given, commands);
  }
}

Result<UniqueFd> memory_file(const char* name, std::string_view content) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC));
  if (!fd) return system_error("memfd_create", errno, ErrorKind::kUnavailable);
  while (!content.empty()) {
    const ssize_t count = ::write(fd.get(), content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return system_error("memfd: write", errno, ErrorKind::kUnavailable);
    content.remove_prefix(static_cast<std::size_t>(count));
  }
  ::lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

// From `from` on, at most `limit` bytes.
std::string read_memory(int fd, off_t from, std::size_t limit) {
  std::string text(limit, '\0');
  const ssize_t count = ::pread(fd, text.data(), text.size(), from);
  text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return text;
}

}  // namespace

Ended RunningQuestion::wait() const {
  std::array<char, 2> said{};
  while (true) {
    const ssize_t count = ::recv(control_.get(), said.data(), said.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < static_cast<ssize_t>(said.size())) return {};
    break;
  }
  switch (said[0]) {
    case kSaysAnswered:
      return {Ended::How::kAnswered, said[1]};
    case kSaysTime:
      return {Ended::How::kTime};
    case kSaysMemory:
      return {Ended::How::kMemory};
    default:
      return {};
  }
}

void RunningQuestion::cancel() const {
  ::shutdown(control_.get(), SHUT_WR);
}

std::string RunningQuestion::messages() const {
  const off_t size = ::lseek(errors_.get(), 0, SEEK_END);
  const std::string all =
      read_memory(errors_.get(), std::max<off_t>(0, size - static_cast<off_t>(kMaxMessages)), kMaxMessages);
  std::string out;
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t end = std::min(all.find('\n', at), all.size() - 1);
    const std::string_view line(all.data() + at, end + 1 - at);
    if (!line.starts_with(kProgress)) out += line;
    at = end + 1;
  }
  return out;
}

RunningQuestion::Progress RunningQuestion::progress() const {
  constexpr off_t kLastLines = 256;
  const off_t size = ::lseek(errors_.get(), 0, SEEK_END);
  const std::string tail =
      read_memory(errors_.get(), std::max<off_t>(0, size - kLastLines), static_cast<std::size_t>(kLastLines));
  const std::size_t end = tail.rfind('\n');
  const std::size_t at = end == std::string::npos ? end : tail.rfind(kProgress, end);
  if (at == std::string::npos) return {};
  Progress progress;
  const char* number = tail.c_str() + at + kProgress.size();
  progress.share = std::strtod(number, nullptr);
  constexpr std::string_view kRecords = "\"records\": ";
  if (const std::size_t records = tail.find(kRecords, at); records != std::string::npos)
    progress.records = std::strtoull(tail.c_str() + records + kRecords.size(), nullptr, 10);
  return progress;
}

Result<Asker> Asker::start(std::span<ctl::AddCommand* const> commands) {
  std::fflush(nullptr);  // else each copy would write once more what waits here
  auto process = HelperProcess::start("natsess-asker", {}, std::nullopt,
                                      [commands](int link) { serve(link, commands); });
  if (!process) return process.error();
  return Asker(std::move(*process));
}

Result<RunningQuestion> Asker::ask(const Question& question) {
  std::string text = std::to_string(question.limits.time.count()) + '\0' +
                     std::to_string(question.limits.memory) + '\0' + question.time_zone + '\0';
  for (const std::string& argument : question.arguments) text += argument + '\0';
  if (text.size() > kMaxMessage) return Error{ErrorKind::kUsage, "the question is too long"};
  for (const std::string& argument : question.arguments) {
    if (argument.find('\0') != std::string::npos) return Error{ErrorKind::kUsage, "a question has no NUL"};
  }
  auto input = memory_file("question", question.input);
  if (!input) return input.error();
  auto errors = memory_file("messages", {});
  if (!errors) return errors.error();
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return system_error("pipe2", errno, ErrorKind::kUnavailable);
  UniqueFd output(pipe[0]);
  const UniqueFd output_end(pipe[1]);
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0)
    return system_error("socketpair", errno, ErrorKind::kUnavailable);
  UniqueFd control(pair[0]);
  const UniqueFd control_end(pair[1]);
  std::array<int, kDescriptors> given{};
  given[kInput] = input->get();
  given[kOutput] = output_end.get();
  given[kErrors] = errors->get();
  given[kControl] = control_end.get();
  {
    const std::lock_guard lock(*mutex_);
    if (auto sent = send_message(process_.link(), std::as_bytes(std::span(text)), given); !sent)
      return Error{ErrorKind::kUnavailable, "the process that answers questions: " + sent.error().message};
  }
  return RunningQuestion(std::move(output), std::move(*errors), std::move(control));
}

}  // namespace natsession::console
