// probe_kernel(): the half of the kernel check that asks over netlink.
#include <linux/netlink.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>

#include "conntrack/kernel_check.h"
#include "conntrack/netlink_socket.h"
#include "conntrack/requests.h"
#include "conntrack/table_dump.h"
#include "session/conntrack_event.h"

namespace natsession {
namespace {

constexpr std::uint32_t kStatusConfirmed = 1U << 3;

// How the kernel's first answer begins.
struct Answer {
  std::uint16_t type = 0;
  int error_number = 0;  // NLMSG_ERROR only
};

// Sends one request on a socket of its own: what else it has to say, as the rest of a dump, goes with the
// socket.
Result<Answer> ask(std::span<const std::byte> request) {
  auto socket = NetlinkSocket::open();
  if (!socket) return socket.error();
  if (auto sent = socket->send(request); !sent) return sent.error();
  std::vector<std::byte> buffer(TableDump::kPartBytes);
  const auto datagram = socket->receive(buffer);
  if (!datagram) return datagram.error();
  nlmsghdr header{};
  if (datagram->sender_port != 0 || datagram->length < sizeof(header)) {
    return Error{ErrorKind::kIo, "ask the conntrack table: no answer"};
  }
  std::memcpy(&header, buffer.data(), sizeof(header));
  Answer answer{header.nlmsg_type, 0};
  int code = 0;
  if (header.nlmsg_type == NLMSG_ERROR && datagram->length >= sizeof(header) + sizeof(code)) {
    std::memcpy(&code, buffer.data() + sizeof(header), sizeof(code));
    answer.error_number = -code;
  }
  return answer;
}

KernelProbe::DumpFilter to_dump_filter(const Answer& answer, bool table_has_entries) {
  if (answer.type == NLMSG_ERROR) return KernelProbe::DumpFilter::kRefused;
  if (answer.type != NLMSG_DONE) return KernelProbe::DumpFilter::kIgnored;
  return table_has_entries ? KernelProbe::DumpFilter::kSupported : KernelProbe::DumpFilter::kUnknown;
}

}  // namespace

Result<KernelProbe> probe_kernel() {
  const auto stats = ask(stats_request(1));
  if (!stats) return stats.error();
  KernelProbe probe;
  probe.request_error = stats->error_number;
  if (probe.request_error != 0) return probe;

  // Every entry of the table is confirmed, so a dump of those that are not shows none, if the filter is
  // known.
  const auto filtered = ask(dump_request(2, StatusFilter{0, kStatusConfirmed}));
  if (!filtered) return filtered.error();
  const auto unfiltered = ask(dump_request(3, std::nullopt));
  if (!unfiltered) return unfiltered.error();
  probe.dump_filter = to_dump_filter(*filtered, unfiltered->type != NLMSG_DONE);
  return probe;
}

}  // namespace natsession
