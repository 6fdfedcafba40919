// BlockSink: a sink that is told of blocks of ports in place of sessions (port_blocks.h). It stands before
// another, which delivers.
// Threads: as sink.h says.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "sink/blocks/port_blocks.h"
#include "sink/sink.h"

namespace natsession {

class BlockSink final : public Sink {
 public:
  // `behind` can write the events kAllocate and kFree.
  BlockSink(std::unique_ptr<Sink> behind, PortBlockSettings settings)
      : behind_(std::move(behind)), blocks_(std::move(settings)) {}

  [[nodiscard]] std::string_view name() const override { return behind_->name(); }
  // A record that only a block is told of is taken together with the one before it, or when the block is.
  Answer deliver(std::span<const SessionRecord> records) override;
  Result<void> reopen() override { return behind_->reopen(); }
  Result<void> flush() override { return behind_->flush(); }

 private:
  const std::unique_ptr<Sink> behind_;
  PortBlocks blocks_;
  std::vector<SessionRecord> told_;
  std::vector<std::size_t> ends_;  // of each record: so many of told_ stand up to it
};

}  // namespace natsession
