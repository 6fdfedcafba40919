"""kill -9 at random moments under load: what reached the ledger reaches every sink, and nothing is corrupt."""

import json
import random
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


def steps_back(arrived, ledger):
    """How far each repetition goes back behind the furthest that had arrived, in records of the ledger."""
    place = {name: index for index, name in enumerate(ledger)}
    furthest, back = -1, []
    for name in arrived:
        if place[name] > furthest:
            furthest = place[name]
        else:
            back.append(furthest - place[name] + 1)
    return back


def whole_record(line):
    """None for a line that a kill tore: the next start ends it, and delivers its record again."""
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None


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
        chance = random.Random(20261121)
        for _ in range(KILLS):
            daemon = self.start(lab, *arguments)
            time.sleep(chance.uniform(0, 0.8))  # the moment is the test's own; nothing is waited for
            daemon.send_signal(signal.SIGKILL)
            daemon.close()
        load.kill()
        daemon = self.start(lab, *arguments)
        self.await_empty_queues(control)
        daemon.stop()

        ledger_records = [r for r in map(json.loads, ctl.ledger_lines(ledger)) if r["event"] != "gap"]
        names = [(r["session_id"], r["seq"]) for r in ledger_records]
        self.assertGreater(len(names), RATE * KILLS // 10)
        self.assertEqual(len(set(names)), len(names), "the ledger has a record twice")
        self.assertIn("sound", ctl.ask("--ledger", ledger, "verify"))
        by_name = dict(zip(names, ledger_records))
        with open(file, encoding="utf-8") as text:
            in_file = [record for record in map(whole_record, text) if record]
        for title, records in (("file", in_file), ("http", [json.loads(line) for line in http.lines()])):
            sessions = [r for r in records if r["event"] != "gap"]
            self.assert_delivered(title, [(r["session_id"], r["seq"]) for r in sessions], names)
            for record in sessions:
                self.assertEqual(record, by_name[record["session_id"], record["seq"]])
        self.assert_delivered("syslog", syslog.names(), names)

    def await_empty_queues(self, control):
        deadline = time.monotonic() + 120
        while any(sink["waiting"] for sink in ctl.status(control)["sinks"]):
            self.assertLess(time.monotonic(), deadline, ctl.ask("--control", control, "status"))
            time.sleep(0.2)

    def assert_delivered(self, title, arrived, ledger):
        order = list(dict.fromkeys(arrived))
        self.assertEqual(set(ledger) - set(order), set(), f"{title}: missing")
        self.assertEqual(order, ledger, f"{title}: not in the order of the ledger")
        back = steps_back(arrived, ledger)
        self.assertLessEqual(max(back, default=0), BATCH, f"{title}: a cursor went back by more than a batch")
        self.assertLessEqual(len(back), BATCH * KILLS, f"{title}: more than a batch came again for each kill")


if __name__ == "__main__":
    main()
