// ConntrackTable: makes and deletes entries in the kernel's table, through libnetfilter_conntrack. The kernel
// makes the events before a call returns, so no test needs to wait.
#pragma once

#include <linux/netfilter/nf_conntrack_tcp.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include <catch2/catch.hpp>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

#include "net/ip_address.h"

namespace natsession::testing {

class ConntrackTable {
 public:
  struct Flow {
    std::uint16_t port = 0;  // of 10.0.0.2, to 198.51.100.2:53; tells flows apart
    bool snat = false;       // to 203.0.113.1, same port
    bool dnat = false;       // to 198.51.100.3:53
    std::uint32_t mark = 0;
  };

  ConntrackTable() : handle_(nfct_open(CONNTRACK, 0), nfct_close) { REQUIRE(handle_ != nullptr); }

  void create(const Flow& flow) { query(NFCT_Q_CREATE, *make_entry(flow)); }
  void set_mark(const Flow& flow, std::uint32_t mark) {
    const auto entry = make_entry({flow.port});
    nfct_set_attr_u32(entry.get(), ATTR_MARK, mark);
    query(NFCT_Q_UPDATE, *entry);
  }
  void destroy(const Flow& flow) { query(NFCT_Q_DESTROY, *make_entry({flow.port})); }
  void flush() {
    const std::uint32_t any_family = AF_UNSPEC;
    REQUIRE(nfct_query(handle_.get(), NFCT_Q_FLUSH, &any_family) == 0);
  }

 private:
  using Entry = std::unique_ptr<nf_conntrack, decltype(&nfct_destroy)>;

  static Entry make_entry(const Flow& flow) {
    Entry entry(nfct_new(), nfct_destroy);
    const auto v4 = [](std::string_view text) { return IpAddress::parse(text)->v4(); };
    nfct_set_attr_u8(entry.get(), ATTR_L3PROTO, AF_INET);
    nfct_set_attr_u8(entry.get(), ATTR_L4PROTO, IPPROTO_UDP);
    nfct_set_attr_u32(entry.get(), ATTR_IPV4_SRC, v4("10.0.0.2"));
    nfct_set_attr_u32(entry.get(), ATTR_IPV4_DST, v4("198.51.100.2"));
    nfct_set_attr_u16(entry.get(), ATTR_PORT_SRC, htobe16(flow.port));
    nfct_set_attr_u16(entry.get(), ATTR_PORT_DST, htobe16(53));
    nfct_setobjopt(entry.get(), NFCT_SOPT_SETUP_REPLY);
    nfct_set_attr_u32(entry.get(), ATTR_TIMEOUT, 600);
    if (flow.snat) nfct_set_attr_u32(entry.get(), ATTR_SNAT_IPV4, v4("203.0.113.1"));
    if (flow.dnat) nfct_set_attr_u32(entry.get(), ATTR_DNAT_IPV4, v4("198.51.100.3"));
    if (flow.mark != 0) nfct_set_attr_u32(entry.get(), ATTR_MARK, flow.mark);
    return entry;
  }

  void query(nf_conntrack_query what, nf_conntrack& entry) {
    INFO("query " << static_cast<int>(what));
    REQUIRE(nfct_query(handle_.get(), what, &entry) == 0);
  }

  std::unique_ptr<nfct_handle, decltype(&nfct_close)> handle_;
};

}  // namespace natsession::testing
