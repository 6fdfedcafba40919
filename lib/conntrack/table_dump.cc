#include "conntrack/table_dump.h"

#include <cerrno>
#include <span>

namespace natsession {
namespace {

// Everything but what an unfiltered request would fail with as well.
bool is_refusal_of_filter(int error_number) {
  return error_number != EPERM && error_number != EACCES && error_number != EBUSY && error_number != ENOMEM &&
         error_number != ENOBUFS;
}

}  // namespace

TableDump::TableDump(NetlinkSocket socket, std::uint32_t status_mask, std::vector<StatusFilter> passes)
    : socket_(std::move(socket)),
      status_mask_(status_mask),
      passes_(std::move(passes)),
      buffer_(kPartBytes) {}

std::vector<StatusFilter> TableDump::passes_of(NatSelection selection) {
  constexpr std::uint32_t kBoth = kStatusSrcNat | kStatusDstNat;
  switch (selection) {
    case NatSelection::kSnat:
      return {{kStatusSrcNat, kStatusSrcNat}};
    case NatSelection::kDnat:
      return {{kStatusDstNat, kStatusDstNat}};
    case NatSelection::kAny:
      break;
  }
  // All with SRC, then those with DST alone, so that none is shown twice.
  return {{kStatusSrcNat, kStatusSrcNat}, {kStatusDstNat, kBoth}};
}

Result<void> TableDump::start() {
  if (reader_) return Error{ErrorKind::kUnavailable, "dump the conntrack table: a dump is under way"};
  if (stale_ && !discard_stale()) {
    return Error{ErrorKind::kUnavailable,
                 "dump the conntrack table: the last dump failed and is being emptied"};
  }
  pass_ = 0;
  interrupted_ = false;
  return begin_pass();
}

Result<void> TableDump::begin_pass() {
  ++sequence_;
  std::optional<StatusFilter> filter;
  if (filters_in_kernel()) filter = passes_[pass_];
  if (auto sent = socket_.send(dump_request(sequence_, filter)); !sent) {
    reader_.reset();
    return sent;
  }
  reader_.emplace(sequence_, status_mask_);
  return {};
}

Result<EventSource::DumpState> TableDump::step(EventSource::Handler& handler) {
  if (!reader_) return Error{ErrorKind::kUnavailable, "read the conntrack table: no dump is under way"};
  auto state = read_part(handler);
  if (!state) {
    stale_ = true;
    reader_.reset();
  } else if (*state != EventSource::DumpState::kMore) {
    reader_.reset();
  }
  return state;
}

Result<EventSource::DumpState> TableDump::read_part(EventSource::Handler& handler) {
  const auto datagram = socket_.receive(buffer_);
  if (!datagram) return datagram.error();
  if (datagram->length == 0) return EventSource::DumpState::kMore;
  if (datagram->sender_port != 0) {
    ++counters_.foreign;
    return EventSource::DumpState::kMore;
  }
  if (datagram->truncated) {
    ++counters_.truncated;
    return Error{ErrorKind::kIo, "read the conntrack table: a part is longer than 32 KiB"};
  }
  const auto state = reader_->read(std::span(buffer_).first(datagram->length), handler, counters_);
  if (!state) return state.error();
  switch (*state) {
    case DumpReader::State::kMore:
      return EventSource::DumpState::kMore;
    case DumpReader::State::kDone:
      return finish_pass();
    case DumpReader::State::kRefused:
      break;
  }
  if (!filters_in_kernel() || !is_refusal_of_filter(reader_->error_number())) {
    return system_error("dump the conntrack table", reader_->error_number());
  }
  passes_.clear();
  if (auto begun = begin_pass(); !begun) return begun.error();
  return EventSource::DumpState::kMore;
}

Result<EventSource::DumpState> TableDump::finish_pass() {
  interrupted_ = interrupted_ || reader_->interrupted();
  ++pass_;
  if (pass_ < passes_.size()) {
    if (auto begun = begin_pass(); !begun) return begun.error();
    return EventSource::DumpState::kMore;
  }
  return interrupted_ ? EventSource::DumpState::kInterrupted : EventSource::DumpState::kDone;
}

// The kernel refuses a second dump on a socket while the first has parts left, so these are read and thrown
// away, a bounded number a call. True when nothing was left.
bool TableDump::discard_stale() {
  constexpr int kPartsPerCall = 64;
  for (int part = 0; part < kPartsPerCall; ++part) {
    const auto datagram = socket_.receive(buffer_);
    if (datagram && datagram->length == 0) {
      stale_ = false;
      return true;
    }
    ++counters_.stale;
  }
  return false;
}

}  // namespace natsession
