// capture_messages: writes conntrack messages, as this kernel makes them, to one file each: the corpus of the
// decoder's tests. Uses libmnl and libnetfilter_conntrack only, nothing of the program under test.
//
//   capture_messages events DIR LIMIT    NEW, UPDATE and DESTROY, until SIGTERM
//   capture_messages dump DIR LIMIT      the table, once
//
// Listens in its own network namespace: run it with `ip netns exec`. Of messages of one kind (type, protocol,
// family and list of attributes) only LIMIT are written.
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

namespace {

volatile std::sig_atomic_t stop_asked = 0;

struct Capture {
  std::string directory;
  std::string only_type;  // "dump" or empty
  unsigned limit = 0;
  std::map<std::string, unsigned> written_of_kind;
  std::map<std::string, unsigned> written_of_name;
};

std::string protocol_name(unsigned protocol) {
  switch (protocol) {
    case IPPROTO_ICMP:
      return "icmp";
    case IPPROTO_TCP:
      return "tcp";
    case IPPROTO_UDP:
      return "udp";
    case IPPROTO_DCCP:
      return "dccp";
    case IPPROTO_GRE:
      return "gre";
    case IPPROTO_ICMPV6:
      return "icmpv6";
    case IPPROTO_SCTP:
      return "sctp";
    case IPPROTO_UDPLITE:
      return "udplite";
    default:
      return "proto" + std::to_string(protocol);
  }
}

std::string type_name(const nlmsghdr* message, const Capture& capture) {
  if (!capture.only_type.empty()) return capture.only_type;
  if ((message->nlmsg_type & 0xff) == IPCTNL_MSG_CT_DELETE) return "destroy";
  return (message->nlmsg_flags & (NLM_F_CREATE | NLM_F_EXCL)) != 0 ? "new" : "update";
}

int write_message(const nlmsghdr* message, void* data) {
  auto& capture = *static_cast<Capture*>(data);
  const std::unique_ptr<nf_conntrack, decltype(&nfct_destroy)> entry(nfct_new(), nfct_destroy);
  if (nfct_nlmsg_parse(message, entry.get()) < 0) return MNL_CB_OK;
  const std::string name = type_name(message, capture) + "-" +
                           protocol_name(nfct_get_attr_u8(entry.get(), ATTR_L4PROTO)) +
                           (nfct_get_attr_u8(entry.get(), ATTR_L3PROTO) == AF_INET ? "-v4" : "-v6");
  std::string kind = name;
  // mnl_attr_for_each() is C.
  const auto* attribute = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message, sizeof(nfgenmsg)));
  const auto* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(message));
  while (mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute)))) {
    kind += " " + std::to_string(mnl_attr_get_type(attribute));
    attribute = mnl_attr_next(attribute);
  }
  if (capture.written_of_kind[kind] >= capture.limit) return MNL_CB_OK;
  ++capture.written_of_kind[kind];

  std::array<char, 16> number{};
  std::snprintf(number.data(), number.size(), "-%03u", capture.written_of_name[name]++);
  std::ofstream file(capture.directory + "/" + name + number.data(), std::ios::binary);
  file.write(reinterpret_cast<const char*>(message), message->nlmsg_len);
  if (!file) {
    std::perror(capture.directory.c_str());
    return MNL_CB_ERROR;
  }
  return MNL_CB_OK;
}

int run(mnl_socket* socket, Capture& capture, unsigned sequence) {
  std::vector<char> buffer(65536);
  while (stop_asked == 0) {
    const ssize_t length = mnl_socket_recvfrom(socket, buffer.data(), buffer.size());
    if (length < 0) {
      if (errno == EINTR) continue;
      std::perror("receive");
      return 1;
    }
    const int state =
        mnl_cb_run(buffer.data(), static_cast<std::size_t>(length), sequence, 0, write_message, &capture);
    if (state < 0) {
      std::perror("read a message");
      return 1;
    }
    if (state == MNL_CB_STOP) return 0;
  }
  return 0;
}

void ask_for_table(mnl_socket* socket) {
  std::array<char, 128> buffer{};
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  header->nlmsg_seq = 1;
  mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg));
  if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0) std::perror("ask for the table");
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc == 4 ? argv[1] : "";
  if (mode != "events" && mode != "dump") {
    std::fputs("usage: capture_messages events|dump DIR LIMIT\n", stderr);
    return 2;
  }
  struct sigaction stop {};
  stop.sa_handler = [](int) { stop_asked = 1; };
  sigaction(SIGTERM, &stop, nullptr);
  sigaction(SIGINT, &stop, nullptr);

  mnl_socket* socket = mnl_socket_open(NETLINK_NETFILTER);
  const unsigned groups =
      mode == "events" ? NF_NETLINK_CONNTRACK_NEW | NF_NETLINK_CONNTRACK_UPDATE | NF_NETLINK_CONNTRACK_DESTROY
                       : 0;
  if (socket == nullptr || mnl_socket_bind(socket, groups, MNL_SOCKET_AUTOPID) < 0) {
    std::perror("open a netlink socket");
    return 1;
  }
  Capture capture{argv[2],
                  mode == "dump" ? "dump" : "",
                  static_cast<unsigned>(std::strtoul(argv[3], nullptr, 10)),
                  {},
                  {}};
  if (mode == "dump") ask_for_table(socket);
  const int status = run(socket, capture, mode == "dump" ? 1 : 0);
  mnl_socket_close(socket);
  return status;
}
