// Values of a sink's options: numbers, sizes and times within limits, and words of a table.
// Threads: any; pure functions.
// Errors:  kUsage, naming the URL, the key, the value and what would do.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/byte_count.h"
#include "base/result.h"
#include "sink/sink_url.h"

namespace natsession {

[[nodiscard]] Result<std::uint64_t> option_number(const SinkUrl& url, const SinkUrl::Option& option,
                                                  std::uint64_t least, std::uint64_t most);
[[nodiscard]] Result<ByteCount> option_size(const SinkUrl& url, const SinkUrl::Option& option,
                                            ByteCount least, ByteCount most);
[[nodiscard]] Result<std::chrono::milliseconds> option_time(const SinkUrl& url, const SinkUrl::Option& option,
                                                            std::chrono::milliseconds least,
                                                            std::chrono::milliseconds most);
// The place of the value in `words`.
[[nodiscard]] Result<std::size_t> option_word(const SinkUrl& url, const SinkUrl::Option& option,
                                              std::span<const std::string_view> words);
// A value that is not empty.
[[nodiscard]] Result<std::string> option_text(const SinkUrl& url, const SinkUrl::Option& option,
                                              std::string_view what);

}  // namespace natsession
