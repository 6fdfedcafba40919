"""Reliable mode and its guard: what the kernel could not tell comes again, and forwarding comes before logging."""

import os
import pwd
import signal
import sys
import time

from bulk import FLOOD_PRI, Flood, Log, flood_sessions, send_datagrams
from case import LabCase, main
from compare import to_ms
from daemon import has_ended, program, status_of
from event_socket import EventSocket
from netlab import SERVER4, wait_until
from newcomer import Newcomer
from table_limits import TableLimits
from traffic import client_and_server

TABLE = 20_000
AT_ONCE = 5_000
STEP = 200  # what begins and ends between two newcomers, while the guard outside looks on: a table this small is full
# within tenths of a second, and the kernel needs some to let go what it held
# Its link, standard error, and of the one namespace an event socket, its region, and what its table is read by.
WATCHES_ONE = 2 + 2 + 5
GUARD_NAME = "natsess-guard"
KNOWN, KNOWN_PRI, RATE = 5_000, "10.64.0.100", 50_000
WENT_OFF = "reliable mode went off"
PASSES_WITHIN_SECONDS = 5
CAP_NET_ADMIN = 1 << 12
# As systemd's SystemCallFilter=~@privileged: EPERM. The program is open already: its folder may be closed to other users.
REFUSE_CAPSET = """
import ctypes, errno, os, sys
seccomp = ctypes.CDLL("libseccomp.so.2")
seccomp.seccomp_init.restype = ctypes.c_void_p
allow, refuse = 0x7FFF0000, 0x00050000 | errno.EPERM
rules = ctypes.c_void_p(seccomp.seccomp_init(allow))
assert seccomp.seccomp_rule_add(rules, refuse, seccomp.seccomp_syscall_resolve_name(b"capset"), 0) == 0
assert seccomp.seccomp_load(rules) == 0
os.execv(f"/proc/self/fd/{sys.argv[1]}", sys.argv[2:])
"""


def of_flood(record):
    """Not of a Newcomer."""
    return record["event"] == "gap" or record["pri_ip"] in (str(FLOOD_PRI), KNOWN_PRI)


def now_ms():
    return time.time_ns() // 1_000_000


