"""Traffic that the NAT box refuses: rules that log to an NFLOG group and drop, in each hook that packets can be refused in,
and packets for them whose entries are known beforehand.

    refused = Refused(lab)      # the rules
    refused.send(rounds=3)      # packets of every kind through every hook
    refused.entries             # what a log must say: {Key: Sum}
    refused.counters()          # what the rules counted: {hook: (packets, bytes)}

Each hook has addresses of its own, by which its rule knows its packets. As a program it sends frames, one a line of hex:
    refused_traffic.py frames INTERFACE     with their link's header
    refused_traffic.py packets              IPv4 and IPv6, from the box itself
"""

import ipaddress
import json
import socket
import struct
import sys
from collections import namedtuple

from netlab import run

GROUP = 100
TCP, UDP, ICMP, ICMP6, SCTP, ESP, UDPLITE, DCCP = 6, 17, 1, 58, 132, 50, 136, 33
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION = 0, 43, 44, 51
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
ETHERNET_BYTES = 14

Key = namedtuple("Key", "interface direction src sport dst dport protocol")
Hook = namedtuple("Hook", "name sender interface direction number defragmented table chain")

# Before -400 fragments are still what they were on the wire; behind that conntrack joins them.
HOOKS = [
    Hook("ingress", "client", "inner", "ingress", 10, False, "netdev", "type filter hook ingress device inner priority 0"),
    Hook("prerouting", "client", "inner", "ingress", 11, False, "inet", "type filter hook prerouting priority -450"),
    Hook("input", "client", "inner", "ingress", 12, True, "inet", "type filter hook input priority 0"),
    Hook("forward", "client", "inner", "ingress", 13, True, "inet", "type filter hook forward priority 0"),
    Hook("postrouting", "client", "outer", "egress", 14, True, "inet", "type filter hook postrouting priority 50"),
    Hook("output", "nat", "outer", "egress", 15, False, "inet", "type filter hook output priority -450"),
    Hook("egress", "nat", "outer", "egress", 16, True, "netdev", "type filter hook egress device outer priority 0"),
]

# What the flow logs' documents say of one packet's flags: ACK alone is none.
FLAGS = {SYN: 2, SYN | ACK: 18, RST | ACK: 4, ACK: 0, FIN | PSH | ACK: 9, URG | ACK: 32}


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ports(sport, dport, behind):
    return struct.pack("!HH", sport, dport) + behind


def tcp(sport, dport, flags, payload=0):
    return ports(sport, dport, struct.pack("!IIBBHHH", 1, 1, 5 << 4, flags, 0xffff, 0, 0)) + bytes(payload)


def udp(sport, dport, payload):
    return ports(sport, dport, struct.pack("!HH", 8 + payload, 0)) + bytes(payload)


def packed(address):
    return ipaddress.ip_address(address).packed


def v4(src, dst, protocol, payload, fragment=0, options=b""):
    head = struct.pack("!BBHHHBBH", 0x40 + 5 + len(options) // 4, 0, 20 + len(options) + len(payload), 7, fragment, 64,
                       protocol, 0) + packed(src) + packed(dst) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def v6(src, dst, protocol, payload):
    return struct.pack("!IHBB", 0x60000000, len(payload), protocol, 64) + packed(src) + packed(dst) + payload


def options6(following, payload):
    """A header of 8 bytes, padding alone, in front of `payload`."""
    return struct.pack("!BBBB4x", following, 0, 1, 4) + payload


def fragment6(following, offset, more, payload):
    return struct.pack("!BBHI", following, 0, offset << 3 | more, 9) + payload


