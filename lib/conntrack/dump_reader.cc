#include "conntrack/dump_reader.h"

#include <linux/netlink.h>

#include <cerrno>
#include <cstring>

namespace natsession {
namespace {

// The int that NLMSG_ERROR and NLMSG_DONE begin with: 0 or a negative errno. Absent reads as 0.
int answer_code(std::span<const std::byte> message) {
  int code = 0;
  if (message.size() >= sizeof(nlmsghdr) + sizeof(code)) {
    std::memcpy(&code, message.data() + sizeof(nlmsghdr), sizeof(code));
  }
  return code;
}

// Codes that make sense; anything else would overflow when it is negated.
int to_errno(int code) {
  return code > -4096 && code < 0 ? -code : EPROTO;
}

}  // namespace

void DumpReader::hand_on(std::span<const std::byte> message, EventSource::Handler& handler,
                         DumpCounters& counters) {
  ConntrackEvent entry;
  if (decode(message, entry, counters.decode) != DecodeResult::kEvent) return;
  began_ = true;
  if ((entry.status & kStatusDying) != 0) {
    ++counters.dying;
  } else if ((entry.status & status_mask_) == 0) {
    ++counters.not_selected;
  } else {
    entry.type = EventType::kUpdate;
    handler.on_event(entry);
  }
}

Result<DumpReader::State> DumpReader::read(std::span<const std::byte> datagram, EventSource::Handler& handler,
                                           DumpCounters& counters) {
  while (!datagram.empty()) {
    nlmsghdr header{};
    if (datagram.size() < sizeof(header)) {
      return Error{ErrorKind::kMalformed, "read the conntrack table: a message is cut short"};
    }
    std::memcpy(&header, datagram.data(), sizeof(header));
    if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > datagram.size()) {
      return Error{ErrorKind::kMalformed, "read the conntrack table: a message's length does not fit"};
    }
    const auto message = datagram.first(header.nlmsg_len);
    datagram = datagram.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), datagram.size()));
    if (header.nlmsg_seq != sequence_) {
      ++counters.stale;
      continue;
    }
    if ((header.nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted_ = true;
    if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR) {
      const int code = answer_code(message);
      if (code == 0 && header.nlmsg_type == NLMSG_DONE) return State::kDone;
      if (code == 0) continue;  // an acknowledgement
      error_number_ = to_errno(code);
      if (!began_) return State::kRefused;
      return system_error("read the conntrack table", error_number_);
    }
    hand_on(message, handler, counters);
  }
  return State::kMore;
}

}  // namespace natsession
