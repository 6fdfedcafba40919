#include "sink/local/journald_sink.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "record/fields.h"

namespace natsession {
namespace {

constexpr std::size_t kEntriesPerCall = 64;
constexpr int kJournalBufferBytes = 8 << 20;  // as systemd's own clients ask for

std::string with_path(const JournaldSettings& settings, std::string_view operation) {
  return "journald: " + std::string(operation) + " " + settings.socket_path;
}

Error connect_error(const JournaldSettings& settings, int error_number) {
  Error error = system_error("journald: " + settings.socket_path, error_number, ErrorKind::kUnavailable);
  if (error_number == ENOENT || error_number == ECONNREFUSED)
    error.message += ": is systemd-journald running?";
  return error;
}

Result<UniqueFd> connect_to(const JournaldSettings& settings) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (settings.socket_path.size() >= sizeof(address.sun_path)) return connect_error(settings, ENAMETOOLONG);
  std::memcpy(address.sun_path, settings.socket_path.data(), settings.socket_path.size());

  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return system_error("journald: socket", errno, ErrorKind::kUnavailable);
  // What is granted is enough in any case: a small buffer only makes for more tries.
  if (setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kJournalBufferBytes, sizeof(kJournalBufferBytes)) !=
      0) {
    setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &kJournalBufferBytes, sizeof(kJournalBufferBytes));
  }
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return connect_error(settings, errno);
  }
  return fd;
}

// The socket at the other end is gone; another may have taken its place.
bool journal_has_gone(int error_number) {
  constexpr std::array kGone{ECONNREFUSED, ECONNRESET, ENOTCONN, ENOENT, EPIPE, EDESTADDRREQ};
  return std::find(kGone.begin(), kGone.end(), error_number) != kGone.end();
}

// Returns errno, or 0.
int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno != EINTR) return errno;
    if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
  }
  return 0;
}

Result<SinkOpener> parse_journald(const SinkUrl& url) {
  if (auto checked = url.has_no_target(); !checked) return checked.error();
  return SinkOpener{
      .probe = [] { return JournaldSink::probe(JournaldSettings()); },
      .reach = [] { return Result(Reached{"journald's socket takes connections"}); },
      .open = [name = url.name()](const EncoderOptions& options,
                                  const Clock&) { return JournaldSink::open(name, {.options = options}); }};
}

constexpr std::string_view kPrefix = "NATSESSION_";
constexpr std::size_t kFraming = 1 + 8 + 1;  // newline, length, newline: more than "=" and newline

constexpr std::string_view kConstantFields =
    "PRIORITY=6\n"
    "SYSLOG_IDENTIFIER=natsessiond\n"
    "MESSAGE_ID=";

constexpr char to_capital(char byte) {
  return byte >= 'a' && byte <= 'z' ? static_cast<char>(byte - 'a' + 'A') : byte;
}

// "NATSESSION_PRI_IP", as one constant.
template <Field kField>
inline constexpr auto kName = [] {
  constexpr std::string_view kPlain = kSpec<kField>.name;
  std::array<char, kPrefix.size() + kPlain.size()> text{};
  std::copy(kPrefix.begin(), kPrefix.end(), text.begin());
  std::transform(kPlain.begin(), kPlain.end(), text.begin() + kPrefix.size(), to_capital);
  return text;
}();

char* write_length(char* out, std::uint64_t length) {
  for (int shift = 0; shift < 64; shift += 8) *out++ = static_cast<char>((length >> shift) & 0xff);
  return out;
}

char* write_value(char* out, std::string_view value) {
  if (value.find('\n') == std::string_view::npos) {
    *out++ = '=';
  } else {
    *out++ = '\n';
    out = write_length(out, value.size());
  }
  out = write_text(out, value);
  *out++ = '\n';
  return out;
}

// For write_fields(): see record/fields.h.
struct JournalFormat : DelimitedFormat<JournalFormat> {
  template <Field kField>
  static char* name(char* out) {
    return write_text(out, {kName<kField>.data(), kName<kField>.size()});
  }
  template <Field kField>
  static char* key(char* out) {
    out = name<kField>(out);
    *out++ = '=';
    return out;
  }
  static char* end(char* out) {
    *out++ = '\n';
    return out;
  }

  template <Field kField>
  char* text(char* out, std::string_view value) const {
    return value.empty() ? out : write_value(name<kField>(out), value);
  }
};

std::size_t max_length(const SessionRecord& record) {
  return max_fields_length<kPrefix.size() + kFraming>(record, [](std::size_t size) { return size; });
}

// The encoder ends its line with a newline, which ends the field as well.
void append_message(const SessionRecord& record, const Encoder& message, std::string& out) {
  constexpr std::string_view kName = "MESSAGE";
  const std::size_t begin = out.size();
  out += kName;
  out += '=';
  message.append(record, out);
  const std::size_t text = begin + kName.size() + 1;
  const std::size_t length = out.size() - text - 1;
  if (out.find('\n', text) == out.size() - 1) return;
  std::array<char, 9> framing{'\n'};
  write_length(framing.data() + 1, length);
  out.replace(text - 1, 1, framing.data(), framing.size());
}

