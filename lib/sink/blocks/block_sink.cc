#include "sink/blocks/block_sink.h"

#include <algorithm>
#include <string>

namespace natsession {

Answer BlockSink::deliver(std::span<const SessionRecord> records) {
  told_.clear();
  ends_.clear();
  for (const SessionRecord& record : records) {
    blocks_.put(record, told_);
    ends_.push_back(told_.size());
  }
  Answer answer = told_.empty() ? Answer::delivered(0) : behind_->deliver(told_);
  const std::size_t sent = answer.kind == Answer::Kind::kDelivered ? told_.size() : answer.taken;
  answer.taken = static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), sent) - ends_.begin());
  answer.lost = std::min(answer.lost, answer.taken);
  blocks_.keep(answer.taken);
  if (answer.kind == Answer::Kind::kDelivered && answer.why.empty()) {
    if (const auto shared = blocks_.take_shared()) {
      answer.why =
          "blocks: port " + std::to_string(shared->port) + " of " + shared->nat_ip.to_string() +
          " is in a block of " + shared->holder.to_string() + ", and " + shared->other.to_string() +
          " had it: sessions of such hosts are told one by one; are blocks=, block_size= and block_from= as "
          "the box allocates ports?";
    }
  }
  return answer;
}

}  // namespace natsession
