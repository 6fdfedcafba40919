// The two ways that records come to a worker, with one face: what holds for one must hold for the other.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "delivery/delivery_fixture.h"
#include "delivery/ledger_fixture.h"

namespace natsession::testing {

class MemoryRig : public DeliveryFixture {
 public:
  static constexpr bool kKeeps = false;

  explicit MemoryRig(std::vector<FlakySink::Script> scripts, Wishes wishes = {},
                     DeliverySettings settings = {})
      : DeliveryFixture(std::move(scripts), settings, wishes) {}

  // From now on readable for the workers.
  void write(std::uint32_t from, std::uint32_t to) {
    emit(from, to);
    producer->flush();
  }
  std::vector<std::uint32_t> delivered(std::size_t sink) const { return captures[sink]->numbers(); }
  // The collectors have ended.
  void stop() {
    producer->finish();
    core->run().stopping.store(true);
  }
};

class LedgerRig : public LedgerFixture {
 public:
  static constexpr bool kKeeps = true;
  using LedgerFixture::LedgerFixture;
  using LedgerFixture::write;

  void stop() {
    producer->finish();
    core->run().stopping.store(true);
    run_feeder();
  }
};

inline DeliveryFixture::Wishes batches_of(BatchLimits limits) {
  return [limits](std::size_t, SinkSpec& spec) { spec.batch = limits; };
}

}  // namespace natsession::testing
