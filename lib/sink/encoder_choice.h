// What the options of a URL say about how records look in its sink.
// Threads: any; pure functions.
// Errors:  kUsage, naming the URL, the key, the value and what would do.
#pragma once

#include <span>

#include "base/result.h"
#include "record/encoder.h"
#include "sink/sink_kind.h"
#include "sink/sink_url.h"

namespace natsession {

// `defaults`, unless the URL says otherwise.
[[nodiscard]] Result<EncoderOptions> encoder_options(const SinkUrl& url, const EncoderOptions& defaults);

// For a sink whose destination has the fields apart, and beside them a message for people to read: all of a
// record as logfmt, unless the URL itself says otherwise. CSV is refused.
[[nodiscard]] Result<EncoderOptions> message_options(const SinkUrl& url, const EncoderOptions& defaults);

// For a sink whose reader expects lines of JSON, whatever --format says.
[[nodiscard]] Result<EncoderOptions> json_options(const SinkUrl& url, const EncoderOptions& defaults);

[[nodiscard]] std::span<const SinkOption> encoder_option_table();

}  // namespace natsession
