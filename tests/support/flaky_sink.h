// A sink that answers by a script, and takes everything once the script is at its end.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>

#include "support/capture_sink.h"

namespace natsession::testing {

class FlakySink final : public CaptureSink {
 public:
  using Script = std::deque<Answer>;

  FlakySink(std::string name, std::shared_ptr<Capture> capture, Script script)
      : CaptureSink(std::move(name), std::move(capture)), script_(std::move(script)) {}

  Answer deliver(std::span<const SessionRecord> records) override {
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

  std::function<void()> on_deliver;
  bool fail_reopen = false;
  bool fail_flush = false;

 private:
  Script script_;
};

}  // namespace natsession::testing
