"""What the log claims: "none" only of a time of which it proves that it has all."""

import json
import signal
import time

import ctl
from case import LabCase, main
from netlab import SERVER4, wait_until

UNUSED = "203.0.113.1:9"
NEVER_NONE = ("uncertain", "not covered")


class CoverageTest(LabCase):
    def begin(self, *arguments):
        self.make_hosts("masquerade")
        self.ledger, self.control = self.path("ledger"), self.path("control.sock")
        return self.start_again(*arguments)

    def start_again(self, *arguments):
        return self.start(self.lab, "--ledger", self.ledger, "--control", self.control, "--sync", "100ms",
                          "--window", "1m", *arguments)

    def ask(self, *words, status=0):
        return json.loads(ctl.ask("--ledger", self.ledger, "--control", self.control, "--json", *words, status=status))

    def verdict(self, nat, at):
        return ctl.verdict(self.ledger, self.control, nat, at)

    def nat_end(self, port):
        """The translated end of the session that has this port at the client."""
        found = [s for s in self.ask("sessions")["sessions"] if s["pri_port"] == port]
        return f"{found[0]['nat_ip']}:{found[0]['nat_port']}"

    def covered_until(self):
        told = ctl.collector(self.control)["covered_until"]
        return told and ctl.unix_time(told)

    def test_a_session_that_ended_a_moment_ago_is_found_and_of_another_port_there_was_none(self):
        self.begin()
        for port in range(21000, 21020):
            self.client.open("one", "tcp", SERVER4, 7000, port)
            self.client.exchange("one", 100, 100)
            nat, at = self.nat_end(port), time.time()
            self.client.shut("one")
            self.lab.delete_flows("-p", "tcp", "--orig-port-src", str(port))
            self.assertEqual(self.verdict(nat, at), "found")
        self.assertEqual(self.verdict(UNUSED, time.time()), "no session")

    def test_what_an_answer_covers_ends_where_the_log_does(self):
        began = time.time()
        daemon = self.begin()
        self.client.session("udp", SERVER4, 7000)
        now = time.time()
        self.assertEqual(self.verdict(UNUSED, began - 60), "not covered")
        self.assertEqual(self.verdict(UNUSED, now), "no session")
        for words in (["top"], ["timeline"], ["ports"], ["export"]):
            if words != ["export"]:
                before = self.ask(*words, "--since", f"{began - 7200:.0f}", "--until", f"{began - 3600:.0f}")
                self.assertFalse(before["complete"], words)
        for where in (f"__time__ < {began - 60:.0f}", f"session_start < {began - 60:.0f}",
                      f"session_start >= {began - 60:.0f}", f"session_start < {time.time():.0f}"):
            self.assertFalse(self.ask("sql", f"SELECT count(*) FROM log WHERE {where}")["complete"], where)
        self.assertTrue(self.ask("sql", "SELECT count(*) FROM log")["complete"])
        daemon.stop()
        # Stopped in order: all that was open has a record.
        self.assertEqual(self.verdict(UNUSED, now), "no session")
        self.assertEqual(self.verdict(UNUSED, time.time()), "not covered")

    def test_while_the_kernel_sends_no_events_nothing_is_claimed(self):
        daemon = self.begin()
        self.assertEqual(self.verdict(UNUSED, time.time()), "no session")
        self.lab.sysctl("events", 0)
        wait_until(lambda: "covered_from" not in ctl.collector(self.control)
                   or ctl.collector(self.control)["covered_from"] is None, "that nothing is covered")
        silent = time.time()
        self.client.session("tcp", SERVER4, 7000)
        self.lab.delete_flows("-p", "tcp")
        self.assertIn(self.verdict(UNUSED, silent), NEVER_NONE)
        self.lab.sysctl("events", 1)
        wait_until(self.covered_until, "coverage")
        wait_until(lambda: self.ask("sql", "SELECT count(*) AS n FROM log WHERE reason = 'events_off'")["rows"][0]["n"],
                   "a gap record")
        gaps = self.ask("sql", "SELECT reason, start_time, end_time FROM log WHERE event = 'gap'")["rows"]
        self.assertEqual(ctl.collector(self.control)["gaps"], 1, gaps)
        self.assertIn(self.verdict(UNUSED, silent), NEVER_NONE)
        self.assertEqual(self.verdict(UNUSED, time.time()), "no session")
        daemon.stop()

    def test_of_what_a_kill_took_nothing_is_claimed(self):
        daemon = self.begin()
        self.client.open("open", "tcp", SERVER4, 7000, 22000)
        self.client.exchange("open", 1000, 1000)
        nat, at = self.nat_end(22000), time.time()
        wait_until(lambda: self.covered_until() and self.covered_until() > at, "coverage of that time")
        daemon.stop(signal.SIGKILL, -signal.SIGKILL)
        self.assertNotEqual(self.verdict(nat, at), "no session")
        self.client.shut("open")
        self.lab.delete_flows("-p", "tcp")
        self.start_again()
        self.assertNotEqual(self.verdict(nat, at), "no session")
        gap = self.ask("sql", "SELECT start_time AS since, end_time AS until FROM log WHERE event = 'gap'")["rows"][0]
        self.assertLessEqual(float(gap["since"]), at)

    def test_of_a_time_in_which_logging_was_off_nothing_is_claimed(self):
        self.begin()
        ctl.ask("--control", self.control, "disable")
        wait_until(lambda: not self.covered_until() or ctl.collector(self.control)["ready"] is False,
                   "that it is off")
        off = time.time()
        self.client.session("udp", SERVER4, 7000)
        self.assertIn(self.verdict(UNUSED, off), NEVER_NONE)
        ctl.ask("--control", self.control, "enable")
        wait_until(lambda: self.verdict(UNUSED, time.time()) == "no session", "that it is on")
        self.assertIn(self.verdict(UNUSED, off), NEVER_NONE)


if __name__ == "__main__":
    main()
