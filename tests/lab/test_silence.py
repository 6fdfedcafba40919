"""The kernel was silent for a moment that nobody noticed, and of a session of that moment none is denied."""

import signal
import time

import ctl
from case import LabCase, main
from netlab import next_moment, wait_until


class SilenceTest(LabCase):
    def setUp(self):
        super().setUp()
        self.make_hosts("masquerade", udp_timeout=60, udp_timeout_stream=60)
        self.ledger, self.control = self.path("ledger"), self.path("control.sock")
        self.begin()
        wait_until(lambda: self.collector()["covered_from"], "coverage")

    def begin(self):
        self.daemon = self.start(self.lab, "--ledger", self.ledger, "--control", self.control, "--sync", "50ms")

    def collector(self):
        return ctl.collector(self.control)

    def end_session(self, port):
        next_moment()
        self.client.shut(str(port))
        self.lab.delete_flows("-p", "udp", "--orig-port-src", str(port))

    def silent(self, port, count=1):
        """Events are off while these sessions begin. Returns [(port, a moment of its life)]."""
        self.lab.sysctl("events", 0)
        lives = [(port + number, self.open_session(port + number)) for number in range(count)]
        self.lab.sysctl("events", 1)
        return lives

    def assert_none_is_denied(self, lives, when):
        for port, at in lives:
            verdict = ctl.verdict(self.ledger, self.control, f"203.0.113.1:{port}", at)
            self.assertNotEqual(verdict, "no session", f"{when}: port {port}, {time.time() - at:.3f} s ago")

    def wait_for_gap(self, before):
        """Which the next dump makes, that shows flows of which nothing was heard."""
        self.daemon.send_signal(signal.SIGUSR1)
        wait_until(lambda: self.collector()["gaps"] > before, "a gap record")

    def assert_none_is_denied_as_they_end(self, lives):
        self.assert_none_is_denied(lives, "while they are open")
        for port, _ in lives:
            self.end_session(port)
        self.assert_none_is_denied(lives, "when they have ended")
        self.wait_for_another()
        self.assert_none_is_denied(lives, "when others were logged since")
        self.daemon.stop()
        self.assert_none_is_denied(lives, "after a stop")

    def wait_for_another(self):
        ends = self.collector()["records"]["end"]
        self.open_session(30000)
        self.end_session(30000)
        wait_until(lambda: self.collector()["records"]["end"] > ends, "the record of another session")

    def test_events_off_and_on_between_two_looks_at_them(self):
        """Which are a second apart: so some of these are. Of a session that is over before the next dump nobody can know."""
        gaps = self.collector()["gaps"]
        lives = self.silent(20000, 1) + self.silent(20001, 1) + self.silent(20002, 1)
        self.wait_for_gap(gaps)
        self.assert_none_is_denied_as_they_end(lives)

    def test_events_off_and_on_while_the_daemon_was_stopped(self):
        gaps = self.collector()["gaps"]
        self.daemon.send_signal(signal.SIGSTOP)
        lives = self.silent(20000, 3)
        self.daemon.send_signal(signal.SIGCONT)
        self.wait_for_gap(gaps)
        self.assert_none_is_denied_as_they_end(lives)

    def test_a_flow_that_the_first_dump_shows_and_that_ends_without_an_event(self):
        """As one does that began when nobody listened."""
        self.daemon.stop()
        self.silent(20000)
        self.begin()
        wait_until(lambda: self.collector()["live_sessions"] == 1, "the first dump has shown it")
        self.client.exchange("20000", 100, 100)
        at = time.time()
        self.client.exchange("20000", 100, 100)
        self.assert_none_is_denied_as_they_end([(20000, at)])


if __name__ == "__main__":
    main()
