"""Ports are used again: by the next session on the same 5-tuple, and by sessions to several peers at once."""

import json

import ctl
from bulk import Flood
from case import LabCase, main
from compare import by_session
from daemon import ends
from netlab import SERVER4, SERVER6, next_moment


class ReuseTest(LabCase):
    def setUp(self):
        super().setUp()
        self.make_watched_hosts(udp_timeout=30, udp_timeout_stream=30)

    def check(self, daemon, count):
        flows = self.witness.ended_flows(count)
        self.assertEqual(len(flows), count)
        daemon.wait_for_ends(count)
        records = daemon.stop()
        self.assertEqual(len(by_session(records)), count)
        self.assert_agrees(records, flows)

    def test_the_same_five_tuple_again_is_a_new_session(self):
        daemon = self.start(self.lab)
        for size in range(100, 105):
            self.client.session("udp", SERVER4, 7000, size, 2 * size, source_port=30000)
            self.lab.delete_flows("-p", "udp")
        self.check(daemon, 5)

    def test_the_same_tcp_five_tuple_again_while_the_old_flow_is_still_in_the_table(self):
        daemon = self.start(self.lab)
        self.lab.sysctl("tcp_timeout_close", 30)
        for _ in range(3):
            # After a reset the client may use the port at once: the kernel replaces the closed flow. But a
            # session's id is made of its tuples and its start in ms: these begin in different ones.
            next_moment()
            self.client.session("tcp", SERVER4, 7000, source_port=30000, how="rst")
        self.lab.conntrack("-F")
        self.check(daemon, 3)

    def test_one_source_port_to_several_peers_is_several_sessions(self):
        self.server.serve(7001)
        daemon = self.start(self.lab)
        for port in (7000, 7001):
            for protocol in ("tcp", "udp"):
                for server in (SERVER4, SERVER6):
                    name = f"{protocol} {server} {port}"
                    self.client.open(name, protocol, server, port, 30000)
                    self.client.exchange(name, port - 6000, 10 * (port - 6900))
        self.lab.conntrack("-F")
        self.check(daemon, 8)


class TwinsTest(LabCase):
    """The same ends again within a millisecond: who removes duplicates by (session_id, seq) must lose nothing."""

    COUNT = 5000

    def check(self, *arguments, **sysctls):
        lab = self.make_lab(**sysctls)
        ledger = self.path("ledger")
        daemon = self.start(lab, "--sink", "stdout", "--ledger", ledger, "--sync", "100ms", *arguments)
        Flood(lab).again(self.COUNT)
        daemon.wait_for_ends(self.COUNT)
        delivered = daemon.stop()
        for records in delivered, [json.loads(line) for line in ctl.ledger_lines(ledger)]:
            self.assertEqual(len(ends(records)), self.COUNT)
            self.assertEqual(len({(r["session_id"], r["seq"]) for r in records}), len(records))
            self.assertEqual(len({r["session_id"] for r in records}), self.COUNT)
        return delivered

    def test_with_the_kernels_stamps(self):
        records = self.check()
        self.assertLess(len({r["session_start"] for r in records}), self.COUNT, "no port was used again so soon")

    def test_with_none(self):
        self.check(timestamp=0)

    def test_with_a_record_at_the_beginning(self):
        self.check("--records", "start-end")

    def test_where_only_the_end_is_told(self):
        self.check("--events", "destroy", timestamp=0)


if __name__ == "__main__":
    main()
