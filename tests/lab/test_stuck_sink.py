"""Watchdog: a sink that takes nothing. Nobody reads the daemon's events then, and forwarding does not suffer."""

import os
import re
import select
import signal
import threading
import time

from bulk import Flood, Log
from case import LabCase, main
from daemon import RUNTIME_FAILURE
from event_socket import EventSocket
from newcomer import Newcomer
from table_limits import TableLimits
from traffic import client_and_server

TABLE = 100_000
AT_ONCE = 2_000
STOPS_WITHIN_SECONDS = 45  # its limits are 20 s for the collector and 20 s for the sinks
REDIRECTED = ("sh", "-c", 'exec "$@" >"$0"')


class Traffic:
    """Sessions begin and end; after every few it is tried whether there is room for more."""

    def __init__(self, lab):
        client_and_server(lab)
        self._lab = lab
        self._newcomer = Newcomer(lab)
        self.flood = Flood(lab)
        self.most = 0
        self.refused = 0

    def step(self):
        for _ in range(3):
            self.refused += self.flood.insert(AT_ONCE)
            self.most = max(self.most, self._lab.flow_count())
            self.flood.flush()
        if not self._newcomer.passes():
            self.refused += 1

    def go_on_until(self, condition, what, seconds=120.0):
        """Or until something was refused: what comes then proves nothing."""
        deadline = time.monotonic() + seconds
        while not self.refused and not condition():
            self.step()
            assert time.monotonic() < deadline, what


class StuckSinkTest(LabCase):
    def setUp(self):
        super().setUp()
        self.enterContext(TableLimits(flows=TABLE))
        self.fifo = self.path("fifo")
        os.mkfifo(self.fifo)
        # Open, so that it can be written to, and not read.
        self.reading_end = os.open(self.fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, self.reading_end)

    def begin(self, *arguments, **how):
        self.lab = self.make_lab()
        self.traffic = Traffic(self.lab)
        # Large enough for the traffic, and so small that the table soon has to take what nobody reads.
        daemon = self.start(self.lab, "--rcvbuf", "4M", "--window", "24h", *arguments, **how)
        self.events = EventSocket(self.lab, daemon)
        return daemon

    def assert_forwarding_does_not_suffer(self):
        """While all queues are full, reliable mode goes off and on, and the table has room all the time."""
        for _ in range(2):
            self.traffic.go_on_until(lambda: not self.events.reliable(), "reliable mode goes off")
            self.assert_room()
            self.traffic.go_on_until(self.events.reliable, "reliable mode goes on again")
            self.assert_room()

    def assert_room(self):
        self.assertEqual(self.traffic.refused, 0, f"of {self.traffic.flood.made}; at most {self.traffic.most} flows")
        self.assertLess(self.traffic.most, TABLE)

    def test_a_sink_that_never_comes_back_fills_no_table_also_while_the_daemon_stops(self):
        daemon = self.begin(before=(*REDIRECTED, self.fifo))
        self.assert_forwarding_does_not_suffer()
        began = time.monotonic()
        process = os.pidfd_open(daemon.pid)
        self.addCleanup(os.close, process)
        daemon.send_signal(signal.SIGTERM)
        self.traffic.go_on_until(lambda: select.select([process], [], [], 0)[0], "the daemon stops")
        self.assert_room()
        self.assertLess(time.monotonic() - began, STOPS_WITHIN_SECONDS)
        daemon.stop(status=RUNTIME_FAILURE)
        self.assertIn("a sink takes nothing", daemon.message_text())
        told = re.search(r"error: sink stdout: (\d+) records were not delivered", daemon.message_text())
        self.assertTrue(told, daemon.message_text())
        self.assertGreater(int(told[1]), 100_000)

    def test_a_sink_that_recovers_gets_what_waited_and_the_gap(self):
        daemon = self.begin("--sink", "file:" + self.fifo, "--events", "destroy")  # so that each loss is an end
        self.assert_forwarding_does_not_suffer()
        log = Log(self.path("log.json"), choose=lambda r: r["event"] == "gap" or r["pri_ip"].startswith("10.0.0."))
        reader = self.read_the_fifo_into(log.path)
        log.wait_until(lambda tally: tally.gaps, "a gap record")
        self.lab.wait_for_expiry()
        self.events.wait_until_read()
        daemon.stop()
        reader.join(30)

        tally = log.tally()
        self.assertEqual(tally.twice(), {})
        self.assertEqual({gap["reason"] for gap in tally.gaps}, {"table_guard"})
        lost = self.traffic.flood.made - len(tally.ends)
        self.assertGreater(lost, 0)
        self.assertLessEqual(lost, tally.events_lost)
        self.assertIn("takes records again", daemon.message_text())

    def read_the_fifo_into(self, path):
        """Until its writer is gone."""
        os.set_blocking(self.reading_end, True)

        def copy():
            with open(path, "wb", buffering=0) as file:
                while chunk := os.read(self.reading_end, 1 << 16):
                    file.write(chunk)

        reader = threading.Thread(target=copy, daemon=True)
        reader.start()
        return reader


if __name__ == "__main__":
    main()
