"""Sessions that an nftables flowtable carries past connection tracking, with and without `counter`.

Their packets go from one interface to the other without being tracked. With `counter` the flowtable adds them to the flow's
counters. Without, nobody counts them, and what the kernel tells when the flow ends does not say so.
"""

import signal
import time

from case import LabCase, main
from compare import by_session, total
from daemon import MISSING, STOPPED_ON_REQUEST, run_to_end
from netlab import SERVER4, SERVER6, missing, next_moment, run
from pcap import Capture

NAMES = [f"{protocol} {server}" for protocol in ("tcp", "udp") for server in (SERVER4, SERVER6)]  # of the sessions
EXCHANGES = 30
CARRIED_IDLE_SECONDS = 41  # more than kCarriedIdle of lib/session/record_maker.cc


def ruleset(counter):
    return f"""
table inet fast {{
  flowtable carried {{
    hook ingress priority filter
    devices = {{ inner, outer }}
    {"counter" if counter else ""}
  }}
  chain forward {{
    type filter hook forward priority filter
    ct state established meta l4proto {{ tcp, udp }} flow add @carried
  }}
}}
"""


def tcp_interims(records):
    return [r for r in records if r["event"] == "interim" and r["protocol"] == 6]


class FlowtableTest(LabCase):
    needs = ("tcpdump",)

    def carry(self, counter):
        """A lab whose established flows are carried by a flowtable, and what it passes."""
        self.make_watched_hosts()
        try:
            self.lab.nft(ruleset(counter))
        except AssertionError as refused:
            if "No such file" not in str(refused):
                raise
            missing("this kernel has no flowtables; tests/lab/kernels.sh runs such that have")
        # What a NAT box carries so asks for no neighbour that it does not know any more, and without link-local addresses it
        # cannot ask for one beforehand.
        for device, host in (("inner", self.client), ("outer", self.server)):
            hardware = run("ip", "-n", host.namespace, "-brief", "link", "show", "eth0").split()[2]
            for address in host.addresses:
                run("ip", "-n", self.lab.nat, "neigh", "replace", address, "lladdr", hardware, "dev", device, "nud", "permanent")
        # UDP that moves nothing stays there for 30 s, whatever the timeouts of connection tracking are.
        run(*self.lab.enter(self.lab.nat), "sh", "-c", "echo 5 >/proc/sys/net/netfilter/nf_flowtable_udp_timeout")
        self.capture = Capture(self.lab, "inner", self.path("inner.pcap"))

    def check(self, status):
        # The witness listens, too.
        ended, out, told = run_to_end(self.lab, self.folder, "--check", "--reliable", "off")
        self.assertEqual(ended, status, out + told)
        return out

    def open_all(self):
        for name in NAMES:
            self.client.open(name, *name.split(), 7000)

    def move(self):
        """Traffic in all sessions; then all are carried."""
        for name in NAMES:
            for _ in range(EXCHANGES):
                self.client.exchange(name, 1000, 1400)
            protocol, server = name.split()
            self.assertIn("[OFFLOAD]", self.lab.conntrack("-L", "-f", "ipv6" if ":" in server else "ipv4", "-p", protocol))

    def shut_all(self, daemon):
        """Returns the flows that ended, and the records."""
        for name in NAMES:
            self.client.shut(name)
        flows = self.witness.flows()
        daemon.wait_for_ends(len(flows))
        return flows, daemon.stop()

    def tell(self, what, records):
        """[(bytes from the server that the records have, those that passed)] by session. For who reads the output, too."""
        captured = self.capture.stop()
        pairs = []
        for group in by_session(records).values():
            first = group[0]
            key = (first["protocol"], first["pub_ip"], first["pub_port"], first["pri_ip"], first["pri_port"])
            pairs.append((total(group, "bytes_from_pub"), captured[key][1]))
            print(f"seen: {what}: {'TCP' if first['protocol'] == 6 else 'UDP'} from {first['pub_ip']}: {pairs[-1][1]} bytes "
                  f"passed, records ({len(group)}) have {pairs[-1][0]}")
        return captured, pairs

    def test_with_counter_records_have_what_passed(self):
        self.carry(counter=True)
        self.assertIn("flowtables without counter = none", self.check(STOPPED_ON_REQUEST))
        daemon = self.start(self.lab)
        self.open_all()
        self.move()
        flows, records = self.shut_all(daemon)
        captured, _ = self.tell("with counter", records)
        self.assert_agrees(records, flows, capture=captured)

    def test_with_counter_each_window_has_what_passed_in_it(self):
        self.carry(counter=True)
        daemon = self.start(self.lab, "--window", "1h")
        self.open_all()
        for window in range(3):
            self.move()
            self.close_window(daemon, window + 1)
        flows, records = self.shut_all(daemon)
        captured, _ = self.tell("with counter, three windows", records)
        self.assert_agrees(records, flows, window_ms=None, capture=captured)
        for record in tcp_interims(records):
            self.assertGreaterEqual(record["bytes_from_pub"], EXCHANGES * 1400)

    def close_window(self, daemon, count):
        """By hand, and waits for the `count`th interim record of both TCP sessions."""
        next_moment()
        daemon.send_signal(signal.SIGUSR1)
        daemon.wait_for_records(lambda rs: len(tcp_interims(rs)) == 2 * count, f"{count} interim records of each TCP session")

    def test_without_counter_sessions_are_there_their_traffic_is_not_and_check_warns(self):
        self.carry(counter=False)
        self.assertRegex(self.check(MISSING), "WARNING +flowtables without counter = inet fast carried")
        daemon = self.start(self.lab)
        self.open_all()
        self.move()
        flows, records = self.shut_all(daemon)
        _, pairs = self.tell("without counter", records)
        # Who, with whom, from when to when; and the packets that had been tracked.
        self.assert_agrees(records, flows)
        for recorded, passed in pairs:
            self.assertLess(recorded, passed / 10)

    def test_without_counter_a_window_that_a_carried_session_moved_traffic_in_has_a_record_with_unknown_counters(self):
        self.carry(counter=False)
        daemon = self.start(self.lab, "--window", "1h")
        self.open_all()
        self.move()
        self.close_window(daemon, 1)
        # Only of what is still carried after that long is it known that it moved anything.
        until = time.monotonic() + CARRIED_IDLE_SECONDS
        while time.monotonic() < until:
            self.move()
        self.close_window(daemon, 2)
        _, records = self.shut_all(daemon)
        self.tell("without counter, two windows", records)
        groups = [group for group in by_session(records).values() if group[0]["protocol"] == 6]
        self.assertEqual(len(groups), 2)
        for group in groups:
            self.assertEqual([r["event"] for r in group], ["interim", "interim", "end"])
            self.assertEqual([r["bytes_from_pub"] is None for r in group], [False, True, True])


if __name__ == "__main__":
    main()
