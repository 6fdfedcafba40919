"""The kernel was silent for a moment that nobody noticed, and of a session of that moment none is denied."""

import json
import signal
import time

import ctl
from case import LabCase, main
from netlab import SERVER4, next_moment, wait_until


class SilenceTest(LabCase):
    def setUp(self):
        super().setUp()
        self.make_hosts("masquerade", udp_timeout=60, udp_timeout_stream=60)
        self.ledger, self.control = self.path("ledger"), self.path("control.sock")
        self.daemon = self.start(self.lab, "--ledger", self.ledger, "--control", self.control, "--sync", "50ms", "--window",
                                 "1m")
        self.wait_until_covered(time.time())

    def wait_until_covered(self, at):
        def covered():
            until = ctl.status(self.control)["collectors"][0]["covered_until"]
            return until and ctl.unix_time(until) > at
        wait_until(covered, "coverage of that time")

    def open_session(self, port):
        """One that has been there since before the moment that is returned."""
        self.client.open(str(port), "udp", SERVER4, 7000, port)
        self.client.exchange(str(port), 100, 100)
        next_moment()
        return time.time()

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
            answer = ctl.run("--ledger", self.ledger, "--control", self.control, "--json", "trace", "--nat",
                             f"203.0.113.1:{port}", "--at", f"{at:.3f}", "--slack", "0s")
            self.assertNotEqual(json.loads(answer)["verdict"], "no session", f"{when}: port {port}, {time.time() - at:.3f} s ago")

    def test_events_off_and_on_between_two_looks(self):
        """Which are a second apart: so some of these are."""
        lives = []
        for turn in range(5):
            lives += self.silent(20000 + turn)
            self.end_session(20000 + turn)
        self.assert_none_is_denied(lives, "at once")
        self.wait_until_covered(time.time())
        self.assert_none_is_denied(lives, "later")
        self.daemon.stop()
        self.assert_none_is_denied(lives, "after a stop")

    def test_events_off_and_on_while_the_daemon_was_stopped(self):
        self.daemon.send_signal(signal.SIGSTOP)
        lives = self.silent(20000, 3)
        for port, _ in lives:
            self.end_session(port)
        self.daemon.send_signal(signal.SIGCONT)
        self.wait_until_covered(time.time())
        self.assert_none_is_denied(lives, "later")
        self.daemon.stop()
        self.assert_none_is_denied(lives, "after a stop")

    def test_a_flow_that_never_sends_an_event_and_ends_after_a_dump_has_shown_it(self):
        self.silent(20000)
        self.daemon.send_signal(signal.SIGUSR1)
        wait_until(lambda: ctl.status(self.control)["collectors"][0]["live_sessions"] == 1, "a dump has shown it")
        self.wait_until_covered(time.time())
        at = time.time()
        self.wait_until_covered(at)
        self.end_session(20000)
        self.assert_none_is_denied([(20000, at)], "at once")
        self.wait_until_covered(time.time())
        self.assert_none_is_denied([(20000, at)], "later")
        self.daemon.stop()
        self.assert_none_is_denied([(20000, at)], "after a stop")


if __name__ == "__main__":
    main()
