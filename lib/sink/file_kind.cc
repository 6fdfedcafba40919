#include <array>

#include "sink/file_settings.h"
#include "sink/file_sink.h"
#include "sink/sink_kind.h"

namespace natsession {
namespace {

constexpr std::array kOptions{
    SinkOption{"rotate_size", "SIZE",
               "rotate before the file grows beyond SIZE (100M): PATH becomes PATH.20261121T143422Z"},
    SinkOption{"rotate_time", "TIME", "rotate when the clock, in UTC, passes a multiple of TIME (1h, 1d)"},
    SinkOption{"compress", "gzip|zstd|none", "compress rotated files, in the background"},
    SinkOption{"keep", "N",
               "keep the N newest rotated files and remove the others; 0, the default, keeps all"},
    SinkOption{"mode", "OCTAL", "permissions of a new file, less the umask; default 0640"},
};

Result<void> check(const SinkUrl& url) {
  const auto settings = FileSettings::parse(url);
  if (!settings) return settings.error();
  return {};
}

Result<void> probe(const SinkUrl& url) {
  const auto settings = FileSettings::parse(url);
  if (!settings) return settings.error();
  return FileSink::probe(*settings);
}

Result<std::unique_ptr<Sink>> open(const SinkUrl& url, const EncoderOptions& options, const Clock& clock) {
  const auto settings = FileSettings::parse(url);
  if (!settings) return settings.error();
  return FileSink::open(url.name(), *settings, make_encoder(options), clock);
}

}  // namespace

SinkKind file_kind() {
  return {.scheme = "file",
          .usage = "file:PATH",
          .help = "lines appended to a file; SIGHUP reopens it",
          .options = kOptions,
          .check = check,
          .probe = probe,
          .open = open};
}

}  // namespace natsession
