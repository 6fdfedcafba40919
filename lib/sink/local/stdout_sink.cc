#include "sink/local/stdout_sink.h"

#include <sys/stat.h>

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace natsession {
namespace {

constexpr const char* kOperation = "write to stdout";

Result<SinkOpener> parse_stdout(const SinkUrl& url) {
  if (auto checked = url.has_no_target(); !checked) return checked.error();
  const auto open = [name = url.name()](const EncoderOptions& options, const Clock&) {
    return StdoutSink::open(name, make_encoder(options), STDOUT_FILENO);
  };
  return SinkOpener{.probe = [name = url.name()] { return StdoutSink::probe(name, STDOUT_FILENO); },
                    .open = open};
}

}  // namespace

SinkKind stdout_kind() {
  return {.scheme = "stdout",
          .usage = "stdout",
          .help = "lines on standard output",
          .blocks = true,
          .flows = true,
          .parse = parse_stdout};
}

Result<void> StdoutSink::probe(const std::string& name, int fd) {
  if (fcntl(fd, F_GETFD) < 0) return system_error(name + ": standard output", errno, ErrorKind::kUnavailable);
  return {};
}

Result<std::unique_ptr<Sink>> StdoutSink::open(std::string name, std::unique_ptr<Encoder> encoder, int fd) {
  if (auto probed = probe(name, fd); !probed) return probed.error();
  return std::unique_ptr<Sink>(std::make_unique<StdoutSink>(std::move(name), std::move(encoder), fd));
}

StdoutSink::StdoutSink(std::string name, std::unique_ptr<Encoder> encoder, int fd)
    : name_(std::move(name)), fd_(fd), writer_(std::move(encoder)) {
  writer_.begin(writer_.header());
}

Answer StdoutSink::deliver(std::span<const SessionRecord> records) {
  const StreamWriter::Written written = writer_.write(fd_, records);
  if (written.error_number == 0) return Answer::delivered(written.taken);
  std::string why = system_error(kOperation, written.error_number).message;
  if (reader_has_gone(written.error_number)) return Answer::closed(written.taken, std::move(why));
  return Answer::retry_later(written.taken, std::move(why));
}

Result<void> StdoutSink::flush() {
  if (writer_.record_under_way()) return {};  // the next delivery completes it
  const StreamWriter::Written written = writer_.finish(fd_);
  // A reader that has gone is told with the next record: it may have left content.
  if (written.error_number == 0 || reader_has_gone(written.error_number)) return {};
  return system_error(kOperation, written.error_number);
}

// EIO is a terminal that has hung up; on a disk it is a fault that may pass.
bool StdoutSink::reader_has_gone(int error_number) const {
  if (error_number == EPIPE || error_number == EBADF) return true;
  struct stat status {};
  return error_number == EIO && fstat(fd_, &status) == 0 && S_ISCHR(status.st_mode);
}

}  // namespace natsession
