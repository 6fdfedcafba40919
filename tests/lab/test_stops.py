"""A stop while a sink takes nothing: with a ledger it waits for none, and a second signal is the same stop."""

import array
import fcntl
import os
import signal
import termios
import time

from bulk import Flood, Log, flood_sessions, from_environment
from case import LabCase, main
from daemon import RUNTIME_FAILURE, status_of
from evidence import Evidence
from netlab import wait_until
from witness import Witness

SESSIONS = from_environment("NATSESSION_STOPPED", 3000)  # of each run
STOPS = 3
WITH_A_LEDGER_SECONDS = 10  # it takes one or two; without a ledger the sinks have 20
AT_ONCE_SECONDS = 5
PIPE_BYTES = 65536


class StopsTest(LabCase):
    def setUp(self):
        super().setUp()
        self.fifo = self.path("fifo")
        os.mkfifo(self.fifo)
        # Open, so that it can be written to, and not read.
        self.reading_end = os.open(self.fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, self.reading_end)
        self.lab = self.make_lab(udp_timeout=60, udp_timeout_stream=60)
        self.flood = Flood(self.lab)

    def begin(self, *arguments):
        return self.start(self.lab, "--sink", "file:" + self.fifo, "--events", "destroy", *arguments)

    def sessions(self):
        self.assertEqual(self.flood.insert(SESSIONS), 0)
        self.flood.flush()

    def fill_the_fifo(self):
        """Until it holds no more: the sink has records for more than it is given room for."""
        self.sessions()
        wait_until(self.is_full, "the fifo is full")

    def is_full(self):
        waiting = array.array("i", [0])
        fcntl.ioctl(self.reading_end, termios.FIONREAD, waiting)
        return waiting[0] > PIPE_BYTES // 2  # and of what is still to be written not another half fits

    def read_the_fifo(self, path):
        """Into a file, until its writer is gone."""
        os.set_blocking(self.reading_end, True)
        with open(path, "wb", buffering=0) as file:
            while chunk := os.read(self.reading_end, 1 << 16):
                file.write(chunk)

    def test_with_a_ledger_it_waits_for_no_sink_and_nothing_is_lost_untold(self):
        witness = Witness(self.lab, self.folder)
        ledger = self.path("ledger")
        for _ in range(STOPS):
            daemon = self.begin("--ledger", ledger)
            self.fill_the_fifo()
            self.assertEqual(self.flood.insert(SESSIONS), 0)
            began = time.monotonic()
            daemon.send_signal(signal.SIGTERM)
            self.flood.flush()
            daemon.stop()
            self.assertLess(time.monotonic() - began, WITH_A_LEDGER_SECONDS)
            self.sessions()  # of which nobody hears
        self.start(self.lab, "--ledger", ledger).stop()
        flows = witness.flows()
        self.assertEqual(len(flows), STOPS * 3 * SESSIONS)
        evidence = Evidence(ledger)
        found, told, lost = evidence.look_for(flows)
        self.assertFalse(lost, evidence.told_of(lost, flows))
        self.assertGreaterEqual(found, STOPS * SESSIONS)
        self.assertGreater(told, 0, "nothing was missing: nothing was tried")

    def test_a_second_signal_is_the_same_stop_and_the_sink_gets_what_waits(self):
        daemon = self.begin()
        self.fill_the_fifo()
        self.ask_twice(daemon)
        self.read_the_fifo(self.path("log.json"))
        daemon.wait_for_end()
        tally = Log(self.path("log.json")).tally()
        self.assertEqual((len(tally.ends), tally.twice(), tally.gaps), (SESSIONS, {}, []))
        self.assertEqual({key for key, _ in tally.ends}, set(flood_sessions(SESSIONS)))

    def ask_twice(self, daemon):
        """As a process and its group get a signal each."""
        daemon.send_signal(signal.SIGTERM)
        wait_until(lambda: not has_pending(daemon.pid, signal.SIGTERM), "it has taken the first")
        daemon.send_signal(signal.SIGTERM)
        daemon.wait_for_message("stopping already")

    def give_up_by(self, number):
        """Of a daemon that stops and is asked for the third time."""
        daemon = self.begin()
        self.fill_the_fifo()
        self.ask_twice(daemon)
        asked = time.monotonic()
        daemon.send_signal(number)
        daemon.wait_for_end(RUNTIME_FAILURE)
        self.assertLess(time.monotonic() - asked, AT_ONCE_SECONDS)
        return daemon.message_text()

    def test_a_third_signal_gives_up_at_once_and_says_so(self):
        self.assertIn("a third signal", self.give_up_by(signal.SIGTERM))

    def test_sigquit_gives_up_at_once_and_says_so(self):
        self.assertIn("SIGQUIT", self.give_up_by(signal.SIGQUIT))


def has_pending(pid, number):
    """Whether a signal to a process waits to be taken."""
    return int(status_of(pid)["ShdPnd"], 16) >> (number - 1) & 1 == 1


if __name__ == "__main__":
    main()
