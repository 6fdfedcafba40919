"""kill -9 at random moments under load: what reached the ledger reaches every sink, and nothing is corrupt."""

import json
import os
import random
import re
import signal
import subprocess
import time

import ctl
from bulk import from_environment, tool
from case import LabCase, main
from collector import HTTP_PORT, SYSLOG_PORT, Collector

KILLS = from_environment("NATSESSION_KILLS", 50)
RATE = 3000
BATCH = 200


class Cursors:
    """What the cursors said, whenever they were looked at: they may go back by a batch at most."""

    def __init__(self, control):
        self._control = control
        self._highest = {}
        self.back = []

    def look(self):
        try:
            status = ctl.status(self._control)
        except (AssertionError, subprocess.TimeoutExpired):
            return  # killed, or not there yet
        end = status["ledger"]["records"]
        for sink in status["sinks"]:
            place = end - sink["waiting"]
            before = self._highest.get(sink["name"], 0)
            if place < before - BATCH:
                self.back.append((sink["name"], before, place))
            self._highest[sink["name"]] = max(before, place)


def first_arrivals(names):
    """In their order, each once; and how many came again."""
    seen, order = set(), []
    for name in names:
        if name not in seen:
            seen.add(name)
            order.append(name)
    return order, len(names) - len(order)


class KillsTest(LabCase):
    def test_no_record_of_the_ledger_is_missing_at_a_sink_whenever_the_daemon_is_killed(self):
        lab = self.make_lab()
        ledger, control, file = self.path("ledger"), self.path("control.sock"), self.path("file.json")
        http = Collector(lab, self.folder, "http", HTTP_PORT)
        syslog = Collector(lab, self.folder, "syslog", SYSLOG_PORT)
        arguments = ["--ledger", ledger, "--control", control, "--window", "2s", "--batch", BATCH, "--linger", "100ms",
                     "--sync", "200ms", "--sink", f"file:{file}?batch={BATCH}", "--sink", http.url, "--sink", syslog.url]
        load = subprocess.Popen([*lab.enter(lab.nat), tool("NATSESSION_FLOOD"), "steady", str(RATE), "600"],
                                stdout=subprocess.DEVNULL)
        self.addCleanup(load.wait)
        self.addCleanup(load.kill)
        cursors = Cursors(control)
        chance = random.Random(20261121)
        for _ in range(KILLS):
            daemon = self.start(lab, *arguments)
            cursors.look()
            time.sleep(chance.uniform(0, 0.8))  # the moment is the test's own; nothing is waited for
            daemon.send_signal(signal.SIGKILL)
            daemon.close()
        load.kill()
        daemon = self.start(lab, *arguments)
        cursors.look()
        lines = lambda: [r for r in map(json.loads, ctl.ledger_lines(ledger)) if r["event"] != "gap"]
        self.await_empty_queues(control)
        daemon.stop()

        ledger_records = lines()
        names = [(r["session_id"], r["seq"]) for r in ledger_records]
        self.assertGreater(len(names), RATE * KILLS // 10)
        self.assertEqual(len(set(names)), len(names), "the ledger has a record twice")
        self.assertIn("sound", ctl.ask("--ledger", ledger, "verify"))
        by_name = dict(zip(names, ledger_records))
        with open(file, encoding="utf-8") as text:
            in_file = [json.loads(line) for line in text]
        for title, records in (("file", in_file), ("http", [json.loads(line) for line in http.lines()])):
            sessions = [r for r in records if r["event"] != "gap"]
            self.assert_delivered(title, [(r["session_id"], r["seq"]) for r in sessions], names)
            for record in sessions:
                self.assertEqual(record, by_name[record["session_id"], record["seq"]])
        self.assert_delivered("syslog", syslog.names(), names)
        self.assertEqual(cursors.back, [])

    def await_empty_queues(self, control):
        deadline = time.monotonic() + 120
        while any(sink["waiting"] for sink in ctl.status(control)["sinks"]):
            self.assertLess(time.monotonic(), deadline, ctl.ask("--control", control, "status"))
            time.sleep(0.2)

    def assert_delivered(self, title, arrived, ledger):
        order, again = first_arrivals(arrived)
        self.assertEqual(set(ledger) - set(order), set(), f"{title}: missing")
        self.assertEqual(order, ledger, f"{title}: not in the order of the ledger")
        self.assertLessEqual(again, BATCH * KILLS, f"{title}: more than a batch came again for each kill")


if __name__ == "__main__":
    main()
