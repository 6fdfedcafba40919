"""Sessions across windows: what is logged when, and that the slices add up."""

import signal
import time

from case import LabCase, main
from netlab import SERVER4, next_moment, wait_until


def interims(records, port=None):
    return [r for r in records if r["event"] == "interim" and port in (None, r["pri_port"])]


class WindowsTest(LabCase):
    def setUp(self):
        super().setUp()
        self.make_watched_hosts()

    def test_a_session_across_windows_has_an_interim_record_for_each_and_they_add_up(self):
        daemon = self.start(self.lab, "--window", "2s")
        for protocol, port in (("tcp", 21000), ("udp", 22000)):
            self.client.open(protocol, protocol, SERVER4, 7000, port)
        # The UDP flow must outlive a window with one exchange in it.
        self.lab.sysctl("udp_timeout", 30)
        self.lab.sysctl("udp_timeout_stream", 30)
        for window in range(3):
            self.client.exchange("tcp", 1000 + window, 20000)
            self.client.exchange("udp", 300 + window, 400)
            daemon.wait_for_records(
                lambda rs, n=window: min(len(interims(rs, 21000)), len(interims(rs, 22000))) > n,
                f"{window + 1} interim records of each session")
        self.client.exchange("tcp", 8, 1)
        self.client.shut("tcp")
        self.client.shut("udp")
        self.lab.delete_flows("-p", "udp")
        flows = self.witness.flows()
        daemon.wait_for_ends(2)
        records = daemon.stop()
        self.assert_agrees(records, flows, window_ms=2000)
        for record in records:
            self.assertEqual(record["reason"], "destroyed" if record["event"] == "end" else None)

    def test_an_idle_window_has_no_record(self):
        daemon = self.start(self.lab, "--window", "1s")
        self.client.open("idle", "tcp", SERVER4, 7000, 21000)
        self.client.open("busy", "tcp", SERVER4, 7000, 22000)
        self.client.exchange("idle", 100, 100)
        daemon.wait_for_records(lambda rs: interims(rs, 21000), "the interim record of the first window")
        seen = len(interims(daemon.records(), 22000))
        for window in range(1, 4):
            self.client.exchange("busy", 100, 100)
            daemon.wait_for_records(
                lambda rs, n=window: len(interims(rs, 22000)) >= seen + n, "a window of the busy session")
        # Its one record, or two where the opening and the exchange fell into two windows.
        idle = interims(daemon.records(), 21000)
        self.assertLessEqual(len(idle), 2)
        for name in ("idle", "busy"):
            self.client.shut(name)
        flows = self.witness.flows()
        daemon.wait_for_ends(2)
        self.assert_agrees(daemon.stop(), flows, window_ms=1000)

    def test_counters_that_another_program_zeroes_are_unknown_and_that_is_told_once(self):
        daemon = self.start(self.lab, "--window", "1s")
        self.client.open("a", "tcp", SERVER4, 7000)
        self.client.exchange("a", 5000, 50000)
        for round_ in range(2):
            counted = len([r for r in interims(daemon.records()) if r["bytes_from_pub"]])
            self.client.exchange("a", 2000 * (round_ + 1), 20000 * (round_ + 1))
            daemon.wait_for_records(
                lambda rs, n=counted: len([r for r in interims(rs) if r["bytes_from_pub"]]) > n, "a window that counts")
            self.lab.conntrack("-L", "-z")
            daemon.wait_for_records(
                lambda rs, n=round_: len([r for r in interims(rs) if r["bytes_from_pub"] is None]) > n,
                "a record that does not know")
        daemon.wait_for_message("zeroes the counters")
        self.client.shut("a")
        daemon.wait_for_ends(1)
        records = daemon.stop()
        unknown = [r for r in records if None in (r["bytes_from_pub"], r["pkts_from_vpc"])]
        self.assertEqual(len(unknown), 2)
        self.assertEqual(daemon.message_text().count("zeroes the counters"), 1)

    def test_sigusr1_closes_the_window_now(self):
        daemon = self.start(self.lab, "--window", "1h")
        self.client.open("a", "tcp", SERVER4, 7000)
        for count in (1, 2):
            self.client.exchange("a", 500, 5000)
            next_moment()  # a session that begins just then belongs to the window that opens
            daemon.send_signal(signal.SIGUSR1)
            daemon.wait_for_records(lambda rs, n=count: len(interims(rs)) == n, f"{count} interim records")
        # Nothing has moved since: no record.
        daemon.send_signal(signal.SIGUSR1)
        self.client.shut("a")
        flows = self.witness.flows()
        daemon.wait_for_ends(1)
        records = daemon.stop()
        self.assert_agrees(records, flows, window_ms=None)
        self.assertGreater(interims(records)[1]["bytes_from_pub"], 5000)

    def across_two_boundaries(self, mode):
        daemon = self.start(self.lab, "--window", "1s", "--records", mode)
        self.client.open("a", "tcp", SERVER4, 7000)
        self.client.exchange("a", 500, 5000)
        boundary = int(time.time()) + 2
        wait_until(lambda: time.time() > boundary + 0.3, "two windows")
        self.client.exchange("a", 500, 5000)
        self.client.shut("a")
        flows = self.witness.flows()
        daemon.wait_for_ends(1)
        records = daemon.stop()
        self.assert_agrees(records, flows, mode=mode)
        return [r["event"] for r in records]

    def test_records_end_gives_one_record(self):
        self.assertEqual(self.across_two_boundaries("end"), ["end"])

    def test_records_start_end_gives_two(self):
        self.assertEqual(self.across_two_boundaries("start-end"), ["start", "end"])


if __name__ == "__main__":
    main()
