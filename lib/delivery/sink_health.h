// SinkHealth: how one sink is, and so when it may be offered records: the backoff after passing faults, the
// breaker after target failures. It keeps what status shows up to date and tells of changes.
// Threads: one, the sink's worker.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"
#include "delivery/breaker.h"
#include "delivery/report.h"
#include "delivery/settings.h"
#include "delivery/sink_state.h"

namespace natsession {

class SinkHealth {
 public:
  using Time = std::chrono::nanoseconds;  // steady

  // All references outlive the object.
  SinkHealth(SinkState& state, const DeliverySettings& settings, const Clock& clock, Reporter& reporter);

  [[nodiscard]] bool in_trouble() const { return trouble_since_.has_value(); }
  [[nodiscard]] Time in_trouble_for() const;  // zero if it is well
  [[nodiscard]] bool suspended() const { return breaker_.state() == Breaker::State::kSuspended; }

  // How long nothing is to be sent, whatever comes.
  [[nodiscard]] std::optional<Time> wait(Time now);
  // Whether a batch may be sent now that wait() has nothing against it.
  enum class Permit { kSend, kTest, kWaitForData };
  [[nodiscard]] Permit permit(Time now, std::uint64_t high_watermark) const;
  // Things may have changed: no waiting.
  void try_now();

  // A batch goes out: as a test, or the rest of one that was not taken.
  void begin_test();
  void note_retry() { ++retries_; }

  // What became of it. `high_watermark` as it was when the batch was offered.
  void well();
  void went_on();  // it took a part: slow, not in trouble
  // It refused a record for good: where it took none before it, nothing shows that it takes any.
  void rejected(const Answer& answer);
  void fail(const Answer& answer, std::uint64_t high_watermark);
  void close(const Answer& answer);

 private:
  void back_off(const Answer& answer, Time now);
  void suspend(Time now, std::uint64_t high_watermark, const std::string& why);
  void note_failure(const std::string& code, const std::string& why);
  void publish();

  SinkState& state_;
  const Clock& clock_;
  Reporter& reporter_;
  Backoff backoff_;
  Breaker breaker_;
  std::optional<Time> retry_at_;
  std::optional<Time> trouble_since_;
  std::uint64_t retries_ = 0;  // in this trouble
  std::string target_code_;    // why the breaker is open
};

}  // namespace natsession
