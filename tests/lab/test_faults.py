"""Faults in random order under traffic: what the kernel says has ended is in the log, or the log says that it may
be missing; and no answer is "none" where there was a session.

The witness is the kernel's own events (witness.py), and what was answered to whom (restless.py). By hand: test_faults.py
--minutes 10 --seed 7 --questions 10000; the minutes are of both tests together.
A clock that is set is a preloaded one (set_clock.py), since no namespace has a wall clock of its own. The kernel's stamps
would not go with it, so it is set where there are none.
"""

import argparse
import csv
import io
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from dataclasses import dataclass

import ctl
from case import LabCase, main
from daemon import run_to_end
from evidence import Evidence, life_of
from netlab import run, wait_until
from restless import KNOWN_SECONDS, Restless
from set_clock import SetClock
from witness import Witness

OPTIONS = argparse.Namespace(minutes=1.0, seed=None, questions=1000)
BOOT_ID = "/proc/sys/kernel/random/boot_id"
DISK = "size=64m"
FROZEN_SECONDS = 3  # at most
STEPS_SECONDS = (-3600, -60, -5, 5, 60, 3600)
FARTHEST_SECONDS = 7200  # from the right time
HERE = ()  # the daemon runs outside of the lab, whose NAT box may go


@dataclass(frozen=True)
class Question:
    protocol: int
    nat_ip: str
    nat_port: int
    at_ms: int  # by the log's clock
    about: str  # for a failure's message


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
        self.clock = SetClock(self.folder)
        self.addCleanup(self.clock.close)
        self.new_boot()
        self.daemon = None
        self.slack = "0s"
        self.denied = []  # what was answered with "no session"

    def make_box(self, timestamp):
        """The lab, in which sessions end soon."""
        self.timestamp = timestamp
        self.make_hosts(timestamp=timestamp, udp_timeout=2, udp_timeout_stream=3, tcp_timeout_established=5,
                        tcp_timeout_syn_sent=5, tcp_timeout_syn_recv=5)
        self.past = []  # the flows of NAT boxes that are gone
        self.boxes = 0
        self.begin_to_watch()
        self.traffic = Restless(self.lab, self.seed)

    def begin_to_watch(self):
        self.boxes += 1
        folder = self.path(f"box{self.boxes}")
        os.mkdir(folder)
        self.witness = Witness(self.lab, folder)

    # The daemon.

    def new_boot(self):
        self.write("boot_id", str(uuid.UUID(int=self.chance.getrandbits(128))) + "\n")

    def arguments(self):
        return ["--netns", self.lab.nat, "--ledger", self.ledger, "--control", self.control, "--window", "5s", "--sync", "200ms",
                "--sink", "file:" + self.path("log.json")]

    def begin(self):
        # As a slave it lets go of a namespace whose name is removed.
        self.daemon = self.start(self.lab, *self.arguments(), enter=HERE, environment=self.clock.environment, before=[
            "unshare", "--mount", "--propagation", "slave", "sh", "-c", f'mount --bind "$0" {BOOT_ID} && exec "$@"',
            self.path("boot_id")])

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
        self.rest(FROZEN_SECONDS)
        self.daemon.send_signal(signal.SIGCONT)

    def refused_start(self):
        self.end(self.chance.choice((signal.SIGKILL, signal.SIGTERM)))
        self.rest(1)
        status, _, _ = run_to_end(self.lab, self.folder, *self.arguments(), "--sink", "file:/nowhere/log", enter=HERE,
                                  environment=self.clock.environment)
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
        self.show_the_table()

    def events_off_over_a_restart(self):
        self.lab.sysctl("events", 0)
        self.rest(1)
        self.kill()
        self.rest(2)
        self.lab.sysctl("events", 1)

    # What begins in a moment of silence is known by its stamp, when a dump shows it: without stamps it is not told from
    # what was there before.

    def stamped_silence(self):
        self.timestamp = 1
        self.lab.sysctl("timestamp", 1)
        self.lab.sysctl("events", 0)

    def events_off_for_a_moment(self):
        self.stamped_silence()
        self.rest(0.8)
        self.lab.sysctl("events", 1)
        self.show_the_table()

    def events_off_while_frozen(self):
        self.daemon.send_signal(signal.SIGSTOP)
        self.stamped_silence()
        self.rest(FROZEN_SECONDS)
        self.lab.sysctl("events", 1)
        self.daemon.send_signal(signal.SIGCONT)
        self.show_the_table()

    def show_the_table(self):
        """By a dump. What began in silence shows in the next, and in nothing else: of what is over by then nobody can know."""
        def records():
            return ctl.collector(self.control)["records"]
        with self.traffic.paused():
            before, deadline = records(), time.monotonic() + 5
            self.daemon.send_signal(signal.SIGUSR1)
            while records() == before and time.monotonic() < deadline:
                time.sleep(0.05)

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

    def replace_namespace(self):
        """The NAT box is deleted, and another made under its name."""
        with self.traffic.ended():
            self.past += self.witness.ended_flows()
            self.past += self.witness.open_flows()
            self.lab.remove_nat()
            self.witness.close()
            wait_until(self.lab.nat_is_freed, "nobody holds the old namespace any more")
            self.rest(1)
            self.lab.add_nat()
            self.begin_to_watch()
            self.rest(1)
            self.lab.join_nat()
            self.lab.sysctl("timestamp", self.timestamp)

    # Where the kernel stamps.

    def switch_timestamps(self):
        """Off, as by default, or on again."""
        self.timestamp = 1 - self.timestamp
        self.lab.sysctl("timestamp", self.timestamp)

    # Where it does not.

    def step_the_clock(self):
        step = self.chance.choice(STEPS_SECONDS)
        with self.traffic.paused():
            self.clock.set_ahead(max(-FARTHEST_SECONDS, min(self.clock.ahead + step, FARTHEST_SECONDS)))

    def step_the_clock_over_a_kill(self):
        self.end(signal.SIGKILL)
        self.rest(1)
        self.step_the_clock()
        self.begin()

    FAULTS = (kill, kill, stop, freeze, refused_start, reboot, events_off, events_off_over_a_restart,
              accounting_off, disable, flush, full_disk, kill_on_a_full_disk, replace_namespace)

    # The tests.

    def test_nothing_is_lost_untold_and_no_session_is_denied(self):
        self.make_box(timestamp=1)
        self.try_faults((*self.FAULTS, FaultsTest.switch_timestamps, FaultsTest.events_off_for_a_moment,
                         FaultsTest.events_off_while_frozen))

    def test_likewise_where_the_kernel_does_not_stamp_and_the_clock_is_set(self):
        self.make_box(timestamp=0)
        self.slack = "1s"  # an event's time is when it was received
        self.try_faults((*self.FAULTS, FaultsTest.step_the_clock, FaultsTest.step_the_clock,
                         FaultsTest.step_the_clock_over_a_kill))

    def try_faults(self, faults):
        self.begin()
        self.traffic.start()
        self.addCleanup(self.traffic.finish)
        until = time.monotonic() + OPTIONS.minutes * 30
        seen, answers = Counter(), Counter()
        while time.monotonic() < until:
            fault = self.chance.choice(faults)
            seen[fault.__name__] += 1
            began = time.time()
            fault(self)
            print(f"{began:.3f} to {time.time():.3f} {fault.__name__}", flush=True)
            self.rest(2)
            answers += self.ask(self.about_now(), f"after {fault.__name__}")
        self.traffic.finish()
        flows = [flow for flow in self.past + self.witness.flows() if flow.source_nat]
        self.end(signal.SIGTERM)
        self.clock.set_ahead(2 * FARTHEST_SECONDS)  # for who asks: then no time of the log is to come
        each = OPTIONS.questions // 4
        answers += self.ask([self.about_flow(self.chance.choice(flows)) for _ in range(each)], "afterwards")
        answers += self.ask([self.about_moment(self.chance.choice(self.traffic.moments)) for _ in range(each)], "afterwards")
        evidence = Evidence(self.ledger)
        found, told, lost = evidence.look_for(flows, self.lives_of, FROZEN_SECONDS * 1000 + 2000)
        print(f"faults: minutes {OPTIONS.minutes / 2:g} sessions {len(flows)} faults {sum(seen.values())} "
              f"found {found} told-as-gap {told} questions {sum(answers.values())} answers "
              + " ".join(f"{verdict.replace(' ', '-')}={count}" for verdict, count in sorted(answers.items())), flush=True)
        self.assertFalse(lost, evidence.told_of(lost, flows))
        self.assertFalse(self.denied, f"{len(self.denied)} sessions are denied:\n" + "\n".join(self.denied[:20]))

    # Questions.

    def lives_of(self, flow):
        """What the log's clock showed while it lived, in ms."""
        since, until = life_of(flow)
        return [(int(begin * 1000), int(end * 1000)) for begin, end in self.clock.spans_of(since / 1000, until / 1000)]

    def about_flow(self, flow):
        """A moment of its life; none where that is shorter than it takes to be told of it."""
        since, until = life_of(flow)
        if not flow.start_ns:
            since += int(KNOWN_SECONDS * 1000)
            until -= int(KNOWN_SECONDS * 1000)
        if until < since:
            return None
        # In the log's own milliseconds, or a moment may be rounded to one behind the end.
        at = self.chance.randint(since, until)
        ((shown, _), *_) = self.clock.spans_of(at / 1000, at / 1000)
        return Question(flow.protocol, flow.reply.destination, flow.reply.destination_port, round(shown * 1000),
                        f"{flow.original} lived {self.lives_of(flow)}")

    def about_moment(self, moment):
        ((shown, _), *_) = self.clock.spans_of(moment.at, moment.at)
        return Question(moment.protocol, moment.nat_ip, moment.nat_port, int(shown * 1000), "it was answered at that moment")

    def about_now(self):
        """About sessions that ended lately, and moments of those that are open or were lately."""
        ended = [flow for flow in self.witness.ended_flows() if flow.source_nat]
        return ([self.about_moment(moment) for moment in self.some_of(self.traffic.moments[-200:])]
                + [self.about_flow(flow) for flow in self.some_of(ended[-300:])])

    def some_of(self, things, count=15):
        return self.chance.sample(things, min(count, len(things)))

    def ask(self, questions, when):
        """The verdicts, of those that are not about a time to come."""
        now_ms = self.clock.now() * 1000
        questions = [question for question in questions if question and question.at_ms < now_ms]
        if not questions:
            return Counter()
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["nat_ip", "nat_port", "time", "protocol"])
        writer.writerows([q.nat_ip, q.nat_port, f"{q.at_ms / 1000:.3f}", q.protocol] for q in questions)
        done = subprocess.run([ctl.program(), "--ledger", self.ledger, "--control", self.control, "trace", "--slack", self.slack,
                               "--file", self.write("questions.csv", text.getvalue())], capture_output=True, text=True,
                              timeout=120, env={**os.environ, **self.clock.environment})
        answers = [a for a in csv.DictReader(io.StringIO(done.stdout)) if a["rank"] in ("", "1")]
        self.assertEqual(len(answers), len(questions), done.stderr)
        self.denied += [f"{when}, {time.time():.3f}: {question}" for question, answer in zip(questions, answers)
                        if answer["verdict"] == "no session"]
        return Counter(answer["verdict"] for answer in answers)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--questions", type=int, default=1000)
    OPTIONS, sys.argv[1:] = parser.parse_known_args()
    main()
