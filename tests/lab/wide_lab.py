"""A wider lab, for what depends on interfaces: the one of netlab.py, and on its NAT box a bridge with two hosts behind its ports, and
a second interface to the outside.

    client -- inner       NAT box      outer -- server
              10.64.0.1                203.0.113.1     203.0.113.80
    near ---- port1 \\                 outer2 -- server
    far ----- port2 - lan                198.51.100.1    198.51.100.80
    10.65.0.2, .3     10.65.0.1

IPv6 likewise: fd64::/64 inside, fd65::/64 on the bridge, 2001:db8:113::/64 and 2001:db8:198::/64 outside.
"""

from netlab import CLIENT4, OUTER4, OUTER6, SERVER4, SERVER6, Lab, remove_namespace, run
from traffic import Host

LAN4, LAN6 = "10.65.0.1", "fd65::1"
NEAR4, NEAR6 = "10.65.0.2", "fd65::2"
FAR4, FAR6 = "10.65.0.3", "fd65::3"
SECOND4, SECOND6 = "198.51.100.1", "2001:db8:198::1"
BEYOND4, BEYOND6 = "198.51.100.80", "2001:db8:198::80"

SERVED = 7000        # by all hosts
TO_CLIENT = 8080     # of the box, from outside: the client's 7000
TO_FAR = 8090        # of the box, from the bridge: far's 7000, so that all of it crosses the bridge's interface

RULES = f"""
table ip wide {{
 chain before {{
  type nat hook prerouting priority dstnat
  iifname outer ip daddr {OUTER4} tcp dport {TO_CLIENT} dnat to {CLIENT4}:{SERVED}
  iifname lan ip daddr {OUTER4} meta l4proto {{ tcp, udp }} th dport {TO_FAR} dnat to {FAR4}:{SERVED}
 }}
 chain behind {{
  type nat hook postrouting priority srcnat
  iifname {{ inner, lan }} oifname {{ outer, outer2 }} masquerade
  iifname lan oifname lan ct status dnat masquerade
 }}
}}
table ip6 wide {{
 chain behind {{
  type nat hook postrouting priority srcnat
  iifname {{ inner, lan }} oifname {{ outer, outer2 }} masquerade
 }}
}}
"""


class WideLab(Lab):
    def __init__(self, **sysctls):
        # Rules of its own alone: not those that know `outer` as the way out.
        super().__init__(rules=("mark",), **sysctls)
        stem = self.client.removesuffix("client")
        self.near, self.far = stem + "near", stem + "far"

    def _make(self):
        super()._make()
        nat = ["ip", "-n", self.nat]
        run(*nat, "link", "add", "lan", "type", "bridge", "mcast_snooping", "0")
        for namespace, port, addresses in ((self.near, "port1", (NEAR4, NEAR6)), (self.far, "port2", (FAR4, FAR6))):
            run("ip", "netns", "add", namespace)
            run(*nat, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace)
            run(*nat, "link", "set", port, "master", "lan", "gso_max_segs", "1", "addrgenmode", "none", "up")
            self._interface(namespace, "eth0", [f"{addresses[0]}/24", f"{addresses[1]}/64"])
            for gateway in (LAN4, LAN6):
                run("ip", "-n", namespace, "route", "add", "default", "via", gateway)
        run(*nat, "link", "add", "outer2", "type", "veth", "peer", "name", "eth1", "netns", self.server)
        self._interface(self.nat, "lan", [f"{LAN4}/24", f"{LAN6}/64"])
        self._interface(self.nat, "outer2", [f"{SECOND4}/24", f"{SECOND6}/64"])
        self._interface(self.server, "eth1", [f"{BEYOND4}/24", f"{BEYOND6}/64"])
        self.nft(RULES)
        # Where the module br_netfilter is loaded, what goes from port to port would be tracked as well.
        run(*self.enter(self.nat), "sh", "-c", "for f in /proc/sys/net/bridge/bridge-nf-call-ip*tables; do "
            '[ ! -e "$f" ] || echo 0 >"$f" || exit 1; done')

    def remove(self):
        super().remove()
        for namespace in (self.near, self.far):
            remove_namespace(namespace)

    def hosts(self):
        """(client, near, far, server, beyond, the box towards the server, the box towards beyond): who answers on SERVED but
        for the box."""
        hosts = [Host(self, namespace, addresses) for namespace, addresses in (
            (self.client, [CLIENT4, "fd64::2"]), (self.near, [NEAR4, NEAR6]), (self.far, [FAR4, FAR6]),
            (self.server, [SERVER4, SERVER6]), (self.server, [BEYOND4, BEYOND6]),
            (self.nat, [OUTER4, OUTER6]), (self.nat, [SECOND4, SECOND6]))]
        for host in hosts[:5]:
            host.serve(SERVED)
        return hosts
