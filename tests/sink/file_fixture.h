// A file sink in a folder of its own, on a clock that the test moves.
#pragma once

#include <memory>
#include <string>

#include <catch2/catch.hpp>

#include "sink/lines.h"
#include "sink/open_sink.h"
#include "support/files.h"
#include "support/manual_clock.h"
#include "support/temp_dir.h"

namespace natsession::testing {

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
