"""Nothing is lost between two runs of the daemon: what waits in the socket and in memory is handed on."""

import json
import os
import random
import signal
import socket
import subprocess
import time

import ctl
from bulk import Flood, from_environment
from case import LabCase, main
from daemon import program as daemon_program
from memory_group import MemoryGroup
from netlab import run, wait_until
from store import Manager
from table_limits import TableLimits

SESSIONS = from_environment("NATSESSION_HANDED_OVER", 100_000)
ENDS = from_environment("NATSESSION_ENDS", 10)  # of the daemon, for each test


def listens(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
        return asking.connect_ex(path) == 0


class HandoverTest(LabCase):
    """A daemon that ends again and again while sessions begin and end."""

    def setUp(self):
        super().setUp()
        self.lab = self.make_lab()
        self.flood = Flood(self.lab)
        self.ledger, self.control = self.path("ledger"), self.path("control.sock")
        self.chance = random.Random(20261129)
        self.runs = 0

    def run_daemon(self, *more, **how):
        # Another window begins another segment, so that the one before is sealed while the daemon is killed.
        self.runs += 1
        return self.start(self.lab, "--ledger", self.ledger, "--control", self.control, "--window",
                          f"{3 + self.runs % 2}s", "--rcvbuf", "64M", *more, **how)

    def end_again_and_again(self, start, end, pause=0.0):
        """Sessions begin and end in bursts, in the middle of which the daemon ends; some live through several."""
        daemon = start()
        part = SESSIONS // ENDS
        for turn in range(ENDS):
            self.flood.begin_insert(part)
            time.sleep(self.chance.uniform(0, part / 200_000))  # the moment is the test's own; nothing is waited for
            if turn % 3 == 0:
                end(daemon)
            self.flood.finish_insert()
            if turn % 3 == 1:
                end(daemon)
            flush = subprocess.Popen([*self.lab.enter(self.lab.nat), os.environ["NATSESSION_FLOOD"], "flush"],
                                     stdout=subprocess.DEVNULL)
            time.sleep(self.chance.uniform(0, part / 200_000))
            if turn % 3 == 2:
                end(daemon)
            flush.wait(60)
            time.sleep(pause)
            daemon.close()
            daemon = start()
        self.flood.insert(part)
        self.wait_until_live(part)
        end(daemon)
        daemon.close()
        self.flood.flush()
        daemon = start()
        self.wait_until_live(0)
        daemon.stop()

    def wait_until_live(self, count):
        wait_until(lambda: ctl.collector(self.control)["live_sessions"] == count, f"{count} open sessions")

    def assert_all_is_there(self):
        records = [json.loads(line) for line in ctl.ledger_lines(self.ledger)]
        self.assertEqual([r for r in records if r["event"] == "gap"], [], "no gap is claimed")
        names = [(r["session_id"], r["seq"]) for r in records]
        self.assertEqual(len(set(names)), len(names), "a (session_id, seq) is there twice")
        ends = [r for r in records if r["event"] == "end"]
        self.assertEqual(len(ends), self.flood.made)
        self.assertEqual(len({r["session_id"] for r in ends}), self.flood.made)
        self.assertEqual({r["reason"] for r in ends}, {"destroyed"})
        self.assertIn("sound", ctl.ask("--ledger", self.ledger, "verify"))

    def kill(self, daemon):
        """Also in the middle of a dump, or of a reload."""
        if just_before := self.chance.choice((None, signal.SIGUSR1, signal.SIGHUP)):
            daemon.send_signal(just_before)
            time.sleep(self.chance.uniform(0, 0.01))
        daemon.send_signal(signal.SIGKILL)

    def kill_and_end_all(self, daemon):
        """Every session ends while no daemon runs."""
        self.kill(daemon)
        daemon.close()
        self.flood.flush()

    def stop(self, daemon):
        daemon.stop()

    def with_guard(self):
        return self.run_daemon("--handover", self.path("handover.sock"))

    def with_manager(self, *more, enter=()):
        before, descriptors = self.manager.pass_on()
        return self.run_daemon(*more, before=(*enter, *before), environment=self.manager.environment(), pass_fds=descriptors)

    def make_manager(self):
        self.manager = Manager(self.path("notify"))
        self.addCleanup(self.manager.close)

    def test_kill_9_loses_nothing_where_a_guard_holds_the_socket(self):
        self.end_again_and_again(self.with_guard, self.kill)
        self.assert_all_is_there()

    def test_kill_9_loses_nothing_where_a_service_manager_holds_it(self):
        self.make_manager()
        self.end_again_and_again(self.with_manager, self.kill)
        self.assert_all_is_there()

    def test_a_watchdog_ending_it_where_it_hangs_loses_nothing(self):
        self.make_manager()

        def hang(daemon):
            daemon.send_signal(signal.SIGSTOP)
            time.sleep(self.chance.uniform(0, 0.1))
            daemon.send_signal(signal.SIGABRT)  # as systemd's
            daemon.send_signal(signal.SIGCONT)
            daemon.wait_for_end(-signal.SIGABRT)

        self.end_again_and_again(self.with_manager, hang)
        self.assert_all_is_there()

    def test_the_kernel_ending_it_for_want_of_memory_loses_nothing(self):
        self.make_manager()
        memory = self.enterContext(MemoryGroup())

        def run_out(daemon):
            killed = memory.kills()
            memory.run_out()
            daemon.wait_for_end(-signal.SIGKILL)
            self.assertGreater(memory.kills(), killed)

        self.end_again_and_again(lambda: self.with_manager(enter=memory.enter), run_out)
        self.assert_all_is_there()

    def test_stops_lose_nothing(self):
        self.end_again_and_again(self.with_guard, self.stop)
        self.assert_all_is_there()

    def test_a_process_that_is_started_beside_takes_over(self):
        first = self.with_guard()
        self.flood.begin_insert(SESSIONS // ENDS)
        second = self.with_guard()  # ready: the first has left, without a signal
        self.flood.finish_insert()
        self.assertIn("another process takes over", first.message_text())
        self.assertIn("taken over from the run before", second.message_text())
        self.assertNotIn("natsessiond: error", first.message_text())
        self.flood.flush()
        self.wait_until_live(0)
        second.stop()
        self.assert_all_is_there()

    def test_who_is_another_takes_nothing_over(self):
        """Another ledger, other events, or another kind of NAT: what waits was not chosen for it."""
        path = self.path("handover.sock")
        first = self.start(self.lab, "--ledger", self.ledger, "--handover", path)
        self.flood.insert(100)
        self.flood.flush()
        wait_until(lambda: ctl.ledger_lines(self.ledger), "the ledger has records")
        self.kill(first)
        first.close()
        for more in (["--ledger", self.path("other")], ["--ledger", self.ledger, "--nat", "any"]):
            daemon = self.start(self.lab, "--handover", path, *more)
            self.assertNotIn("taken over", daemon.message_text())
            daemon.stop()
        self.assertIn("gap", {json.loads(line)["event"] for line in ctl.ledger_lines(self.ledger)})

    def test_what_passes_while_logging_is_disabled_is_no_successors_to_answer_for(self):
        for end in (self.kill, self.stop):
            daemon = self.with_guard()
            ctl.ask("--control", self.control, "disable")
            wait_until(lambda: not ctl.collector(self.control)["ready"], "logging is off")
            self.flood.insert(10)
            self.flood.flush()
            disabled = time.time()
            end(daemon)
            daemon.close()
            daemon = self.with_guard()
            self.assertNotIn("taken over", daemon.message_text())
            daemon.stop()
            gaps = [r for r in map(json.loads, ctl.ledger_lines(self.ledger)) if r["event"] == "gap"]
            self.assertTrue(any(float(gap["start_time"]) <= disabled <= float(gap["end_time"]) for gap in gaps), gaps)

    def test_a_namespace_that_is_made_anew_is_followed_and_then_handed_over(self):
        """What is kept for the next run is the new one's."""
        self.make_manager()
        other = self.make_lab()
        start = lambda: self.with_manager("--netns", other.nat)
        daemon = start()
        wait_until(lambda: len(self.manager.kept) == 2, "its socket and its region are kept")
        run("ip", "netns", "delete", other.nat)
        daemon.wait_for_message("is gone")
        wait_until(lambda: not self.manager.kept, "nobody keeps the old one")
        run("ip", "netns", "add", other.nat)
        daemon.wait_for_message("there is one again")
        wait_until(lambda: len(self.manager.kept) == 2, "the new one's are kept")
        wait_until(lambda: ctl.collector(self.control)["ready"], "its table is known")
        daemon.stop()
        daemon = start()
        self.assertIn("taken over", daemon.message_text())
        daemon.stop()

    def test_the_table_is_guarded_while_no_daemon_runs(self):
        """Forwarding comes first also then: reliable mode goes off before the table is full, and the log says so."""
        self.enterContext(TableLimits(flows=20_000))
        path = self.path("handover.sock")
        daemon = self.start(self.lab, "--ledger", self.ledger, "--handover", path, "--rcvbuf", "256K", "--events",
                            "destroy", "--window", "24h")
        self.kill(daemon)
        daemon.close()
        refused = 0
        for _ in range(30):  # far more ends than the buffer and the table hold
            refused += self.flood.insert(2000)
            self.flood.flush()
        self.assertEqual(refused, 0, "the table was full")
        daemon = self.start(self.lab, "--ledger", self.ledger, "--handover", path, "--control", self.control,
                            "--events", "destroy", "--window", "24h")
        self.assertIn("taken over from the run before", daemon.message_text())
        records = lambda: [json.loads(line) for line in ctl.ledger_lines(self.ledger)]
        gaps = wait_until(lambda: [r for r in records() if r["event"] == "gap"], "the gap is told")
        self.assertEqual({gap["reason"] for gap in gaps}, {"table_guard"})
        self.assertGreater(ctl.collector(self.control)["away_seconds"], 0)
        self.assertIn("s without a process before this one took over", ctl.ask("--control", self.control, "status"))
        daemon.stop()
        ends = [r for r in records() if r["event"] == "end"]
        self.assertEqual(len({(r["session_id"], r["seq"]) for r in ends}), len(ends))
        lost = self.flood.made - len(ends)
        self.assertGreater(lost, 0)
        self.assertLessEqual(lost, sum(gap["events_lost"] for gap in gaps))

    def start_guard(self):
        path = self.path("handover.sock")
        guard = subprocess.Popen([daemon_program(), "--guard-only", "--handover", path], stderr=subprocess.DEVNULL)
        self.addCleanup(guard.wait)
        self.addCleanup(guard.kill)
        wait_until(lambda: listens(path), "the guard listens")
        return guard

    def test_a_guard_that_is_restarted_goes_on_with_the_daemon_that_runs(self):
        guard = self.start_guard()
        daemon = self.with_guard()
        for _ in range(2):
            guard.kill()
            guard.wait()
            self.flood.insert(500)
            guard = self.start_guard()
            daemon.wait_for_message("natsess-guard: another has taken its place")
            self.kill_and_end_all(daemon)
            daemon = self.with_guard()
        self.wait_until_live(0)
        daemon.stop()
        self.assert_all_is_there()

    def test_a_guard_of_its_own_serves_one_daemon_after_the_other(self):
        guard = self.start_guard()
        for _ in range(3):
            daemon = self.with_guard()
            self.assertEqual(daemon.children(), {}, "it has a guard of its own")
            self.flood.insert(500)
            self.kill_and_end_all(daemon)
        daemon = self.with_guard()
        self.wait_until_live(0)
        daemon.stop()
        self.assertIsNone(guard.poll())
        self.assert_all_is_there()

    def test_five_seconds_between_death_and_restart_lose_nothing(self):
        self.make_manager()
        self.end_again_and_again(self.with_manager, self.kill, pause=5.0)
        self.assert_all_is_there()


if __name__ == "__main__":
    main()
