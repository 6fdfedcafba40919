"""Where the kernel stamps nothing, which is its default: of a session whose beginning nobody saw none is denied."""

import signal
import time

import ctl
from case import LabCase, main
from netlab import next_moment, wait_until

ITS_ROUND_SECONDS = 0.1  # in which a daemon that runs takes what the kernel told


class UnstampedTest(LabCase):
    def setUp(self):
        super().setUp()
        self.make_hosts("masquerade", timestamp=0, udp_timeout=60, udp_timeout_stream=60)
        self.ledger, self.control = self.path("ledger"), self.path("control.sock")

    def begin(self):
        return self.start(self.lab, "--ledger", self.ledger, "--control", self.control, "--sync", "50ms", "--window", "1m")

    def collector(self):
        return ctl.collector(self.control)

    def end_session(self, port):
        self.client.shut(str(port))
        self.lab.delete_flows("-p", "udp", "--orig-port-src", str(port))

    def wait_until_covered(self, at):
        wait_until(lambda: ctl.unix_time(self.collector()["covered_until"] or "1970-01-01T00:00:00+00:00") > at,
                   "coverage of that time")

    def assert_not_denied(self, port, at):
        verdict = ctl.verdict(self.ledger, self.control, f"203.0.113.1:{port}", at)
        self.assertNotEqual(verdict, "no session", f"of {time.time() - at:.3f} s ago")

    def test_one_that_was_open_before_the_daemon_started_is_not_denied(self):
        self.open_session(20000)
        daemon = self.begin()
        wait_until(lambda: self.collector()["live_sessions"] == 1, "it is known")
        next_moment()
        at = time.time()
        self.client.exchange("20000", 100, 100)
        self.assert_not_denied(20000, at)
        self.end_session(20000)
        self.assert_not_denied(20000, at)
        daemon.stop()
        self.assert_not_denied(20000, at)

    def test_one_that_began_under_it_is_not_denied_while_it_is_open(self):
        daemon = self.begin()
        at = self.open_session(20000)
        wait_until(lambda: self.collector()["live_sessions"] == 1, "it is known")
        self.wait_until_covered(time.time())
        self.assert_not_denied(20000, at + ITS_ROUND_SECONDS)
        daemon.stop()

    def test_one_that_lived_while_the_daemon_was_stopped_is_not_denied_at_that_time(self):
        daemon = self.begin()
        self.wait_until_covered(time.time())
        daemon.send_signal(signal.SIGSTOP)
        at = self.open_session(20000)
        self.client.exchange("20000", 100, 100)
        time.sleep(1)  # how long it is stopped is the point
        daemon.send_signal(signal.SIGCONT)
        wait_until(lambda: self.collector()["live_sessions"] == 1, "it is known")
        self.end_session(20000)
        self.wait_until_covered(time.time())
        self.assert_not_denied(20000, at)
        daemon.stop()
        self.assert_not_denied(20000, at)

    def test_one_that_began_in_a_moment_without_events_is_not_denied(self):
        """That no event was sent for a moment is known by the dump that shows a flow which the one before did not, and
        that told nothing of itself."""
        daemon = self.begin()
        wait_until(lambda: self.collector()["covered_from"], "coverage")
        self.lab.sysctl("events", 0)
        at = self.open_session(20000)
        self.lab.sysctl("events", 1)
        next_moment()
        daemon.send_signal(signal.SIGUSR1)
        wait_until(lambda: self.collector()["gaps"], "a gap record")
        self.end_session(20000)
        self.assert_not_denied(20000, at)
        self.wait_until_covered(at)
        self.assert_not_denied(20000, at)
        daemon.stop()
        self.assert_not_denied(20000, at)


if __name__ == "__main__":
    main()
