"""A power cut: what was synced is there, and the rest is told as a gap."""

import json
import os
import shutil
import signal
import time

import ctl
from bulk import Flood, from_environment, tool
from case import LabCase, main

CUTS = from_environment("NATSESSION_CUTS", 3)
AT_ONCE = 200
SLOW_SECONDS = 1.0  # what a sync on a busy machine may take beyond the interval


class PowerTest(LabCase):
    def setUp(self):
        super().setUp()
        self.lab = self.make_lab()
        self.flood = Flood(self.lab)
        # The ledger's folder as its daemon knows it, and as the disk has it.
        self.disk = self.path("disk")
        self.shadow = self.path("shadow")
        self.ends = []  # (until when, how many sessions had ended by then)
        self.records = 0  # in the ledger
        self.missing = 0  # records that a cut took although they were older than may be

    def run_and_cut(self, seconds, sync, interval):
        self.sync_all()
        control = self.path("control.sock")
        written = []  # (when, how many records were in the ledger, as the daemon says)
        daemon = self.start(self.lab, "--ledger", f"{self.disk}/ledger", "--control", control, "--window", "2s",
                            "--sync", sync,
                            environment={"LD_PRELOAD": tool("NATSESSION_FORGETFUL_DISK"), "FORGETFUL_DISK": self.disk,
                                         "FORGETFUL_SHADOW": self.shadow})
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            self.flood.insert(AT_ONCE)
            self.flood.flush()
            self.ends.append((time.time(), self.flood.made))
            ledger = ctl.status(control)["ledger"]
            written.append((time.monotonic(), self.records + ledger["appended"] - ledger["pending"]))
        daemon.send_signal(signal.SIGKILL)
        cut = time.monotonic()
        daemon.close()
        shutil.rmtree(self.disk)
        shutil.copytree(os.path.join(self.shadow, "tree"), self.disk)
        self.records = len(ctl.ledger_lines(f"{self.disk}/ledger"))
        old = [count for when, count in written if when <= cut - interval]
        self.missing += max(max(old, default=0) - self.records, 0)

    def sync_all(self):
        """What is on the disk when the machine starts is what survived: the shadow begins with it."""
        shutil.rmtree(self.shadow, ignore_errors=True)
        os.makedirs(f"{self.shadow}/files")
        for folder, _, names in os.walk(self.disk):
            there = f"{self.shadow}/tree" + folder[len(self.disk):]
            os.makedirs(there)
            for name in names:
                kept = f"{self.shadow}/files/{os.stat(f'{folder}/{name}').st_ino}"
                shutil.copyfile(f"{folder}/{name}", kept)
                os.link(kept, f"{there}/{name}")

    def cut_again_and_again(self, sync, interval):
        """Returns when the sessions of the log ended."""
        os.makedirs(self.disk)
        for turn in range(CUTS):
            self.run_and_cut(1.5 + 0.37 * turn, sync, interval)
        daemon = self.start(self.lab, "--ledger", f"{self.disk}/ledger")
        daemon.stop()
        records = [json.loads(line) for line in ctl.ledger_lines(f"{self.disk}/ledger")]
        names = [(r["session_id"], r["seq"]) for r in records if r["event"] != "gap"]
        self.assertEqual(len(set(names)), len(names), "a (session_id, seq) is there twice")
        self.assertIn("sound", ctl.ask("--ledger", f"{self.disk}/ledger", "verify"))
        return sorted(float(r["end_time"]) for r in records if r["event"] == "end")

    def is_complete(self, since, until):
        """What the ledger's answers claim of a time."""
        return json.loads(ctl.ask("--ledger", f"{self.disk}/ledger", "--json", "top", "--since", f"{since:.3f}", "--until",
                                  f"{until:.3f}"))["complete"]

    def assert_no_loss_is_untold(self, ended):
        """Between two flushes as many ends as there were, or no answer is complete."""
        before, made_before = 0.0, 0
        for until, made in self.ends:
            found = sum(before < time <= until for time in ended)
            if found != made - made_before:
                self.assertFalse(self.is_complete(before or until - 1, until),
                                 f"{made - made_before - found} ends are missing from {before} to {until}")
            before, made_before = until, made

    def test_what_is_older_than_the_interval_survives_and_the_rest_is_told(self):
        ended = self.cut_again_and_again("300ms", 0.3 + SLOW_SECONDS)
        self.assert_no_loss_is_untold(ended)
        self.assertEqual(self.missing, 0)
        self.assertGreater(self.flood.made - len(ended), 0, "no cut took anything: the disk forgets nothing")

    def test_with_sync_always_what_is_in_the_ledger_survives(self):
        self.assert_no_loss_is_untold(self.cut_again_and_again("always", 0.0))
        self.assertEqual(self.missing, 0)

    def test_with_sync_never_all_may_be_lost_and_the_log_says_so(self):
        self.assert_no_loss_is_untold(self.cut_again_and_again("never", float("inf")))


if __name__ == "__main__":
    main()