def packets_of(hook, src4, dst4, src6, dst6):
    """(packet, source, source port, destination, destination port, protocol, flags) of each kind that gets to `hook`."""
    # On its way out of a device a frame has its header, and of 64 bytes that are copied 50 are the packet's: IPv6 and TCP's
    # ports, but not its flags.
    short = hook.name == "egress"
    for number, flags in enumerate(FLAGS):
        yield v4(src4, dst4, TCP, tcp(4000, 80 + number, flags)), src4, 4000, dst4, 80 + number, TCP, FLAGS[flags]
        yield v6(src6, dst6, TCP, tcp(4000, 80 + number, flags)), src6, 4000, dst6, 80 + number, TCP, 0 if short else FLAGS[flags]
    # One flow whose flags add up, and whose packets are longer than the copy of them.
    for flags in (SYN, PSH | ACK, FIN | ACK):
        yield v4(src4, dst4, TCP, tcp(4001, 443, flags, 900)), src4, 4001, dst4, 443, TCP, 1 | 2 | 8
    for payload in (0, 20, 1400):
        yield v4(src4, dst4, UDP, udp(5000, 53, payload)), src4, 5000, dst4, 53, UDP, 0
        yield v6(src6, dst6, UDP, udp(5000, 53, payload)), src6, 5000, dst6, 53, UDP, 0
    for protocol in (SCTP, UDPLITE, DCCP):
        yield v4(src4, dst4, protocol, ports(6000, 7, bytes(28))), src4, 6000, dst4, 7, protocol, 0
        yield v6(src6, dst6, protocol, ports(6000, 7, bytes(28))), src6, 6000, dst6, 7, protocol, 0
    yield v4(src4, dst4, ESP, bytes(40)), src4, 0, dst4, 0, ESP, 0
    yield v4(src4, dst4, ICMP, b"\x08\0\0\0\0\x07\0\1" + bytes(50)), src4, 0, dst4, 0, ICMP, 0
    yield v6(src6, dst6, ICMP6, b"\x80\0\0\0\0\x07\0\1" + bytes(50)), src6, 0, dst6, 0, ICMP6, 0
    if not short:
        # Padding as options: 1 is "no operation".
        yield v4(src4, dst4, TCP, tcp(4002, 80, SYN), options=b"\1" * 24), src4, 4002, dst4, 80, TCP, 2
        yield v4(src4, dst4, TCP, tcp(4003, 80, SYN), options=b"\1" * 40), src4, 4003, dst4, 80, TCP, 0
        yield v6(src6, dst6, HOP_BY_HOP, options6(UDP, udp(5001, 53, 4))), src6, 5001, dst6, 53, UDP, 0
        yield v6(src6, dst6, 60, options6(60, options6(UDP, udp(5002, 53, 4)))), src6, 5002, dst6, 53, UDP, 0
    if not hook.defragmented:
        yield v4(src4, dst4, UDP, udp(5003, 53, 64), fragment=0x2000), src4, 5003, dst4, 53, UDP, 0
        yield v4(src4, dst4, UDP, bytes(64), fragment=0x2009), src4, 0, dst4, 0, UDP, 0
        yield v6(src6, dst6, FRAGMENT, fragment6(UDP, 0, 1, udp(5003, 53, 64))), src6, 5003, dst6, 53, UDP, 0
        yield v6(src6, dst6, FRAGMENT, fragment6(TCP, 9, 0, bytes(64))), src6, 0, dst6, 0, TCP, 0


