// What tests of sinks share: records and the lines that they become, a sink from its URL in one step (the
// program keeps what it has parsed), and a file sink in a folder of its own, on a clock that the test moves.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "record/encoder.h"
#include "sink/registry.h"
#include "support/files.h"
#include "support/manual_clock.h"
#include "support/numbered_record.h"
#include "support/temp_dir.h"

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
  return config->open(defaults, clock,
                      config->command() ? std::make_unique<ShellCommand>(*config->command()) : nullptr);
}

}  // namespace natsession

namespace natsession::testing {

// For a sink whose time does not matter.
inline const ManualClock kStoppedClock{UnixNs(std::chrono::seconds(0))};

// A URL with another scheme: "loki" for http://HOST:PORT/…. And its sink.
inline std::string url_as(const std::string& scheme, const std::string& url) {
  return scheme + url.substr(url.find(':'));
}
inline std::unique_ptr<Sink> open_as(const std::string& scheme, const std::string& url,
                                     const Clock& clock = kStoppedClock) {
  auto opened = open_sink(url_as(scheme, url), {}, clock);
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

inline std::unique_ptr<Encoder> json() {
  return make_encoder({});
}

inline std::vector<SessionRecord> numbered_records(std::uint32_t from, std::uint32_t to) {
  std::vector<SessionRecord> records;
  for (std::uint32_t number = from; number < to; ++number) records.push_back(numbered_record(number));
  return records;
}

inline std::vector<std::uint32_t> numbers(std::uint32_t from, std::uint32_t to) {
  std::vector<std::uint32_t> all;
  for (std::uint32_t number = from; number < to; ++number) all.push_back(number);
  return all;
}

// What the records look like in a file.
inline std::string text_of(const std::vector<SessionRecord>& records, const EncoderOptions& options = {}) {
  std::string text;
  const auto encoder = make_encoder(options);
  for (const SessionRecord& record : records) encoder->append(record, text);
  return text;
}

// Texts that try to end a line, a field or a message, and to be another record.
inline const Origin& hostile_origin() {
  using namespace std::string_literals;
  static const Origin origin{"a\nb\r\n\"\\]} [x@1 seq=\"77\"] \0\x1f\x7f\xff\xc3 \"seq\":77,"s, ""};
  return origin;
}

// The numbers of the lines that are whole; a line that is not exactly what its record should be is an error.
// A record may be of the hostile origin.
inline std::vector<std::uint32_t> numbers_in(std::string_view text) {
  constexpr std::string_view kKey = "\"seq\":";
  std::vector<std::uint32_t> found;
  while (true) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return found;
    const std::string line(text.substr(0, end + 1));
    text.remove_prefix(end + 1);
    const std::size_t at = line.find(kKey);
    if (at == std::string::npos) throw std::runtime_error("a torn line: " + line);
    const auto number = static_cast<std::uint32_t>(std::stoul(line.substr(at + kKey.size())));
    if (line != text_of({numbered_record(number)}) &&
        line != text_of({numbered_record(number, hostile_origin())})) {
      throw std::runtime_error("a wrong line: " + line);
    }
    found.push_back(number);
  }
}

class FileFixture {
 public:
  // (Re)opens the sink with these options.
  void open(const std::string& options) {
    sink.reset();
    auto opened = open_sink("file:" + path + options, {}, clock);
    if (!opened) FAIL(opened.error().message);
    sink = std::move(*opened);
  }
  void deliver(std::uint32_t from, std::uint32_t to) {
    const auto records = numbered_records(from, to);
    const Answer answer = sink->deliver(records);
    CHECK(answer.kind == Answer::Kind::kDelivered);
    CHECK(answer.why.empty());
    CHECK(answer.taken == records.size());
  }

  const TempDir directory;
  const std::string path = directory.file("log.json");
  // 2026-11-21T14:34:22Z
  ManualClock clock{UnixNs(std::chrono::seconds(1'795'271'662))};
  std::unique_ptr<Sink> sink;
};

}  // namespace natsession::testing
