// The sinks that there are: one table, from the scheme of a URL to what makes the sink, with the help for
// each option.
// Threads: any; the functions keep no state.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "record/encoder.h"
#include "sink/sink.h"
#include "sink/sink_kind.h"
#include "sink/sink_url.h"

namespace natsession {

[[nodiscard]] std::span<const SinkKind> sink_kinds();
[[nodiscard]] std::span<const SinkOption> common_sink_options();

// Whether the URL names a sink that there is, with options that it has and values that would do. Touches
// nothing.
// Errors: kUsage, naming the URL, the key, the value and what would do. A secret is not repeated.
[[nodiscard]] Result<void> check_sink_url(std::string_view url);

// check_sink_url(), and whether the sink could be opened now, as far as can be told without leaving a trace.
// Errors: as check_sink_url() and open_sink().
[[nodiscard]] Result<void> probe_sink(std::string_view url);

// Opens a sink. Options in the URL go before `defaults`. `clock` outlives the sink. What is behind a network
// or another program is not asked for here: its absence is a delivery's answer, and it may come later.
// Errors: as check_sink_url(); kUsage, kPermission, kUnavailable or kIo if it cannot be opened, naming what
// and why.
[[nodiscard]] Result<std::unique_ptr<Sink>> open_sink(std::string_view url, const EncoderOptions& defaults,
                                                      const Clock& clock);

// Opens all or none: each is probed before the first is opened, so a bad one leaves no file behind.
// Errors: the first one met.
[[nodiscard]] Result<std::vector<std::unique_ptr<Sink>>> open_sinks(std::span<const std::string> urls,
                                                                    const EncoderOptions& defaults,
                                                                    const Clock& clock);

// The part of the help that is about sinks and their options, as lines of at most 80 characters.
[[nodiscard]] std::string sink_help();

}  // namespace natsession
