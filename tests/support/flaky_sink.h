// A sink that answers by a script, and takes everything once the script is at its end.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "support/capture_sink.h"

namespace natsession::testing {

class FlakySink final : public CaptureSink {
 public:
  using Script = std::deque<Answer>;

  FlakySink(std::string name, std::shared_ptr<Capture> capture, Script script)
      : CaptureSink(std::move(name), std::move(capture)), script_(std::move(script)) {}

  // One that knows_batches(), if a test wants it so.
  struct Named {
    std::uint64_t first = 0;
    std::vector<std::uint32_t> numbers;
    friend bool operator==(const Named&, const Named&) = default;
  };
  [[nodiscard]] bool knows_batches() const override { return names != nullptr; }
  void name_batch(std::uint64_t first) override { names->push_back({first, {}}); }

  Answer deliver(std::span<const SessionRecord> records) override {
    if (names != nullptr) {
      for (const SessionRecord& record : records) names->back().numbers.push_back(record.seq);
    }
    if (on_deliver) on_deliver();
    if (script_.empty()) return CaptureSink::deliver(records);
    Answer answer = script_.front();
    script_.pop_front();
    if (answer.kind == Answer::Kind::kDelivered) answer.taken = records.size();
    answer.taken = std::min(answer.taken, records.size());
    capture().add(records.first(answer.taken));
    return answer;
  }
  Result<void> reopen() override {
    static_cast<void>(CaptureSink::reopen());
    if (fail_reopen) return Error{ErrorKind::kIo, "open: no such thing"};
    return {};
  }
  Result<void> flush() override {
    static_cast<void>(CaptureSink::flush());
    if (fail_flush) return Error{ErrorKind::kIo, "compress: no room"};
    return {};
  }

  // What it was told to be proved, if a test wants it so.
  struct Proofs {
    std::chrono::milliseconds interval{0};
    bool refused = false;
    std::vector<std::vector<Coverage>> told;
    std::uint64_t stream = 0;
    std::string instance;
  };
  [[nodiscard]] std::optional<std::chrono::milliseconds> proof_interval() const override {
    return proofs != nullptr ? std::optional(proofs->interval) : std::nullopt;
  }
  Result<void> take_proof(const ProvedTimes& proved) override {
    if (proofs->refused) return Error{ErrorKind::kUnavailable, "no such table"};
    proofs->told.emplace_back(proved.times.begin(), proved.times.end());
    proofs->stream = proved.stream;
    proofs->instance = proved.instance;
    return {};
  }

  std::shared_ptr<Proofs> proofs;             // none: it keeps no proof
  std::shared_ptr<std::vector<Named>> names;  // what it was offered; none: it knows no batches
  std::function<void()> on_deliver;
  bool fail_reopen = false;
  bool fail_flush = false;

 private:
  Script script_;
};

}  // namespace natsession::testing
