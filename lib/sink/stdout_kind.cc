#include <unistd.h>

#include "sink/sink_kind.h"
#include "sink/stdout_sink.h"

namespace natsession {
namespace {

Result<void> check(const SinkUrl& url) {
  return url.has_no_target();
}

Result<std::unique_ptr<Sink>> open(const SinkUrl& url, const EncoderOptions& options, const Clock&) {
  return StdoutSink::open(url.name(), make_encoder(options), STDOUT_FILENO);
}

Result<void> probe(const SinkUrl& url) {
  const auto opened = StdoutSink::open(url.name(), make_encoder({}), STDOUT_FILENO);
  if (!opened) return opened.error();
  return {};
}

}  // namespace

SinkKind stdout_kind() {
  return {.scheme = "stdout",
          .usage = "stdout",
          .help = "lines on standard output",
          .check = check,
          .probe = probe,
          .open = open};
}

}  // namespace natsession
