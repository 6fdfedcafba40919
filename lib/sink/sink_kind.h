// SinkKind: what the registry knows of one kind of sink: how it is written, what options it has, how it is
// checked and opened. Each kind is made in a file of its own; registry.cc is the table of them.
// Threads: any; the functions keep no state.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "record/encoder.h"
#include "sink/sink.h"
#include "sink/sink_url.h"

namespace natsession {

struct SinkOption {
  std::string_view key;
  std::string_view values;  // as in a manual: gzip|zstd|none, SIZE
  std::string_view help;
};

struct SinkKind {
  std::string_view scheme;
  std::string_view usage;                    // file:PATH
  std::string_view help;                     // one line
  std::span<const SinkOption> options = {};  // beyond those that every sink has
  std::span<const SinkOption> also = {};     // options as well, which the help tells with another kind
  // Behind a network or another program: records are gathered for a moment, so that fewer batches go out.
  bool remote = false;
  Result<void> (*check)(const SinkUrl& url) = nullptr;
  Result<void> (*probe)(const SinkUrl& url) = nullptr;
  Result<std::unique_ptr<Sink>> (*open)(const SinkUrl& url, const EncoderOptions& options,
                                        const Clock& clock) = nullptr;
  // Looks at the URL before its options are known to exist: for what no message may repeat. May be null.
  Result<void> (*screen)(const SinkUrl& url) = nullptr;
};

[[nodiscard]] SinkKind stdout_kind();
[[nodiscard]] SinkKind file_kind();
[[nodiscard]] SinkKind journald_kind();
[[nodiscard]] SinkKind syslog_kind();
[[nodiscard]] SinkKind syslog_udp_kind();
[[nodiscard]] SinkKind syslog_tcp_kind();
[[nodiscard]] SinkKind syslog_tls_kind();
[[nodiscard]] SinkKind http_kind();
[[nodiscard]] SinkKind https_kind();
[[nodiscard]] SinkKind exec_kind();

}  // namespace natsession
