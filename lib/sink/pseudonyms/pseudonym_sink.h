// PseudonymSink: a sink that is told pseudonyms in place of whose a session is: pri_ip, session_id (which
// could be made again of every address that may be meant), and what is said of the subscriber. It stands
// before another, which delivers.
// Threads: as sink.h says; the look-up on the same thread.
#pragma once

#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "record/subscriber.h"
#include "sink/pseudonyms/pseudonyms.h"
#include "sink/sink.h"

namespace natsession {

// Which address a pseudonym stands for, of the records that are being delivered; and names, as pseudonyms.
class PseudonymLookup final : public SubscriberLookup {
 public:
  // `behind` may be null: nobody is known.
  PseudonymLookup(std::shared_ptr<const Pseudonyms> pseudonyms,
                  std::shared_ptr<const SubscriberLookup> behind)
      : pseudonyms_(std::move(pseudonyms)), behind_(std::move(behind)) {}
  void find(const SessionRecord& record, Subscriber& out) const override;

  // What was hidden before may be forgotten: its records are delivered.
  void begin_batch();
  // The pseudonym of `address`, which find() then knows for what it stands.
  [[nodiscard]] IpAddress hide(const IpAddress& address);
  [[nodiscard]] const Pseudonyms& pseudonyms() const { return *pseudonyms_; }

 private:
  struct Hash {
    std::size_t operator()(const IpAddress& address) const;
  };
  static constexpr std::size_t kMostKept = 65'536;

  const std::shared_ptr<const Pseudonyms> pseudonyms_;
  const std::shared_ptr<const SubscriberLookup> behind_;
  std::unordered_map<IpAddress, IpAddress, Hash> hidden_;    // by address
  std::unordered_map<IpAddress, IpAddress, Hash> original_;  // by pseudonym
};

class PseudonymSink final : public Sink {
 public:
  PseudonymSink(std::unique_ptr<Sink> behind, std::shared_ptr<PseudonymLookup> lookup)
      : behind_(std::move(behind)), lookup_(std::move(lookup)) {}

  [[nodiscard]] std::string_view name() const override { return behind_->name(); }
  Answer deliver(std::span<const SessionRecord> records) override;
  [[nodiscard]] bool knows_batches() const override { return behind_->knows_batches(); }
  void name_batch(std::uint64_t first) override { behind_->name_batch(first); }
  [[nodiscard]] std::optional<std::chrono::milliseconds> proof_interval() const override {
    return behind_->proof_interval();
  }
  Result<void> take_proof(const ProvedTimes& proved) override { return behind_->take_proof(proved); }
  [[nodiscard]] std::string memory() const override { return behind_->memory(); }
  void remember(std::string_view memory) override { behind_->remember(memory); }
  Result<void> reopen() override { return behind_->reopen(); }
  Result<void> flush() override { return behind_->flush(); }

 private:
  const std::unique_ptr<Sink> behind_;
  const std::shared_ptr<PseudonymLookup> lookup_;
  std::vector<SessionRecord> told_;
};

}  // namespace natsession
