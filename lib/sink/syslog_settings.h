// SyslogSettings: what the URL of a syslog sink says, whatever its transport.
// Threads: a plain value type; the functions keep no state.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>

#include "base/result.h"
#include "record/encoder.h"
#include "sink/sink_kind.h"
#include "sink/sink_url.h"
#include "sink/syslog_message.h"

namespace natsession {

enum class SyslogFraming {
  kNone,     // a datagram is a message
  kOctets,   // RFC 6587, 3.4.1: the length in digits, a space, the message
  kNewline,  // RFC 6587, 3.4.2: the message, a newline
};

struct SyslogSettings {
  SyslogHeader header;
  EncoderOptions options;  // of the text; times look alike in the fields
  SyslogFraming framing = SyslogFraming::kNone;
  // Without framing. What is longer is rejected, never cut. RFC 5424 makes receivers take 480, asks them to
  // take 2048; rsyslog takes 8192 unless told otherwise.
  std::size_t max_message = 8192;
  std::chrono::milliseconds timeout{10'000};  // to connect, and for a peer that takes nothing

  // Errors: kUsage, naming URL, key and value.
  [[nodiscard]] static Result<SyslogSettings> parse(const SinkUrl& url, const EncoderOptions& defaults,
                                                    SyslogFraming framing);
};

// The options that parse() knows, but for `framing`, which only streams have.
[[nodiscard]] std::span<const SinkOption> syslog_option_table();

inline constexpr SinkOption kSyslogFramingOption{
    "framing", "octet|newline",
    "how messages are told apart: by a length before each (RFC 6587), or by a newline, for old receivers; "
    "default octet"};

}  // namespace natsession
