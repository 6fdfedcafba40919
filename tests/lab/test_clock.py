"""The wall clock is set while the log is kept: what was missed has its length, and nothing is deleted by a wrong clock."""

import json
import signal
import time

import ctl
from case import LabCase, main
from dhcp import Client, Dnsmasq, need, wait_for_next_second
from netlab import SERVER4, wait_until
from set_clock import SetClock

HOUR, DAY = 3600, 86400
NEVER_NONE = ("uncertain", "not covered")
RETENTION_DAYS = 30
ADDRESS = "10.64.0.100"
DOUBT = "the clock is far ahead of the time that has passed: nothing is deleted by age"


class SetDnsmasq(Dnsmasq):
    """One that goes by the same clock."""

    def __init__(self, lab, folder, clock):
        self._clock = clock
        super().__init__(lab, folder)

    def spawn(self, argv, log, **environment):
        super().spawn(argv, log, **environment, **self._clock.environment)


class ClockTest(LabCase):
    def setUp(self):
        super().setUp()
        # Longer than a test: who ends a session is the test.
        self.make_hosts("masquerade", timestamp=0, udp_timeout=60, udp_timeout_stream=60)
        self.clock = self.lab.adopt(SetClock(self.folder))
        self.ledger, self.control = self.path("ledger"), self.path("control.sock")

    def begin(self, *arguments):
        return self.start(self.lab, "--ledger", self.ledger, "--control", self.control, "--window", "5s", "--sync",
                          "50ms", *arguments, environment=self.clock.environment)

    def session(self, port):
        """Of one exchange. Returns a moment of its life, by the clock."""
        self.client.open("one", "udp", SERVER4, 7000, port)
        self.client.exchange("one", 100, 100)
        alive = self.clock.now()
        self.client.shut("one")
        self.lab.delete_flows("-p", "udp", "--orig-port-src", str(port))
        return alive

    def records(self):
        return [json.loads(line) for line in ctl.ledger_lines(self.ledger)]

    def wait_for_end_of(self, port):
        wait_until(lambda: any(r["event"] == "end" and r["pri_port"] == port for r in self.records()),
                   f"the end of the session of port {port}")

    def verdict(self, port, at):
        """As told to somebody whose clock is right: for whom no time of then is still to come."""
        return ctl.verdict(self.ledger, self.control, f"203.0.113.1:{port}", at)

    def gaps(self):
        return [(float(r["start_time"]), float(r["end_time"])) for r in self.records() if r["event"] == "gap"]

    def assert_told(self, port, alive, set_by):
        """The time in which nothing was logged is told by the clock of then and by the clock of now."""
        for at in (alive, alive + set_by):
            self.assertTrue(any(since <= at <= until for since, until in self.gaps()), f"{at}: {self.gaps()}")
            self.assertIn(self.verdict(port, at), NEVER_NONE)

    def set_back_over_a_restart(self, number):
        first = self.begin()
        self.session(21000)
        self.wait_for_end_of(21000)
        first.stop(number, status=0 if number == signal.SIGTERM else -number)
        missed = self.session(23000)
        self.clock.set_ahead(-HOUR)
        second = self.begin()
        wait_until(self.gaps, "a gap record")
        self.session(21001)
        self.wait_for_end_of(21001)
        self.assert_told(23000, missed, -HOUR)
        second.stop()

    def burst(self, name, first_port, count=50):
        """Sessions of the one who has ADDRESS; in the file when it returns. Each has this name, or none."""
        self.client.ask("burst", protocol="udp", source=ADDRESS, first_port=first_port, destination=SERVER4, port=7000, count=count, seed=1)
        self.lab.delete_flows("-p", "udp")
        ports = range(first_port, first_port + count)
        of_these = lambda: [r for r in self.file_records() if r["event"] == "end" and r["pri_port"] in ports]
        wait_until(lambda: len(of_these()) == count, f"{count} sessions from port {first_port} on")
        return {record["subscriber"] for record in of_these()} <= {name, None}, any(r["subscriber"] == name for r in of_these())

    def test_a_session_is_never_somebody_elses_where_the_clock_steps(self):
        need("/usr/sbin/udhcpc")
        server = SetDnsmasq(self.lab, self.folder, self.clock)
        one, other = (Client(self.lab, self.folder, number) for number in (1, 2))
        self.begin("--identity", "dnsmasq:" + server.leases, "--sink", "file:" + self.path("log.json") + "?identity=on")
        def is_open(mac):
            return ctl.run("--ledger", self.ledger, "identity", "list", ADDRESS, "--open").count(mac) > 0
        port = 20000
        for holder, giver, step in ((one, None, 0), (other, one, 2 * HOUR), (one, other, HOUR), (other, one, -HOUR), (one, other, 0)):
            if giver:
                giver.release()
            self.clock.set_ahead(step)
            wait_for_next_second()
            holder.take(ADDRESS)
            wait_until(lambda: is_open(holder.mac), f"{holder.mac} is known")
            wait_for_next_second()
            self.assertEqual(self.burst(holder.mac, port), (True, True), (holder.mac, step, ctl.run("--ledger", self.ledger, "identity", "list")))
            port += 100

    def test_set_back_by_an_hour_over_a_stop_it_makes_nothing_forgotten(self):
        self.set_back_over_a_restart(signal.SIGTERM)

    def test_set_back_by_an_hour_over_a_kill_it_makes_nothing_forgotten(self):
        self.set_back_over_a_restart(signal.SIGKILL)

    def test_set_back_by_an_hour_while_logging_is_off_it_makes_nothing_forgotten(self):
        daemon = self.begin()
        ctl.ask("--control", self.control, "disable")
        wait_until(lambda: not ctl.collector(self.control)["ready"], "it is off")
        missed = self.session(23000)
        self.clock.set_ahead(-HOUR)
        ctl.ask("--control", self.control, "enable")
        wait_until(self.gaps, "a gap record")
        self.assert_told(23000, missed, -HOUR)
        daemon.stop()

    def test_a_session_that_began_before_it_was_set_back_is_not_denied_by_the_clock_of_now(self):
        daemon = self.begin()
        self.client.open("one", "udp", SERVER4, 7000, 22000)
        self.client.exchange("one", 100, 100)
        wait_until(lambda: ctl.collector(self.control)["live_sessions"] == 1, "it is known")
        self.clock.set_ahead(-HOUR)
        # Coverage begins anew, by the clock of now.
        ctl.ask("--control", self.control, "disable")
        ctl.ask("--control", self.control, "enable")
        wait_until(lambda: ctl.collector(self.control)["ready"], "it is on again")
        self.client.exchange("one", 100, 100)
        alive = self.clock.now()
        verdicts = [self.verdict(22000, alive)]
        self.client.exchange("one", 100, 100)
        self.client.shut("one")
        self.lab.delete_flows("-p", "udp")
        self.wait_for_end_of(22000)
        verdicts.append(self.verdict(22000, alive))
        daemon.stop()
        verdicts.append(self.verdict(22000, alive))
        self.assertNotIn("no session", verdicts, "while it is open, when it has ended, and in the ledger alone")

    def test_two_months_ahead_over_restarts_it_deletes_no_record(self):
        keep = ("--retention", f"{RETENTION_DAYS}d")
        daemon = self.begin(*keep)
        ports = list(range(21000, 21005))
        for port in ports:
            self.session(port)
        self.wait_for_end_of(ports[-1])
        daemon.stop()
        self.clock.set_ahead(2 * RETENTION_DAYS * DAY)
        for port in range(22000, 22003):
            daemon = self.begin(*keep)
            daemon.wait_for_message(DOUBT)
            self.session(port)
            self.wait_for_end_of(port)
            ports.append(port)
            daemon.stop()
        self.clock.set_ahead(0)
        daemon = self.begin(*keep)
        self.session(23000)
        self.wait_for_end_of(23000)
        daemon.stop()
        self.assertEqual([r["pri_port"] for r in self.records() if r["event"] == "end"], [*ports, 23000])
        self.assertNotIn(DOUBT, daemon.message_text())

    def test_a_box_that_boots_in_1970_keeps_what_it_logged_until_its_clock_was_set(self):
        keep = ("--retention", f"{RETENTION_DAYS}d")
        self.clock.set_ahead(HOUR - time.time())
        daemon = self.begin(*keep)
        self.session(21000)
        self.wait_for_end_of(21000)
        self.clock.set_ahead(0)
        daemon.wait_for_message(DOUBT)
        self.session(21001)
        self.wait_for_end_of(21001)
        daemon.stop()
        daemon = self.begin(*keep)
        daemon.wait_for_message(DOUBT)
        daemon.stop()
        self.assertEqual([r["pri_port"] for r in self.records() if r["event"] == "end"], [21000, 21001])


if __name__ == "__main__":
    main()
