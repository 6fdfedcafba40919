"""No memory is left: the daemon ends as a stop does, and the log tells what it did not see."""

import time

import ctl
from bulk import Flood
from case import LabCase, main
from daemon import RUNTIME_FAILURE, status_of
from evidence import Evidence
from netlab import run

SESSIONS = 60_000  # take several MiB of the daemon's memory
ROOM_BYTES = 1 << 20


class MemoryLimitTest(LabCase):
    def test_where_none_is_left_it_stops_in_order_and_what_it_did_not_see_is_told(self):
        lab = self.make_lab(udp_timeout=60, udp_timeout_stream=60)
        flood, ledger = Flood(lab), self.path("ledger")
        daemon = self.start(lab, "--ledger", ledger, "--window", "1h")
        self.assertEqual(flood.insert(100), 0)
        flood.flush()
        holds = int(status_of(daemon.pid)["VmData"].split()[0]) << 10
        run("prlimit", "--pid", daemon.pid, f"--data={holds + ROOM_BYTES}")
        self.assertEqual(flood.insert(SESSIONS), 0)
        daemon.wait_for_end(RUNTIME_FAILURE)
        self.assertIn("no memory is left", daemon.message_text())
        unseen = [time.time()]
        flood.flush()
        unseen.append(time.time())
        self.start(lab, "--ledger", ledger).stop()
        self.assertIn("sound", ctl.ask("--ledger", ledger, "verify"))
        evidence = Evidence(ledger)
        since, until = (int(moment * 1000) for moment in unseen)
        self.assertTrue(any(begin <= since and until <= end for begin, end in evidence.gaps), f"{unseen}: {evidence.gaps}")
        self.assertFalse(any(begin <= since <= end for begin, end in evidence.covered), evidence.covered)


if __name__ == "__main__":
    main()
