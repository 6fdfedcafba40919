#include "conntrack/table_dump.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace natsession {
namespace {

// Room for the longest of them: two headers and two attributes of eight bytes.
using RequestBuffer = std::array<std::byte, 128>;

nlmsghdr* begin_request(RequestBuffer& buffer, unsigned message, std::uint16_t flags,
                        std::uint32_t sequence) {
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8U | message);
  header->nlmsg_flags = flags;
  header->nlmsg_seq = sequence;
  auto* family = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  family->nfgen_family = AF_UNSPEC;
  family->version = NFNETLINK_V0;
  family->res_id = 0;
  return header;
}

std::vector<std::byte> finish_request(const RequestBuffer& buffer, const nlmsghdr* header) {
  return {buffer.begin(), buffer.begin() + header->nlmsg_len};
}

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

// Everything but what an unfiltered request would fail with as well.
bool is_refusal_of_filter(int error_number) {
  return error_number != EPERM && error_number != EACCES && error_number != EBUSY && error_number != ENOMEM &&
         error_number != ENOBUFS;
}

}  // namespace

std::vector<std::byte> dump_request(std::uint32_t sequence, std::optional<StatusFilter> filter) {
  alignas(nlmsghdr) RequestBuffer buffer{};
  nlmsghdr* header = begin_request(buffer, IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP, sequence);
  if (filter) {
    mnl_attr_put_u32(header, CTA_STATUS, htonl(filter->value));
    mnl_attr_put_u32(header, CTA_STATUS_MASK, htonl(filter->mask));
  }
  return finish_request(buffer, header);
}

std::vector<std::byte> stats_request(std::uint32_t sequence) {
  alignas(nlmsghdr) RequestBuffer buffer{};
  const nlmsghdr* header = begin_request(buffer, IPCTNL_MSG_CT_GET_STATS, NLM_F_REQUEST, sequence);
  return finish_request(buffer, header);
}

void DumpReader::hand_on(std::span<const std::byte> message, EventSource::Handler& handler,
                         DumpCounters& counters) {
  ConntrackEvent entry;
  if (decode(message, entry, counters.decode) != DecodeResult::kEvent) return;
  began_ = true;
  if ((entry.status & kStatusDying) != 0) {
    ++counters.dying;
  } else if (!is_selected(entry.status, status_mask_)) {
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
    case NatSelection::kAll:
      return {};
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