class Refused:
    """`group`: of NFLOG; `threshold`: what the rules ask for (nftables' queue-threshold), None: nothing."""

    def __init__(self, lab, group=GROUP, threshold=None):
        self._lab = lab
        self.entries = {}
        log = f"log group {group}" + (f" queue-threshold {threshold}" if threshold else "")
        text = ""
        for hook in HOOKS:
            _, _, _, _, match4, match6 = self._addresses(hook)
            text += (f"table {hook.table} refused_{hook.name} {{\n chain rules {{\n  {hook.chain}\n"
                     f"  {match4} counter {log} drop\n  {match6} counter {log} drop\n }}\n}}\n")
        lab.nft(text)
        # So that no packet waits for its neighbour, and nothing but these comes by.
        server = self.mac(lab.server, "eth0")
        for hook in HOOKS:
            _, dst4, _, dst6, _, _ = self._addresses(hook)
            for address in (dst4, dst6) if hook.name in ("egress", "postrouting", "output") else ():
                run("ip", "-n", lab.nat, "neigh", "replace", address, "lladdr", server, "dev", "outer")

    @staticmethod
    def _addresses(hook):
        """Source and destination of both families, and how a rule knows the hook's packets."""
        if hook.sender == "nat":
            dst4, dst6 = f"203.0.113.{hook.number}", f"2001:db8:113::{hook.number}"
            return ("203.0.113.1", dst4, "2001:db8:113::1", dst6, f"ip daddr {dst4}", f"ip6 daddr {dst6}")
        src4, src6 = f"10.64.0.{hook.number}", f"fd64::{hook.number}"
        to_box = hook.name == "input"
        dst4, dst6 = ("10.64.0.1", "fd64::1") if to_box else (f"203.0.113.{hook.number}", f"2001:db8:113::{hook.number}")
        return (src4, dst4, src6, dst6, f"ip saddr {src4}", f"ip6 saddr {src6}")

    def mac(self, namespace, interface):
        return json.loads(run("ip", "-n", namespace, "-j", "link", "show", "dev", interface))[0]["address"]

    def interface_names(self):
        """{index: name} of the NAT box."""
        return {link["ifindex"]: link["ifname"] for link in json.loads(run("ip", "-n", self._lab.nat, "-j", "link"))}

    def send(self, rounds=1):
        """Every kind of packet through every hook, `rounds` times. entries then has them."""
        link = bytes.fromhex(self.mac(self._lab.nat, "inner").replace(":", "")) + b"\2\0\0\0\0\2"
        lines = {"client": [], "nat": []}
        for hook in HOOKS:
            src4, dst4, src6, dst6, _, _ = self._addresses(hook)
            for packet, src, sport, dst, dport, protocol, flags in packets_of(hook, src4, dst4, src6, dst6):
                ether_type = b"\x08\0" if packet[0] >> 4 == 4 else b"\x86\xdd"
                frame = packet if hook.sender == "nat" else link + ether_type + packet
                lines[hook.sender] += [frame.hex()] * rounds
                key = Key(hook.interface, hook.direction, src, sport, dst, dport, protocol)
                entry = self.entries.setdefault(key, [0, 0, 0])
                entry[0] += rounds
                entry[1] += rounds * len(packet)
                entry[2] |= flags
        for namespace, how, frames in ((self._lab.client, ["frames", "eth0"], lines["client"]),
                                       (self._lab.nat, ["packets"], lines["nat"])):
            self.send_lines(namespace, how, frames)

    def send_lines(self, namespace, how, lines):
        """Frames in hex from a namespace; `how`: this program's arguments."""
        run(*self._lab.enter(namespace), sys.executable, __file__, *how, text_in="\n".join(lines))

    def counters(self):
        """{hook: (packets, bytes)}, bytes from the IP header on."""
        counted = {}
        for item in json.loads(run(*self._lab.enter(self._lab.nat), "nft", "-j", "list", "ruleset"))["nftables"]:
            rule = item.get("rule", {})
            if not rule.get("table", "").startswith("refused_"):
                continue
            hook = rule["table"].removeprefix("refused_")
            for expression in rule["expr"]:
                if "counter" in expression:
                    packets, count = expression["counter"]["packets"], expression["counter"]["bytes"]
                    # On its way out of a device a frame has its header.
                    count -= packets * ETHERNET_BYTES if hook == "egress" else 0
                    before = counted.get(hook, (0, 0))
                    counted[hook] = (before[0] + packets, before[1] + count)
        return counted

    def expected_counters(self):
        """What the rules must have counted, if all that was sent got to its rule."""
        expected = {}
        for hook in HOOKS:
            src4, dst4, src6, dst6, _, _ = self._addresses(hook)
            sums = [entry for key, entry in self.entries.items() if (key.src, key.dst) in ((src4, dst4), (src6, dst6))]
            expected[hook.name] = (sum(entry[0] for entry in sums), sum(entry[1] for entry in sums))
        return expected


def send_frames(interface):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((interface, 0))
        for line in sys.stdin:
            sender.send(bytes.fromhex(line))


def send_packets():
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as four, \
            socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as six:
        for line in sys.stdin:
            packet = bytes.fromhex(line)
            try:
                if packet[0] >> 4 == 4:
                    four.sendto(packet, (socket.inet_ntop(socket.AF_INET, packet[16:20]), 0))
                else:
                    six.sendto(packet, (socket.inet_ntop(socket.AF_INET6, packet[24:40]), 0))
            except PermissionError:
                pass  # refused on its way out, as is meant


if __name__ == "__main__":
    send_frames(sys.argv[2]) if sys.argv[1] == "frames" else send_packets()
