"""Faults in random order under traffic: what the kernel says has ended is in the log, or the log says that it may
be missing; and no answer is "none" where there was a session.

The witness is the kernel's own DESTROY events (witness.py). By hand: test_faults.py --minutes 10 --seed 7
--questions 10000.
The machine's clock is not stepped here: no namespace has a wall clock of its own. tests/session/missed_time_test.cc
and tests/ledger/compactor_test.cc do that.
"""

import argparse
import csv
import io
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter, defaultdict

import ctl
from case import LabCase, main
from daemon import parse, run_to_end
from netlab import CLIENT4, CLIENT6, SERVER4, SERVER6, run, wait_until
from traffic import Host

OPTIONS = argparse.Namespace(minutes=1.0, seed=None, questions=1000)
SLACK_MS = 1000  # without a stamp a record says when an event was received
BOOT_ID = "/proc/sys/kernel/random/boot_id"
DISK = "size=64m"


class Traffic(threading.Thread):
    """Many short sessions and a few that live for some seconds, until it is told to stop."""

    def __init__(self, lab, chance):
        super().__init__(daemon=True)
        self._host = Host(lab, lab.client, [CLIENT4, CLIENT6])
        self._chance = chance
        self._over = threading.Event()

    def run(self):
        alive = {}
        count = 0
        while not self._over.is_set():
            first_port = 10000 + count * 40 % 30000
            self._try(self._host.burst, "udp", self._server(), 7000, first_port, 20, seed=count)
            self._try(self._host.burst, "tcp", self._server(), 7000, first_port + 20, 10, seed=count)
            if len(alive) < 10:
                name = f"long {count}"
                protocol = self._chance.choice(("tcp", "udp"))
                if self._try(self._host.open, name, protocol, SERVER4, 7000, 50000 + count % 10000):
                    alive[name] = time.monotonic() + self._chance.uniform(1, 12)
            for name in list(alive):
                if time.monotonic() > alive[name] or not self._try(self._host.exchange, name, 100, 100):
                    self._try(self._host.shut, name, "rst")
                    del alive[name]
            count += 1
            self._over.wait(self._chance.uniform(0.05, 0.3))
        self._host.close()

    def _server(self):
        return self._chance.choice((SERVER4, SERVER6))

    def _try(self, call, *arguments, **how):
        """A connection that is flushed from the table may never be answered again."""
        try:
            call(*arguments, **how)
            return True
        except AssertionError:
            return False

    def finish(self):
        self._over.set()
        self.join(60)
        assert not self.is_alive(), "the traffic does not end"


