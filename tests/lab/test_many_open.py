"""A list of questions about sessions that are all still open: each has its answer, however many more there are."""

import csv
import io
import json
import random
import signal
import subprocess
import time
from collections import Counter

import ctl
from bulk import Flood, flood_sessions, from_environment
from case import LabCase, main
from netlab import wait_until
from table_limits import TableLimits

OPEN = from_environment("NATSESSION_OPEN_SESSIONS", 150_000)
QUESTIONS = 200


class ManyOpen(LabCase):
    def begin(self, stopped):
        """Makes the sessions beside a daemon that follows them, or that is stopped meanwhile."""
        self.enterContext(TableLimits(room_for=OPEN * 3 // 2))  # the daemon minds a table that is nearly full
        self.lab = self.make_lab(udp_timeout=600, udp_timeout_stream=600)
        self.control, self.ledger = self.path("control.sock"), self.path("ledger")
        self.daemon = self.start(self.lab, "--ledger", self.ledger, "--control", self.control, "--window", "1h")
        if stopped:
            self.daemon.send_signal(signal.SIGSTOP)
        self.assertEqual(Flood(self.lab).insert(OPEN), 0)
        if stopped:
            self.daemon.send_signal(signal.SIGCONT)
        wait_until(lambda: self.collector()["live_sessions"] == OPEN,
                   lambda: f"{OPEN} open sessions: {self.collector()}", 120)
        self.sessions = random.Random(20261129).sample(sorted(flood_sessions(OPEN).items()), QUESTIONS)

    def collector(self):
        return ctl.collector(self.control)

    def ports_now(self):
        done = subprocess.run([ctl.program(), "--json", "--ledger", self.ledger, "--control", self.control, "ports", "-n", "0"],
                              capture_output=True, text=True, timeout=120)
        return {row["nat_ip"]: row["now"] for row in json.loads(done.stdout)["rows"]}

    def ports_counted(self):
        told = json.loads(ctl.request(self.control, "GET", "/ports")[1])  # where they are not counted yet, an error
        return {use["nat_ip"]: use["ports"] for use in told.get("ports", ())}

    def ask(self, *ends):
        """Who had each of these ends a moment ago: the first answer to each question."""
        questions = io.StringIO()
        writer = csv.writer(questions)
        writer.writerow(["nat_ip", "nat_port", "time", "protocol"])
        now = f"{time.time():.3f}"
        writer.writerows([*end, now, "udp"] for end in ends)
        done = subprocess.run([ctl.program(), "--ledger", self.ledger, "--control", self.control, "trace", "--slack", "0s",
                               "--file", self.write("questions.csv", questions.getvalue())],
                              capture_output=True, text=True, timeout=120)
        answers = [a for a in csv.DictReader(io.StringIO(done.stdout)) if a["rank"] in ("", "1")]
        self.assertEqual(len(answers), len(ends), done.stderr)
        return answers


class ManyOpenTest(ManyOpen):
    def setUp(self):
        super().setUp()
        self.begin(stopped=False)

    def test_each_of_200_questions_finds_its_host(self):
        answers = self.ask(*(nat for _, nat in self.sessions))
        self.assertEqual([(a["verdict"], a["pri_ip"], a["pri_port"]) for a in answers],
                         [("found", pri, str(port)) for (pri, port, _), _ in self.sessions])
        self.daemon.stop()

    def test_among_questions_about_300_addresses_no_open_session_is_denied(self):
        strangers = [(f"198.18.0.{number}", 1000) for number in range(1, 151)]
        strangers += [(f"198.18.1.{number}", 1000) for number in range(1, 151)]
        answers = self.ask(*(nat for _, nat in self.sessions), *strangers)
        self.assertEqual(Counter(a["verdict"] for a in answers[:QUESTIONS])["no session"], 0)
        self.assertEqual(Counter(a["verdict"] for a in answers[QUESTIONS:])["found"], 0)
        self.daemon.stop()

    def test_ports_in_use_now_are_those_of_all_sessions(self):
        in_use = Counter(nat for nat, _ in flood_sessions(OPEN).values())
        wait_until(lambda: self.ports_counted() == in_use, lambda: f"{in_use} are counted, not {self.ports_counted()}", 90)
        self.assertEqual(self.ports_now(), in_use)  # the first answer, however long it takes to be told
        self.daemon.stop()


class StoppedTest(ManyOpen):
    def test_sessions_whose_new_did_not_fit_are_known_before_it_is_said_that_all_are(self):
        self.begin(stopped=True)
        self.assertGreater(self.collector()["events_delayed"], 0)
        in_use = Counter(nat for nat, _ in flood_sessions(OPEN).values())
        asked = time.time()
        wait_until(lambda: ctl.unix_time(self.collector()["covered_until"]) > asked, lambda: f"covered up to now: {self.collector()}", 120)
        wait_until(lambda: self.ports_counted() == in_use, lambda: f"{in_use} are counted, not {self.ports_counted()}", 90)
        answers = self.ask(*(nat for _, nat in self.sessions))
        self.assertEqual(Counter(a["verdict"] for a in answers), {"found": QUESTIONS})
        self.daemon.stop()


if __name__ == "__main__":
    main()
