// A sink that takes everything and keeps it for the test to look at, also after the sink has gone.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "sink/sink.h"

namespace natsession::testing {

// What came to a sink.
// Threads: any.
class Capture {
 public:
  struct Seen {
    std::vector<SessionRecord> records;
    std::vector<std::size_t> batches;  // their sizes
    int flushes = 0;
    int reopens = 0;
    bool destroyed = false;
  };

  [[nodiscard]] Seen seen() const {
    return seen_.with([](const Seen& seen) { return seen; });
  }
  [[nodiscard]] std::vector<std::uint32_t> numbers() const {
    return seen_.with([](const Seen& seen) {
      std::vector<std::uint32_t> numbers;
      for (const SessionRecord& record : seen.records) numbers.push_back(record.seq);
      return numbers;
    });
  }
  [[nodiscard]] std::size_t count() const {
    return seen_.with([](const Seen& seen) { return seen.records.size(); });
  }

  void add(std::span<const SessionRecord> records) {
    seen_.with([&](Seen& seen) {
      seen.records.insert(seen.records.end(), records.begin(), records.end());
      seen.batches.push_back(records.size());
    });
  }
  void flushed() {
    seen_.with([](Seen& seen) { ++seen.flushes; });
  }
  void reopened() {
    seen_.with([](Seen& seen) { ++seen.reopens; });
  }
  void destroyed() {
    seen_.with([](Seen& seen) { seen.destroyed = true; });
  }

 private:
  Guarded<Seen> seen_;
};

class CaptureSink : public Sink {
 public:
  CaptureSink(std::string name, std::shared_ptr<Capture> capture)
      : name_(std::move(name)), capture_(std::move(capture)) {}
  ~CaptureSink() override { capture_->destroyed(); }

  [[nodiscard]] std::string_view name() const override { return name_; }
  Answer deliver(std::span<const SessionRecord> records) override {
    capture_->add(records);
    return Answer::delivered(records.size());
  }
  Result<void> reopen() override {
    capture_->reopened();
    return {};
  }
  Result<void> flush() override {
    capture_->flushed();
    return {};
  }

 protected:
  Capture& capture() { return *capture_; }

 private:
  const std::string name_;
  const std::shared_ptr<Capture> capture_;
};

}  // namespace natsession::testing