class FaultsTest(LabCase):
    def setUp(self):
        super().setUp()
        self.seed = OPTIONS.seed if OPTIONS.seed is not None else random.SystemRandom().randrange(1_000_000)
        print(f"seed {self.seed}", flush=True)
        self.chance = random.Random(self.seed)
        self.disk = self.path("disk")
        os.mkdir(self.disk)
        run("mount", "-t", "tmpfs", "-o", DISK, "tmpfs", self.disk)
        self.addCleanup(run, "umount", "-l", self.disk)
        self.ledger, self.control = self.disk + "/ledger", self.path("control.sock")
        self.new_boot()
        self.daemon = None

    # The daemon.

    def new_boot(self):
        self.write("boot_id", str(uuid.UUID(int=self.chance.getrandbits(128))) + "\n")

    def arguments(self):
        return ["--ledger", self.ledger, "--control", self.control, "--window", "5s", "--sync", "200ms",
                "--sink", "file:" + self.path("log.json")]

    def begin(self):
        self.daemon = self.start(self.lab, *self.arguments(), before=[
            "unshare", "--mount", "sh", "-c", f'mount --bind "$0" {BOOT_ID} && exec "$@"', self.path("boot_id")])

    def end(self, number):
        self.daemon.stop(number, 0 if number == signal.SIGTERM else -number)

    def rest(self, most):
        time.sleep(self.chance.uniform(0, most))  # the moment is chance's, nothing is waited for

    # The faults. Each leaves a daemon that runs, and everything switched on.

    def kill(self):
        self.end(signal.SIGKILL)
        self.rest(2)
        self.begin()

    def stop(self):
        self.end(signal.SIGTERM)
        self.rest(2)
        self.begin()

    def freeze(self):
        self.daemon.send_signal(signal.SIGSTOP)
        self.rest(3)
        self.daemon.send_signal(signal.SIGCONT)

    def refused_start(self):
        self.end(self.chance.choice((signal.SIGKILL, signal.SIGTERM)))
        self.rest(1)
        status, _, _ = run_to_end(self.lab, self.folder, *self.arguments(), "--sink", "file:/nowhere/log")
        self.assertNotEqual(status, 0)
        self.rest(1)
        self.begin()

    def reboot(self):
        self.end(self.chance.choice((signal.SIGKILL, signal.SIGTERM)))
        self.new_boot()
        self.rest(1)
        self.begin()

    def events_off(self):
        self.lab.sysctl("events", 0)
        self.rest(3)
        self.lab.sysctl("events", 1)

    def events_off_over_a_restart(self):
        self.lab.sysctl("events", 0)
        self.rest(1)
        self.kill()
        self.rest(2)
        self.lab.sysctl("events", 1)

    def accounting_off(self):
        self.lab.sysctl("acct", 0)
        self.rest(2)
        self.lab.sysctl("acct", 1)

    def disable(self):
        ctl.ask("--control", self.control, "disable")
        self.rest(2)
        ctl.ask("--control", self.control, "enable")

    def flush(self):
        self.lab.conntrack("-F")

    def full_disk(self):
        self.fill_disk()
        self.rest(3)
        os.remove(self.disk + "/filler")

    def kill_on_a_full_disk(self):
        self.fill_disk()
        self.rest(2)
        self.end(signal.SIGKILL)
        self.rest(1)
        os.remove(self.disk + "/filler")
        self.begin()

    def fill_disk(self):
        with open(self.disk + "/filler", "wb", buffering=0) as file:
            for block in (1 << 20, 4096):
                try:
                    while True:
                        file.write(bytes(block))
                except OSError:
                    pass

    FAULTS = (kill, kill, stop, freeze, refused_start, reboot, events_off, events_off_over_a_restart, accounting_off,
              disable, flush, full_disk, kill_on_a_full_disk)

    # The test.

    def test_nothing_is_lost_untold_and_no_answer_is_none_where_there_was_a_session(self):
        self.make_watched_hosts(udp_timeout=2, udp_timeout_stream=3, tcp_timeout_established=5)
        self.begin()
        traffic = Traffic(self.lab, random.Random(self.seed))
        traffic.start()
        until = time.monotonic() + OPTIONS.minutes * 60
        faults, answers = Counter(), Counter()
        while time.monotonic() < until:
            fault = self.chance.choice(self.FAULTS)
            faults[fault.__name__] += 1
            began = time.time()
            fault(self)
            print(f"{began:.3f} to {time.time():.3f} {fault.__name__}", flush=True)
            self.rest(3)
            if sum(faults.values()) % 4 == 0:
                answers += self.ask_about(self.chance.sample(self.nat_flows(), 20), "while it runs")
        traffic.finish()
        flows = [flow for flow in self.witness.flows() if flow.source_nat]
        self.end(signal.SIGTERM)
        found, told = self.look_for(flows)
        answers += self.ask_about([self.chance.choice(flows) for _ in range(OPTIONS.questions)], "afterwards")
        print(f"faults: minutes {OPTIONS.minutes:g} sessions {len(flows)} faults {sum(faults.values())} "
              f"found {found} told-as-gap {told} questions {sum(answers.values())} answers "
              + " ".join(f"{verdict.replace(' ', '-')}={count}" for verdict, count in sorted(answers.items())), flush=True)

    def nat_flows(self):
        return [flow for flow in self.witness.ended_flows(20) if flow.source_nat]

    def look_for(self, flows):
        """(sessions in the log, sessions whose life overlaps what it says is uncertain). Fails for others."""
        records, gaps = defaultdict(list), []
        for record in map(parse, ctl.ledger_lines(self.ledger)):
            if record["event"] == "gap":
                gaps.append((ms(record["start_time"]), ms(record["end_time"])))
            else:
                records[record["protocol"], record["pri_ip"], record["pri_port"], record["nat_ip"],
                        record["nat_port"]].append(record)
        covered = read_coverage(self.ledger)
        found, told, lost = 0, 0, []
        for flow in flows:
            life = life_of(flow)
            here = [r for r in records[flow.protocol, flow.original.source, flow.original.source_port,
                                       flow.reply.destination, flow.reply.destination_port] if is_of(r, life)]
            if here:
                found += 1
            elif not any(since <= life[0] and life[1] <= end for since, end in covered) or any(
                    since <= life[1] and life[0] <= end for since, end in gaps):
                told += 1
            else:
                lost.append(f"{flow.original} lived from {life[0]} to {life[1]}")
        self.assertFalse(lost, f"{len(lost)} of {len(flows)} lost untold; gaps: {gaps}; covered: {covered}; the first: "
                         + "\n".join(lost[:5]))
        return found, told

    def ask_about(self, flows, when):
        """The verdicts on a moment within the life of each."""
        questions = io.StringIO()
        writer = csv.writer(questions)
        writer.writerow(["nat_ip", "nat_port", "time", "protocol"])
        for flow in flows:
            # In the log's own milliseconds, or a moment may be rounded to one behind the end.
            at = self.chance.randint(*life_of(flow))
            writer.writerow([flow.reply.destination, flow.reply.destination_port, f"{at / 1000:.3f}", flow.protocol])
        path = self.write("questions.csv", questions.getvalue())
        done = subprocess.run([ctl.program(), "--ledger", self.ledger, "--control", self.control, "trace", "--slack", "0s",
                               "--file", path], capture_output=True, text=True, timeout=120)
        answers = list(csv.DictReader(io.StringIO(done.stdout)))
        self.assertTrue(answers, done.stderr)
        none = [a for a in answers if a["verdict"] == "no session"]
        lives = [f"{life_of(flow)} {flow}" for flow in flows
                 for a in none if a["nat_port"] == str(flow.reply.destination_port)]
        self.assertFalse(none, f"{when}, of {len(flows)} questions: {none[:3]}; who has lived there: {lives[:6]}")
        return Counter(a["verdict"] for a in answers)


def life_of(flow):
    """From when to when, in ms."""
    return flow.start_ns // 1_000_000, flow.stop_ns // 1_000_000


def ms(time_of_record):
    return int(time_of_record * 1000)


def is_of(record, life):
    start = record["session_start"]
    if start is not None:
        return abs(ms(start) - life[0]) <= SLACK_MS
    return ms(record["start_time"]) <= life[1] + SLACK_MS and life[0] - SLACK_MS <= ms(record["end_time"])


def read_coverage(ledger):
    """[(from, until)] of the file `coverage`, as lib/ledger/FORMAT.md has it: the newer slot of each span."""
    with open(ledger + "/coverage", "rb") as file:
        data = file.read()
    spans = []
    for at in range(0, len(data), 1024):
        slots = [data[at + half:at + half + 512] for half in (0, 512)]
        whole = [s for s in slots if s[:8] == b"NSLCOV\r\n"]
        if whole:
            newest = max(whole, key=lambda s: struct.unpack_from("<Q", s, 16)[0])
            spans.append(struct.unpack_from("<qq", newest, 32))
    return spans


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--questions", type=int, default=1000)
    OPTIONS, sys.argv[1:] = parser.parse_known_args()
    main()
