"""Flow logs where there is more than one way: a bridge, a second outside interface, hairpins. Entries by interface and direction are
what a packet capture of each interface and direction has."""

import json
import os
from collections import defaultdict

import ctl
from case import LabCase, main
from netlab import OUTER4, SERVER4, SERVER6, run, wait_until
from pcap import Capture
from traffic import IP4_UDP
from wide_lab import BEYOND4, BEYOND6, CLIENT4, FAR4, LAN4, NEAR4, SERVED, TO_CLIENT, TO_FAR, WideLab

INTERFACES = ("inner", "lan", "outer", "outer2")
RECORD = "interface,flow-direction,protocol,srcaddr,srcport,dstaddr,dstport,packets,bytes,end,action,log-status,session-id,seq"
DIRECTIONS = {"ingress": "in", "egress": "out"}

# What the document has: a host's session, by SNAT, with a server on port 12180.
DOCUMENTED = {"host": "172.16.20.21", "nat": "172.16.10.13", "nat_port": 48155, "server": "106.0.0.203", "port": 12180}


class FlowLogInterfacesTest(LabCase):
    needs = ("tcpdump",)

    def make_wide(self):
        self.lab = self.enterContext(WideLab())
        (self.client, self.near, self.far, self.server, self.beyond, self.box, self.second_box) = self.lab.hosts()

    def begin(self, *logs, arguments=(), **settings):
        text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
        for log in logs:
            log = {"name": "all", "resource": "0.0.0.0/0", "record": RECORD, "format": "json", "window": "2s",
                   "destination": "file:" + self.path("flow.json"), **log}
            text += "[[flow_log]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in log.items())
        self.daemon = self.start(self.lab, "--config", self.write("natsessiond.toml", text), *arguments)

    def entries(self, name="flow.json"):
        if not os.path.exists(self.path(name)):
            return []
        with open(self.path(name), encoding="utf-8") as file:
            return [json.loads(line) for line in file.read().splitlines() if line.endswith("}")]

    def traffic(self, name="flow.json"):
        return [e for e in self.entries(name) if e["log-status"] == "OK"]

    def wait_for_window(self, name="flow.json"):
        """Until one that began since now has been told."""
        def ends():
            return {e["end"] for e in self.entries(name) if e["log-status"] == "NODATA"}
        before = len(ends())
        wait_until(lambda: len(ends()) >= before + 2, "two windows more")

    def watch(self, *interfaces):
        """A capture for each interface and direction."""
        return {(name, direction): Capture(self.lab, name, self.path(f"{name}-{direction}.pcap"), DIRECTIONS[direction])
                for name in interfaces for direction in DIRECTIONS}

    @staticmethod
    def captured(captures):
        """What the captures saw of TCP and UDP, but for what hosts do by themselves."""
        return {place: {key: counts for key, counts in capture.stop().items() if key[0] in (6, 17)}
                for place, capture in captures.items()}

    @staticmethod
    def sums(entries):
        sums = defaultdict(lambda: defaultdict(lambda: [0, 0]))
        for e in entries:
            of_one = sums[e["interface"], e["flow-direction"]]
            key = (e["protocol"], e["srcaddr"], e["srcport"], e["dstaddr"], e["dstport"])
            of_one[key][0] += e["packets"]
            of_one[key][1] += e["bytes"]
        return {place: dict(of_one) for place, of_one in sums.items()}

    def assert_same(self, told, seen):
        self.assertLessEqual(told.keys(), seen.keys(), "interfaces and directions that nobody watched")
        for place, flows in seen.items():
            of_one = told.get(place, {})
            different = [f"{place} {key}: {of_one.get(key)}, not {flows.get(key)}"
                         for key in sorted(of_one.keys() | flows.keys(), key=str) if of_one.get(key) != flows.get(key)]
            self.assertEqual([], different[:10], f"{len(different)} of {len(flows)} differ")

    def make_all_kinds(self):
        """2,060 sessions: (how many entries they have all told)."""
        self.client.burst("tcp", SERVER4, SERVED, 20000, 250)       # translated, by the first way out
        self.client.burst("udp", SERVER4, SERVED, 20000, 250)
        self.client.burst("tcp", BEYOND4, SERVED, 21000, 200)       # and by the second
        self.client.burst("udp", BEYOND4, SERVED, 21000, 200)
        self.near.burst("tcp", CLIENT4, SERVED, 22000, 150)         # routed, from the bridge
        self.near.burst("udp", CLIENT4, SERVED, 22000, 150)
        self.near.burst("udp", BEYOND4, SERVED, 23000, 100)         # translated, from the bridge
        self.near.burst("tcp", OUTER4, TO_FAR, 24000, 100)          # hairpins: all on the bridge
        self.near.burst("udp", OUTER4, TO_FAR, 24000, 100)
        self.server.burst("tcp", OUTER4, TO_CLIENT, 25000, 100)     # from outside to a host inside
        self.box.burst("tcp", SERVER4, SERVED, 26000, 60)           # the box's own
        self.box.burst("udp", SERVER4, SERVED, 26000, 50)
        self.second_box.burst("tcp", BEYOND4, SERVED, 26000, 50)
        self.client.burst("tcp", SERVER6, SERVED, 27000, 100)       # IPv6: translated
        self.client.burst("udp", BEYOND6, SERVED, 27000, 100)
        self.near.burst("tcp", "fd64::2", SERVED, 28000, 100)       # and routed
        own, all_told = 160, 2060
        return 4 * (all_told - own) + 2 * own

    def test_2000_sessions_of_all_kinds_are_as_a_capture_of_each_interface_and_direction_has_them(self):
        self.make_wide()
        captures = self.watch(*INTERFACES)
        self.begin({}, {"name": "six", "resource": "::/0", "destination": "file:" + self.path("six.json")},
                   arguments=("--ledger", self.path("ledger"), "--control", self.path("control.sock")))
        entries = self.make_all_kinds()
        self.lab.wait_for_expiry()
        self.wait_for_window()
        self.assertEqual(ctl.collector(self.path("control.sock"))["interfaces_unknown"], 0)
        self.daemon.stop()
        told = self.sums(self.traffic())
        seen = self.captured(captures)
        self.assertEqual(sum(len(flows) for flows in seen.values()), entries)
        self.assert_same(told, seen)
        self.assertEqual(told, self.sums(self.traffic("six.json")), "each interface has addresses of both kinds")
        hairpins = {e["session-id"] for e in self.traffic() if e["dstport"] == TO_FAR}
        self.assertEqual(len(hairpins), 200)
        self.assertEqual({e["interface"] for e in self.traffic() if e["session-id"] in hairpins}, {"lan"})
        names = [(e["session-id"], e["seq"], e["interface"], e["flow-direction"]) for e in self.traffic()
                 if e["session-id"] not in hairpins]
        self.assertEqual(len(names), len(set(names)), "each is told once")

    def test_the_document_s_session_has_its_four_entries_and_no_other(self):
        self.make_wide()
        one = DOCUMENTED
        run("ip", "-n", self.lab.client, "addr", "add", one["host"] + "/24", "dev", "eth0")
        run("ip", "-n", self.lab.nat, "addr", "add", "172.16.20.1/24", "dev", "inner")
        run("ip", "-n", self.lab.nat, "route", "add", one["server"], "via", SERVER4)
        run("ip", "-n", self.lab.server, "addr", "add", one["server"] + "/32", "dev", "lo")
        run("ip", "-n", self.lab.server, "route", "add", one["nat"], "via", OUTER4)
        self.lab.nft(f"table ip document {{\n chain behind {{\n type nat hook postrouting priority srcnat - 1\n"
                     f"  ip saddr {one['host']} udp dport {one['port']} snat to {one['nat']}:{one['nat_port']}\n }}\n}}\n")
        self.server.ask("serve", protocol="udp", address=one["server"], port=one["port"])
        captures = self.watch(*INTERFACES)
        self.begin({})
        port = self.client.ask("open", name="one", protocol="udp", source=one["host"], source_port=0, destination=one["server"],
                               port=one["port"])
        for _ in range(3):
            self.client.exchange("one", 123, 456)
        self.client.shut("one")
        self.lab.wait_for_expiry()
        self.wait_for_window()
        self.daemon.stop()
        there, back = 3 * (IP4_UDP + 123), 3 * (IP4_UDP + 456)
        told = [(e["interface"], e["flow-direction"], e["srcaddr"], e["srcport"], e["dstaddr"], e["dstport"], e["protocol"],
                 e["packets"], e["bytes"], e["action"]) for e in self.traffic()]
        host, nat, server = (one["host"], port), (one["nat"], one["nat_port"]), (one["server"], one["port"])
        self.assertEqual(told, [("inner", "ingress", *host, *server, 17, 3, there, "ACCEPT"),
                                ("outer", "egress", *nat, *server, 17, 3, there, "ACCEPT"),
                                ("outer", "ingress", *server, *nat, 17, 3, back, "ACCEPT"),
                                ("inner", "egress", *server, *host, 17, 3, back, "ACCEPT")])
        self.assert_same(self.sums(self.traffic()), self.captured(captures))

    def test_entries_name_the_bridge_and_not_its_ports(self):
        """The kernel routes to the bridge, and by which port a frame goes is the bridge's affair."""
        self.make_wide()
        self.lab.nft("table inet refuse {\n chain rules {\n  type filter hook forward priority 0\n"
                     "  udp dport 9 log group 100 drop\n }\n}\n")
        self.begin({"name": "port", "resource": "port1", "destination": "file:" + self.path("port.json")},
                   {"name": "lan", "resource": "lan", "destination": "file:" + self.path("lan.json")},
                   {"name": "net", "resource": "10.65.0.0/24", "destination": "file:" + self.path("net.json")},
                   reject_group=["100"])
        self.near.session("udp", FAR4, SERVED)  # from port to port: it is not routed, and not tracked
        self.near.session("udp", LAN4, 9, receive=0)
        self.near.session("udp", BEYOND4, 9, receive=0)
        self.near.session("udp", SERVER4, SERVED)
        self.lab.wait_for_expiry()
        self.wait_for_window("lan.json")
        self.daemon.stop()
        self.assertEqual(self.traffic("port.json"), [])
        self.assertEqual({(e["interface"], e["srcaddr"], e["dstaddr"], e["action"]) for e in self.traffic("lan.json")},
                         {("lan", NEAR4, LAN4, "ACCEPT"), ("lan", NEAR4, SERVER4, "ACCEPT"), ("lan", SERVER4, NEAR4, "ACCEPT"),
                          ("lan", NEAR4, BEYOND4, "REJECT")})
        self.assertEqual(self.traffic("net.json"), self.traffic("lan.json"))


if __name__ == "__main__":
    main()
