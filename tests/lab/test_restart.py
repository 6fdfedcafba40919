"""Over a restart with a ledger: nothing twice, nothing missing."""

import signal
import time

import ctl
from case import LabCase, main
from compare import by_session
from daemon import USAGE, ends, parse, read_records, run_to_end
from netlab import SERVER4, SERVER6, wait_until

NAMES = [f"{protocol} {server}" for protocol in ("tcp", "udp") for server in (SERVER4, SERVER6)]


class RestartTest(LabCase):
    def setUp(self):
        super().setUp()
        self.make_watched_hosts(udp_timeout=60, udp_timeout_stream=60)
        self.arguments = ("--sink", "stdout", "--ledger", self.path("ledger"), "--sync", "100ms", "--window", "2s")

    def open_all(self):
        for name in NAMES:
            self.client.open(name, *name.split(), 7000)
            self.client.exchange(name, 700, 1300)

    def exchange_all(self):
        for name in NAMES:
            self.client.exchange(name, 900, 1100)

    def end_all(self):
        for name in NAMES:
            self.client.shut(name)
        self.lab.delete_flows("-p", "udp")

    def test_the_records_of_both_runs_add_up_and_are_distinct(self):
        first = self.start(self.lab, *self.arguments)
        self.open_all()
        first.wait_for_records(lambda rs: len(by_session(rs)) == 4, "an interim record of each session")
        self.exchange_all()
        first.stop()
        self.exchange_all()
        second = self.start(self.lab, *self.arguments)
        self.exchange_all()
        self.end_all()
        flows = self.witness.flows()
        second.wait_for_ends(4)
        records = second.stop()  # both runs: stdout is one file
        names = [(r["session_id"], r["seq"]) for r in records]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(len(by_session(records)), 4)
        self.assert_agrees(records, flows, window_ms=None)

    def test_a_session_that_ended_in_between_is_closed_once(self):
        first = self.start(self.lab, *self.arguments)
        self.open_all()
        first.stop()
        self.end_all()
        flows = self.witness.flows()
        self.assertEqual(len(flows), 4)
        second = self.start(self.lab, *self.arguments)
        second.wait_for_ends(4)
        second.send_signal(signal.SIGUSR1)
        records = second.stop()
        self.assertEqual([r["reason"] for r in ends(records)], ["vanished"] * 4)
        self.assertEqual([len(group) for group in by_session(records).values()], [2] * 4)


    def test_without_a_ledger_a_kill_is_told_by_the_gap_of_the_next_start(self):
        log = self.path("log.json")
        told = lambda: [r for r in read_records(log, starts=True) if r["event"] == "gap"]
        first = self.start(self.lab, "--sink", "file:" + log)
        wait_until(lambda: len(told()) == 1, "the gap of the start")
        first.stop(signal.SIGKILL, -signal.SIGKILL)
        self.client.session("udp", SERVER4, 7000)
        self.lab.delete_flows("-p", "udp")
        lost = time.time()
        second = self.start(self.lab, "--sink", "file:" + log)
        wait_until(lambda: len(told()) == 2, "the gap of the next start")
        second.stop()
        self.assertEqual([(r["reason"], r["start_time"]) for r in told()], [("started", None)] * 2)
        self.assertGreaterEqual(told()[1]["end_time"], lost)

    def test_a_refused_start_after_a_kill_makes_nothing_forgotten(self):
        ledger = self.path("ledger")
        first = self.start(self.lab, *self.arguments)
        self.open_all()
        first.wait_for_records(lambda rs: len(by_session(rs)) == 4, "an interim record of each session")
        first.stop(signal.SIGKILL, status=-signal.SIGKILL)
        killed = max(record["end_time"] for record in self.logged())
        for _ in range(2):
            status, _, told = run_to_end(self.lab, self.folder, "--ledger", ledger, "--sink", "file:/no/such/folder/log.json")
            self.assertEqual(status, USAGE, told)
        second = self.start(self.lab, *self.arguments)
        self.assertIn("4 sessions were open", second.message_text())
        self.exchange_all()
        self.end_all()
        second.wait_for_ends(4)
        second.stop()
        records = self.logged()
        names = [(r["session_id"], r["seq"]) for r in records]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(len(by_session(records)), 4)
        gaps = [record for record in records if record["event"] == "gap"]
        self.assertEqual([gap["reason"] for gap in gaps], ["stopped"])
        self.assertLessEqual(gaps[0]["start_time"], killed)

    def logged(self):
        return [parse(line) for line in ctl.ledger_lines(self.path("ledger"))]


if __name__ == "__main__":
    main()
