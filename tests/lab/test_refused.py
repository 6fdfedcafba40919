"""Refused packets: what NFLOG hands on, added up, is what the rules counted, packet by packet, in every hook; and what
does not fit is counted exactly. By the reader of the daemon, in a program of its own (tests/bench/refused_bench.cc).
"""

import os
import signal
import subprocess
import sys

from bulk import tool
from case import LabCase, main
from netlab import OUTER4, run, wait_until
from refused_traffic import GROUP, UDP, Key, Refused, udp, v4


ONLY_NET_ADMIN = ("setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all,+net_admin", "--inh-caps=-all,+net_admin",
                  "--ambient-caps=-all,+net_admin")


class Reader:
    """refused_bench on the NAT box. stop() returns its numbers and, with flows=True, {Key: [packets, bytes, flags]}."""

    def __init__(self, lab, *arguments, flows=False, before=()):
        self._process = subprocess.Popen(
            [*lab.enter(lab.nat), *before, tool("NATSESSION_REFUSED_BENCH"), str(GROUP), *arguments, *(["flows"] if flows else [])],
            stdout=subprocess.PIPE, text=True)
        lab.adopt(self)
        assert self._process.stdout.readline() == "ready\n", "refused_bench is not ready"

    @property
    def pid(self):
        return self._process.pid

    def send_signal(self, number):
        self._process.send_signal(number)

    def stop(self, names):
        self._process.terminate()
        out, _ = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, f"refused_bench ended with {self._process.returncode}"
        entries = {}
        for line in out.splitlines():
            words = line.split()
            if words[0] != "flow":
                numbers = {words[i]: float(words[i + 1]) for i in range(0, len(words), 2)}
                continue
            index, direction, src, sport, dst, dport, protocol, packets, count, flags = words[1:11]
            key = Key(names[int(index)], direction, src, int(sport), dst, int(dport), int(protocol))
            assert key not in entries, f"two entries of {key}"
            entries[key] = [int(packets), int(count), int(flags)]
        return numbers, entries

    def close(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


class RefusedTest(LabCase):
    needs = ("setpriv",)

    def setUp(self):
        super().setUp()
        self.lab = self.make_lab("masquerade")
        self.refused = Refused(self.lab)

    def mac(self, namespace, interface):
        return self.refused.mac(namespace, interface)

    def counted(self):
        return sum(packets for packets, _ in self.refused.counters().values())

    def flood(self, packets, addresses):
        """SYNs from outside that the hook `prerouting` refuses: as fast as they go. Returns how many were sent."""
        self.lab.nft("table inet flooded {\n chain rules {\n  type filter hook prerouting priority -460\n"
                     f"  tcp dport 443 ip daddr {OUTER4} counter log group {GROUP} drop\n }}\n}}\n")
        sent = 0
        while sent < packets:
            sent += self.burst(min(1.0, packets / 500_000), addresses)
        return sent

    def burst(self, seconds, addresses, rate=0):
        told = run(*self.lab.enter(self.lab.server), tool("NATSESSION_REFUSED_FLOOD"), "eth0", self.mac(self.lab.nat, "outer"),
                   OUTER4, rate, seconds, addresses)
        return int(told.split()[1])

    def assert_entries(self, entries, wanted):
        different = [f"{key}: {entries.get(key)}, not {wanted.get(key)}" for key in sorted(entries.keys() | wanted.keys(), key=str)
                     if entries.get(key) != wanted.get(key)]
        self.assertEqual([], different[:20], f"{len(different)} entries differ:\n" + "\n".join(different[:20]))

    def test_each_packet_in_each_hook_is_told_as_the_rules_counted_it(self):
        reader = Reader(self.lab, flows=True)
        self.refused.send(rounds=3)
        expected = self.refused.expected_counters()
        self.assertEqual(expected, self.refused.counters())
        numbers, entries = self.read_all(reader)
        self.assert_entries(entries, self.refused.entries)
        self.assertEqual(self.counted(), numbers["packets"])
        self.assertEqual(sum(count for _, count in self.refused.counters().values()), numbers["bytes"])
        for nothing in ("lost", "malformed", "not_ip", "strange", "left_out"):
            self.assertEqual(0, numbers[nothing], nothing)

    def read_all(self, reader):
        """Once nothing is left with the kernel, which hands on what it gathers after a tenth of a second."""
        listed = [*self.lab.enter(self.lab.nat), "cat", "/proc/net/netfilter/nfnetlink_log"]
        wait_until(lambda: run(*listed).split()[2] == "0", "the kernel keeps copies")
        return reader.stop(self.refused.interface_names())

    def test_one_capability_is_enough(self):
        reader = Reader(self.lab, f"buffer={64 << 20}", before=ONLY_NET_ADMIN)
        self.refused.send()
        numbers, _ = self.read_all(reader)
        self.assertEqual(self.counted(), numbers["packets"])
        self.assertEqual(64 << 20, numbers["buffer"])  # beyond net.core.rmem_max

    def test_what_a_bridge_refuses_is_the_bridge_s(self):
        ip = ["ip", "-n", self.lab.nat]
        run(*ip, "link", "add", "br0", "type", "bridge")
        run(*ip, "link", "add", "port0", "type", "veth", "peer", "name", "eth1", "netns", self.lab.client)
        run(*ip, "link", "set", "port0", "master", "br0")
        for link in ("br0", "port0"):
            run(*ip, "link", "set", link, "addrgenmode", "none", "up")
        run("ip", "-n", self.lab.client, "link", "set", "eth1", "addrgenmode", "none", "up")
        self.lab.nft("table bridge refused_bridge {\n chain rules {\n  type filter hook prerouting priority 0\n"
                     f"  ip daddr 192.0.2.9 counter log group {GROUP} drop\n }}\n}}\n")
        reader = Reader(self.lab, flows=True)
        packet = v4("192.0.2.1", "192.0.2.9", UDP, udp(5000, 53, 100))
        link = bytes.fromhex(self.mac(self.lab.nat, "br0").replace(":", "")) + b"\2\0\0\0\0\2" + b"\x08\0"
        self.refused.send_lines(self.lab.client, ["frames", "eth1"], [(link + packet).hex()] * 5)
        numbers, entries = self.read_all(reader)
        self.assertEqual({Key("br0", "ingress", "192.0.2.1", 5000, "192.0.2.9", 53, UDP): [5, 640, 0]}, entries)
        self.assertEqual((5, 640), self.refused.counters()["bridge"])

    def test_entries_and_counted_loss_are_what_the_rules_counted_with_a_small_buffer(self):
        reader = Reader(self.lab, "buffer=1", flows=True)
        sent = self.flood(200_000, 1000)
        self.refused.send()  # what comes behind tells how much was lost before
        numbers, entries = self.read_all(reader)
        self.assertGreater(numbers["lost"], 0)
        self.assertGreater(numbers["dropped_messages"], 0)
        self.assertEqual(sent + self.counted(), numbers["packets"] + numbers["lost"])
        self.assertEqual(numbers["packets"], sum(packets for packets, _, _ in entries.values()))

    def test_a_reader_that_stands_still_loses_nothing_that_fits_and_counts_the_rest(self):
        reader = Reader(self.lab, f"buffer={8 << 20}", "max_flows=5000")
        reader.send_signal(signal.SIGSTOP)
        sent = self.flood(300_000, 2000)
        reader.send_signal(signal.SIGCONT)
        wait_until(lambda: queued_bytes(self.lab, reader.pid) == 0, "the reader goes on")
        sent += self.burst(0.05, 2000, rate=1000)
        numbers, _ = self.read_all(reader)
        self.assertGreater(numbers["packets"], 50_000)
        self.assertGreater(numbers["lost"], 0)
        self.assertEqual(sent, numbers["packets"] + numbers["lost"])

    def test_a_full_table_counts_what_it_leaves_out(self):
        reader = Reader(self.lab, "max_flows=1000", "window=1")
        sent = self.flood(400_000, 50_000)
        numbers, _ = self.read_all(reader)
        self.assertEqual(0, numbers["lost"])
        self.assertEqual(sent, numbers["packets"])
        self.assertEqual(sent, numbers["flow_packets"] + numbers["left_out"])
        self.assertLessEqual(numbers["flows"], 1000 * numbers["windows"])
        self.assertGreater(numbers["left_out"], 0)
        self.assertLess(numbers["rss_kib"], 40_000)


def queued_bytes(lab, pid):
    """What waits in the netlink socket of the process. Its port is the process's id: it has but one."""
    shown = run(*lab.enter(lab.nat), "cat", "/proc/net/netlink")
    return sum(int(line.split()[4]) for line in shown.splitlines()[1:] if line.split()[1] == "12" and line.split()[2] == str(pid))


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(__file__))
    main()
