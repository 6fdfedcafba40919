#include "conntrack/requests.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

#include <array>

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

}  // namespace natsession