// Names of an encoder's own, as the journal allows them.
void append_pairs(const SessionRecord& record, const Encoder& own, std::string& out) {
  std::vector<std::pair<std::string_view, std::string>> pairs;
  own.append_pairs(record, pairs);
  for (const auto& [name, value] : pairs) {
    out += kPrefix;
    for (const char c : name) out += c == '-' ? '_' : to_capital(c);
    append_line(out, value.size() + kTextSlack + kFraming,
                [&text = value](char* at) { return write_value(at, text); });
  }
}

}  // namespace

SinkKind journald_kind() {
  return {.scheme = "journald",
          .usage = "journald",
          .help =
              "structured entries in systemd's journal (NATSESSION_PRI_IP= ...); its rate limit drops "
              "entries: set LogRateLimitIntervalSec=1s and LogRateLimitBurst=10000000 in the unit",
          .encoding = SinkEncoding::kMessage,
          .flows = true,
          .parse = parse_journald};
}

Result<std::unique_ptr<Sink>> JournaldSink::open(std::string name, const JournaldSettings& settings) {
  auto connected = connect_to(settings);
  if (!connected) return connected.error();
  std::unique_ptr<JournaldSink> sink(new JournaldSink(std::move(name), settings));
  sink->socket_ = std::move(*connected);
  return std::unique_ptr<Sink>(std::move(sink));
}

Result<void> JournaldSink::probe(const JournaldSettings& settings) {
  const auto connected = connect_to(settings);
  if (!connected) return connected.error();
  return {};
}

JournaldSink::JournaldSink(std::string name, const JournaldSettings& settings)
    : name_(std::move(name)), settings_(settings), message_(make_encoder(settings.options)) {}

Answer JournaldSink::deliver(std::span<const SessionRecord> records) {
  if (!socket_) {
    auto connected = connect_to(settings_);
    if (!connected) return Answer::retry_later(0, connected.error().message);
    socket_ = std::move(*connected);
  }
  std::size_t taken = 0;
  while (taken < records.size()) {
    buffer_.clear();
    ends_.clear();
    for (const SessionRecord& record :
         records.subspan(taken, std::min(kEntriesPerCall, records.size() - taken))) {
      append_journal_entry(record, *message_, settings_.options, buffer_);
      ends_.push_back(buffer_.size());
    }
    std::size_t sent = 0;
    const int error_number = send_some(sent);
    taken += sent;
    if (error_number == 0) continue;
    if (error_number == EAGAIN)
      return Answer::retry_later(taken, with_path(settings_, "the queue is full at"));
    if (journal_has_gone(error_number)) socket_.reset();
    return Answer::retry_later(taken, system_error(with_path(settings_, "send to"), error_number).message);
  }
  return Answer::delivered(taken);
}

// Sends the entries in the buffer. Returns errno, or 0 if all went; `sent` is how many did.
int JournaldSink::send_some(std::size_t& sent) {
  std::array<mmsghdr, kEntriesPerCall> messages{};
  std::array<iovec, kEntriesPerCall> parts{};
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
    parts[i] = {buffer_.data() + begin, ends_[i] - begin};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  while (sent < ends_.size()) {
    const int count = ::sendmmsg(socket_.get(), &messages[sent], static_cast<unsigned>(ends_.size() - sent),
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) {
      sent += static_cast<std::size_t>(count);
      continue;
    }
    // sendmmsg() tells an error only of its first message, which here is the one at `sent`.
    int error_number = errno;
    if (error_number == EINTR) continue;
    if (error_number == EMSGSIZE) {
      const auto& part = parts[sent];
      error_number = send_large({static_cast<const char*>(part.iov_base), part.iov_len});
      if (error_number == 0) {
        ++sent;
        continue;
      }
    }
    if (error_number == EAGAIN && wait_for_room()) continue;
    return error_number;
  }
  return 0;
}

// An entry too large for a datagram goes as a sealed memory file, which the journal reads. Returns errno, or
// 0.
int JournaldSink::send_large(std::string_view entry) {
  const UniqueFd file(memfd_create("natsession-entry", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return errno;
  if (const int error_number = write_all(file.get(), entry); error_number != 0) return error_number;
  if (fcntl(file.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
    return errno;

  const int fd = file.get();
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(fd))> control{};
  msghdr message{};
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(fd));
  std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  return ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? errno : 0;
}

bool JournaldSink::wait_for_room() const {
  if (settings_.patience.count() == 0) return false;
  pollfd wait{.fd = socket_.get(), .events = POLLOUT, .revents = 0};
  return ::poll(&wait, 1, static_cast<int>(settings_.patience.count())) > 0;
}

void append_journal_entry(const SessionRecord& record, const Encoder& message, const EncoderOptions& options,
                          std::string& out) {
  append_message(record, message, out);
  out += kConstantFields;
  out += kRecordMessageId;
  out += '\n';
  if (options.own) return append_pairs(record, *options.own, out);
  const Selection selection{
      .extra = true, .netns = options.with_netns, .gap_fields = record.event == RecordEvent::kGap};
  append_line(out, max_length(record), [&](char* at) {
    return write_fields(record, selection, JournalFormat{{options.time_format}}, at);
  });
}

}  // namespace natsession