class GuardTest(LabCase):
    def setUp(self):
        super().setUp()
        self.log = Log(self.path("log.json"), choose=of_flood)

    def begin(self, *arguments):
        self.lab = self.make_lab()
        self.flood = Flood(self.lab)
        return self.start(self.lab, "--sink", "file:" + self.log.path, "--window", "24h", "--records", "start-end",
                          *arguments)

    def begin_with_known(self):
        """A daemon whose buffer holds a small part only of what the table does, with sessions that it knows."""
        self.enterContext(TableLimits(flows=TABLE))
        daemon = self.begin("--rcvbuf", "16K")
        client_and_server(self.lab)
        newcomer, events = Newcomer(self.lab), EventSocket(self.lab, daemon)
        self.assertTrue(events.reliable())
        known = self.make_known(daemon)
        self.assertTrue(newcomer.passes())
        return daemon, newcomer, events, known

    def fill_with_undelivered(self):
        """Sessions begin and end until the kernel has no room for more, because it keeps all whose end it could
        not tell to the daemon, which is stopped."""
        while room := TABLE - self.lab.flow_count():
            self.assertEqual(self.flood.insert(min(AT_ONCE, room)), 0)
            self.lab.delete_flows("-s", FLOOD_PRI)
            self.assertLess(self.flood.made, 10 * TABLE, "the table does not fill")
        self.assertEqual(self.flood.insert(10), 10, "a full table takes more")

    def end_undelivered(self, newcomer, total):
        """So many sessions begin and end while nobody reads of it, and new connections pass all the time."""
        while self.flood.made < total:
            self.assertEqual(self.flood.insert(STEP), 0)
            self.lab.delete_flows("-s", FLOOD_PRI)
            self.assertTrue(newcomer.passes(), f"with {self.lab.flow_count()} flows after {self.flood.made}")

    def make_known(self, daemon):
        """Sessions that live and that the daemon knows; of those whose NEW was lost a dump tells."""
        self.lab.sysctl("udp_timeout", 600)
        send_datagrams(self.lab, KNOWN_PRI, SERVER4, KNOWN, RATE)
        self.assertEqual(self.lab.flow_count(), KNOWN)
        daemon.send_signal(signal.SIGUSR1)
        return set(self.log.wait_until(lambda tally: len(tally.started) == KNOWN, f"{KNOWN} start records").started)

    def assert_ended(self, known):
        """Each of `known` has an end record, and no session has two."""
        tally = self.log.wait_until(lambda tally: known <= tally.ended.keys(), "the sessions known have ended")
        self.assertEqual(tally.twice(), {})
        return tally

    def test_while_the_daemon_is_stopped_the_table_does_not_fill_and_the_log_says_what_was_lost(self):
        daemon, newcomer, events, known = self.begin_with_known()

        daemon.send_signal(signal.SIGSTOP)
        ends_from = now_ms()
        self.end_undelivered(newcomer, TABLE // 2)
        self.assertTrue(events.reliable(), "it went off although there was room")
        self.end_undelivered(newcomer, 2 * TABLE)
        self.assertFalse(events.reliable())
        self.lab.delete_flows("-s", KNOWN_PRI)
        self.assertTrue(newcomer.passes())
        ends_until = now_ms()
        daemon.send_signal(signal.SIGCONT)
        self.assert_it_goes_on(daemon, events, known, ends_from, ends_until)

    def test_before_the_table_fills_reliable_mode_goes_off_and_the_log_says_what_was_lost(self):
        daemon, newcomer, events, known = self.begin_with_known()

        # Without the guard outside, which would see to it that the table does not fill.
        daemon.end_child(GUARD_NAME)
        daemon.send_signal(signal.SIGSTOP)
        ends_from = now_ms()
        self.fill_with_undelivered()
        self.lab.delete_flows("-s", KNOWN_PRI)
        ends_until = now_ms()
        self.assertFalse(newcomer.passes(), "the table is full, and yet a new connection passes")
        daemon.send_signal(signal.SIGCONT)
        wait_until(newcomer.passes, "new connections pass again", PASSES_WITHIN_SECONDS)
        self.assert_it_goes_on(daemon, events, known, ends_from, ends_until)

    def assert_it_goes_on(self, daemon, events, known, ends_from, ends_until):
        """What was lost is within gaps, which know how much it was at the most; once reliable mode is on again nothing is."""
        daemon.wait_for_message(WENT_OFF)
        self.log.wait_until(lambda tally: tally.gaps, "a gap record")
        tally = self.assert_ended(known)
        self.assertGreater(tally.reasons["vanished"], 0)
        wait_until(events.reliable, "reliable mode is on again, now that the table has room")
        gaps = len(self.log.tally().gaps)
        self.assert_all_of_a_burst_is_delivered(daemon, events)
        daemon.stop()
        tally = self.assert_ended(known)
        self.assertEqual(tally.gaps[gaps:], [])
        self.assertEqual(tally.unfinished, [])
        for gap in tally.gaps:
            self.assertEqual((gap["reason"], gap["log_status"]), ("table_guard", "SKIPDATA"))
        self.assertLessEqual(min(to_ms(gap["start_time"]) for gap in tally.gaps), ends_from)
        self.assertGreaterEqual(max(to_ms(gap["end_time"]) for gap in tally.gaps), ends_until)
        lost = KNOWN + self.flood.made - len(tally.ends)
        self.assertGreater(lost, 0, "nothing was lost: nothing was tried")
        self.assertLessEqual(lost, tally.events_lost)

    def assert_all_of_a_burst_is_delivered(self, daemon, events):
        """More than the buffer holds, and less than the guard minds."""
        count, dropped = TABLE * 2 // 5, events.dropped()
        daemon.send_signal(signal.SIGSTOP)
        self.assertEqual(self.flood.insert(count), 0)
        self.flood.flush()
        daemon.send_signal(signal.SIGCONT)
        fresh = flood_sessions(count).keys() - flood_sessions(AT_ONCE).keys()  # not among those made before
        self.log.wait_until(lambda tally: fresh <= {key for key, _ in tally.ends}, "every session of the burst")
        self.assertGreater(events.dropped(), dropped, "all events fitted: nothing was tried")

    def test_where_it_must_stay_on_all_is_delivered_from_a_full_table(self):
        self.enterContext(TableLimits(flows=TABLE))
        daemon = self.begin("--rcvbuf", "512K", "--reliable", "on")
        events = EventSocket(self.lab, daemon)
        daemon.send_signal(signal.SIGSTOP)
        self.fill_with_undelivered()
        daemon.send_signal(signal.SIGCONT)
        self.log.wait_for_ends(self.flood.made)
        self.assertTrue(events.reliable())
        daemon.stop()
        tally = self.log.tally()
        self.assertEqual((len(tally.ends), tally.twice()), (self.flood.made, {}))
        self.assertEqual((tally.gaps, tally.unfinished), ([], []))
        self.assertEqual(set(tally.reasons), {"destroyed"})
        self.assertNotIn(WENT_OFF, daemon.message_text())


class GuardProcessTest(LabCase):
    def test_it_ends_with_the_daemon_however_that_ends(self):
        lab = self.make_lab()
        for number, status in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 0)):
            daemon = self.start(lab)
            guard = os.pidfd_open(daemon.child(GUARD_NAME))
            self.addCleanup(os.close, guard)
            daemon.stop(number, status=status)
            wait_until(lambda: has_ended(guard), "the guard has ended")

    def test_it_is_in_nobodys_way(self):
        lab = self.make_lab()
        daemon = self.start(lab)
        guard = daemon.child(GUARD_NAME)
        self.assertNotIn(os.getsid(guard), (os.getsid(0), os.getsid(daemon.pid)))
        self.assertNotIn(os.getpgid(guard), (os.getpgid(0), os.getpgid(daemon.pid)))
        status = status_of(guard)
        self.assertEqual((status["CapPrm"], status["CapEff"], status["CapBnd"]), ("0" * 16,) * 3)
        wait_until(lambda: len(os.listdir(f"/proc/{guard}/fd")) == WATCHES_ONE, "it holds what it needs, and no more")
        os.kill(guard, signal.SIGTERM)
        os.kill(guard, signal.SIGINT)
        self.assertEqual(daemon.child(GUARD_NAME), guard)
        daemon.stop()

    def test_where_a_sandbox_refuses_to_take_its_capabilities_it_has_none_all_the_same(self):
        """As in the service, where the unit of the guard is missing."""
        lab = self.make_lab()
        user = pwd.getpwnam("daemon")
        os.chmod(self.folder, 0o755)
        opened = os.open(program(), os.O_RDONLY)
        self.addCleanup(os.close, opened)
        daemon = self.start(lab, "--rcvbuf", "16K", pass_fds=(opened,), before=(
            "setpriv", "--reuid", user.pw_name, "--regid", str(user.pw_gid), "--clear-groups", "--inh-caps=-all,+net_admin",
            "--ambient-caps=-all,+net_admin", sys.executable, "-c", REFUSE_CAPSET, str(opened)))
        self.assertEqual(int(status_of(daemon.pid)["CapPrm"], 16), CAP_NET_ADMIN)
        guard = daemon.child(GUARD_NAME)
        wait_until(lambda: int(status_of(guard)["CapPrm"], 16) == 0, lambda: f"none is left: {status_of(guard)}")
        wait_until(lambda: len(os.listdir(f"/proc/{guard}/fd")) == WATCHES_ONE, "it watches")
        # What it does needs none.
        self.enterContext(TableLimits(flows=TABLE))
        flood, events = Flood(lab), EventSocket(lab, daemon)
        daemon.send_signal(signal.SIGSTOP)
        while events.reliable():
            self.assertEqual(flood.insert(STEP), 0)
            flood.flush()
            self.assertLess(flood.made, 2 * TABLE)
        guard = os.pidfd_open(guard)
        self.addCleanup(os.close, guard)
        daemon.stop(signal.SIGKILL, status=-signal.SIGKILL)
        wait_until(lambda: has_ended(guard), "it has ended with the daemon")

    def test_without_something_to_decide_there_is_none(self):
        lab = self.make_lab()
        for mode in ("on", "off"):
            daemon = self.start(lab, "--reliable", mode)
            self.assertEqual(daemon.children(), {})
            daemon.stop()

    def test_its_death_is_told_and_the_daemon_goes_on(self):
        self.make_hosts()
        daemon = self.start(self.lab)
        daemon.end_child(GUARD_NAME)
        daemon.wait_for_message("natsess-guard: killed by signal 9")
        self.assertEqual(daemon.children(), {}, "it is left as a zombie")
        self.client.session("udp", SERVER4, 7000)
        self.lab.wait_for_expiry()
        daemon.wait_for_ends(1)
        daemon.stop()


if __name__ == "__main__":
    main()
