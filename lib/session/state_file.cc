#include "session/state_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <fstream>

#include <fcntl.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace natsession {
namespace {

constexpr std::string_view kMagic = "natsessiond-state";
constexpr std::string_view kVersion = "1";
constexpr std::size_t kWriteSize = 1U << 20;

class LineWriter {
 public:
  template <typename Number>
  LineWriter& number(Number value) {
    text_ += std::to_string(value);
    text_ += ' ';
    return *this;
  }
  LineWriter& word(std::string_view value) {
    text_ += value;
    text_ += ' ';
    return *this;
  }
  LineWriter& tuple(const Tuple& tuple) {
    return word(tuple.src.to_string())
        .number(tuple.src_port)
        .word(tuple.dst.to_string())
        .number(tuple.dst_port);
  }
  LineWriter& counters(const Counters& counters) { return number(counters.bytes).number(counters.packets); }
  void end_line() { text_.back() = '\n'; }

  [[nodiscard]] std::string& text() { return text_; }

 private:
  std::string text_;
};

// Takes words off a line. Once one was not as it should be, ok() stays false.
class LineReader {
 public:
  explicit LineReader(std::string_view line) : rest_(line) {}

  std::string_view word() {
    const std::size_t space = rest_.find(' ');
    const std::string_view taken = rest_.substr(0, space);
    rest_ = space == std::string_view::npos ? std::string_view() : rest_.substr(space + 1);
    if (taken.empty()) ok_ = false;
    return taken;
  }
  template <typename Number>
  Number number(Number limit = std::numeric_limits<Number>::max()) {
    const std::string_view text = word();
    Number value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value > limit) ok_ = false;
    return value;
  }
  UnixMs time() { return UnixMs(std::chrono::milliseconds(number<std::int64_t>())); }
  IpAddress address() {
    const auto parsed = IpAddress::parse(word());
    if (!parsed) ok_ = false;
    return parsed ? *parsed : IpAddress();
  }
  Tuple tuple() {
    Tuple tuple;
    tuple.src = address();
    tuple.src_port = number<std::uint16_t>();
    tuple.dst = address();
    tuple.dst_port = number<std::uint16_t>();
    return tuple;
  }
  Counters counters() {
    Counters counters;
    counters.bytes = number<std::uint64_t>();
    counters.packets = number<std::uint64_t>();
    return counters;
  }
  void expect(std::string_view expected) {
    if (word() != expected) ok_ = false;
  }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

void write_session(const Tracker::Saved& saved, LineWriter& out) {
  const ConntrackEvent& flow = saved.flow;
  out.number(flow.protocol).number(flow.zone).number(flow.id).number(flow.mark).number(flow.status);
  out.number(static_cast<unsigned>(flow.tcp_state))
      .number(saved.flags)
      .number(saved.begin.time_since_epoch().count());
  out.tuple(flow.original).tuple(flow.reply);
  if (saved.history) {
    out.number(saved.history->seq).number(saved.history->reported_until.time_since_epoch().count());
    out.counters(saved.history->original).counters(saved.history->reply);
  } else {
    out.word("-");
  }
  out.end_line();
}

std::optional<Tracker::Saved> read_session(std::string_view line) {
  LineReader in(line);
  Tracker::Saved saved;
  ConntrackEvent& flow = saved.flow;
  flow.protocol = in.number<std::uint8_t>();
  flow.zone = in.number<std::uint16_t>();
  flow.id = in.number<std::uint32_t>();
  flow.mark = in.number<std::uint32_t>();
  flow.status = in.number<std::uint32_t>();
  flow.tcp_state = TcpState{in.number<std::uint8_t>(static_cast<std::uint8_t>(TcpState::kSynSent2))};
  saved.flags = in.number<std::uint8_t>(Tracker::kSavedFlags);
  if ((saved.flags & ~Tracker::kSavedFlags) != 0) return std::nullopt;
  saved.begin = in.time();
  flow.original = in.tuple();
  flow.reply = in.tuple();
  LineReader before_history = in;
  if (before_history.word() == "-") {
    in.expect("-");
  } else {
    History history;
    history.seq = in.number<std::uint32_t>();
    history.reported_until = in.time();
    history.original = in.counters();
    history.reply = in.counters();
    saved.history = history;
  }
  if (!in.ok() || !in.at_end()) return std::nullopt;
  return saved;
}

Result<void> write_all(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return system_error("state file " + path + ": write", errno);
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Error malformed(const std::string& path, std::size_t line) {
  return Error{ErrorKind::kMalformed,
               "state file " + path + ": line " + std::to_string(line) + " is damaged"};
}

}  // namespace

std::string current_boot_id() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  struct stat netns {};
  if (stat("/proc/thread-self/ns/net", &netns) == 0) id += ":" + std::to_string(netns.st_ino);
  return id;
}

Result<void> write_state_file(const std::string& path, std::string_view boot_id, UnixMs stopped,
                              Tracker& tracker) {
  const std::string temporary = path + ".new";
  const UniqueFd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return system_error("state file " + temporary + ": open", errno);

  LineWriter out;
  out.word(kMagic).word(kVersion).word(boot_id).number(stopped.time_since_epoch().count()).end_line();
  Result<void> written;
  std::size_t count = 0;
  tracker.save([&](const Tracker::Saved& saved) {
    write_session(saved, out);
    ++count;
    if (out.text().size() < kWriteSize || !written) return;
    written = write_all(file.get(), out.text(), temporary);
    out.text().clear();
  });
  out.word("end").number(count).end_line();
  if (written) written = write_all(file.get(), out.text(), temporary);
  if (written && ::fsync(file.get()) != 0)
    written = system_error("state file " + temporary + ": fsync", errno);
  if (written && std::rename(temporary.c_str(), path.c_str()) != 0) {
    written = system_error("state file " + path + ": rename", errno);
  }
  if (!written) ::unlink(temporary.c_str());
  return written;
}

Result<std::optional<SessionState>> read_state_file(const std::string& path, std::string_view boot_id) {
  errno = 0;
  std::ifstream file(path);
  if (!file) {
    const int cause = errno;
    if (cause == ENOENT) return std::optional<SessionState>();
    return system_error("state file " + path + ": open", cause);
  }
  std::string line;
  std::size_t number = 1;
  std::getline(file, line);
  LineReader head(line);
  head.expect(kMagic);
  if (head.word() != kVersion && head.ok()) {
    return Error{ErrorKind::kMalformed, "state file " + path + ": written by another version"};
  }
  const bool other_boot = head.word() != boot_id;
  SessionState state;
  state.stopped = head.time();
  if (!head.ok() || !head.at_end()) return malformed(path, number);
  if (other_boot) return std::optional<SessionState>();

  while (std::getline(file, line)) {
    ++number;
    if (line.starts_with("end ")) {
      LineReader tail(line);
      tail.expect("end");
      const auto count = tail.number<std::size_t>();
      if (!tail.ok() || count != state.sessions.size()) return malformed(path, number);
      return std::optional<SessionState>(std::move(state));
    }
    auto saved = read_session(line);
    if (!saved) return malformed(path, number);
    state.sessions.push_back(*saved);
  }
  return malformed(path, number + 1);  // the end is missing
}

}  // namespace natsession
