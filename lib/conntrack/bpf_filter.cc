#include "conntrack/bpf_filter.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

#include <cstddef>

#include <endian.h>

#include "conntrack/nat_status.h"

namespace natsession {
namespace {

constexpr std::uint32_t kDrop = 0;
constexpr std::uint32_t kPass = 0xffffffff;  // the whole message
constexpr std::uint32_t kFirstAttribute = NLMSG_LENGTH(NLMSG_ALIGN(sizeof(nfgenmsg)));
static_assert(kFirstAttribute == 20);

constexpr sock_filter instruction(int code, std::uint32_t operand, std::uint8_t if_true = 0,
                                  std::uint8_t if_false = 0) {
  return {static_cast<std::uint16_t>(code), if_true, if_false, operand};
}

// BPF loads big-endian; nlmsg_type stands there in host byte order.
std::uint32_t type_as_loaded(unsigned message) {
  return htobe16(static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8U | message));
}

}  // namespace

BpfProgram nat_event_filter(NatSelection selection) {
  constexpr auto kFindAttribute = static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_NLATTR);
  return {
      instruction(BPF_LD | BPF_H | BPF_ABS, offsetof(nlmsghdr, nlmsg_type)),
      instruction(BPF_JMP | BPF_JEQ | BPF_K, type_as_loaded(IPCTNL_MSG_CT_NEW), 1, 0),
      instruction(BPF_JMP | BPF_JEQ | BPF_K, type_as_loaded(IPCTNL_MSG_CT_DELETE), 0, 8),  // else drop
      // A = the offset of the attribute X, searched from offset A; 0 if there is none.
      instruction(BPF_LD | BPF_IMM, kFirstAttribute),
      instruction(BPF_LDX | BPF_IMM, CTA_STATUS),
      instruction(BPF_LD | BPF_B | BPF_ABS, kFindAttribute),
      instruction(BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0),  // none: pass
      instruction(BPF_MISC | BPF_TAX, 0),
      instruction(BPF_LD | BPF_W | BPF_IND, sizeof(nlattr)),
      instruction(BPF_JMP | BPF_JSET | BPF_K, nat_status_mask(selection), 0, 1),  // no bit: drop
      instruction(BPF_RET | BPF_K, kPass),
      instruction(BPF_RET | BPF_K, kDrop),
  };
}

}  // namespace natsession
