// A sink from its URL in one step, for tests; the program keeps what it has parsed.
#pragma once

#include <memory>
#include <string>

#include "sink/registry.h"

namespace natsession {

inline Result<void> check_sink_url(const std::string& url) {
  const auto config = SinkConfig::parse(url);
  if (!config) return config.error();
  return {};
}

inline Result<void> probe_sink(const std::string& url) {
  const auto config = SinkConfig::parse(url);
  if (!config) return config.error();
  return config->probe();
}

inline Result<std::unique_ptr<Sink>> open_sink(const std::string& url, const EncoderOptions& defaults,
                                               const Clock& clock) {
  const auto config = SinkConfig::parse(url);
  if (!config) return config.error();
  return config->open(defaults, clock);
}

}  // namespace natsession
