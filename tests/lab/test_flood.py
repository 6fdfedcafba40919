"""No session lost: floods at the kernel's full speed, by ctnetlink and by packets, and with the daemon stopped.

NATSESSION_FLOOD_SESSIONS, NATSESSION_FLOOD_DATAGRAMS: how many; 1000000 and 200000 are what the project promises.
"""

import signal
import time

from bulk import (DATAGRAM_BYTES, Flood, Log, at_monotonic, differences, first, flood_sessions, from_environment,
                  listed_sessions, send_datagrams)
from case import LabCase, main
from netlab import run, wait_until
from table_limits import TableLimits

SESSIONS = from_environment("NATSESSION_FLOOD_SESSIONS", 200_000)
DATAGRAMS = from_environment("NATSESSION_FLOOD_DATAGRAMS", 50_000)
STOPPED_SECONDS = 5
SESSIONS_PER_SECOND = 5_000  # so many at the least are logged, sanitizers included; it bounds what is waited for

# By packets: one of several peers for so many, so that none takes more ports than the NAT address has.
PER_PEER, RATE = 25_000, 50_000
PEERS = [f"203.0.113.{100 + number}" for number in range(-(-DATAGRAMS // PER_PEER))]
SOURCES = [f"10.64.0.{100 + number}" for number in range(len(PEERS))]
NO_ANSWER = "table ip quiet { chain rules { type filter hook input priority filter; udp dport 5353 drop; }; }"


class FloodTest(LabCase):
    def setUp(self):
        super().setUp()
        self.enterContext(TableLimits(room_for=max(SESSIONS, DATAGRAMS) + 1000))
        self.log = Log(self.path("log.json"))

    def begin(self, lab, *arguments):
        self.lab = lab
        return self.start(lab, "--sink", "file:" + self.log.path, "--window", "24h", *arguments)

    def assert_each_once(self, daemon, sessions):
        """Each of `sessions` has its end record, and the log has nothing else."""
        self.log.wait_until(lambda tally: len(tally.ends) >= len(sessions) or tally.gaps,
                            f"{len(sessions)} end records", 60 + len(sessions) / SESSIONS_PER_SECOND)
        daemon.stop()
        tally = self.log.tally()
        wrong = differences(tally, sessions)
        self.assertFalse(wrong, first(wrong))
        self.assertEqual(set(tally.reasons), {"destroyed"})
        self.assertEqual((tally.gaps, tally.unfinished), ([], []))
        self.assertFalse([m for m in daemon.messages if "lost" in m or "warning" in m or "error" in m])
        return tally

    def test_a_flood_by_ctnetlink(self):
        daemon = self.begin(self.make_lab())
        flood = Flood(self.lab)
        self.assertEqual(flood.insert(SESSIONS), 0)
        flood.flush()
        self.assert_each_once(daemon, flood_sessions(SESSIONS))

    def test_a_flood_by_packets(self):
        lab = self.make_lab("random", udp_timeout=4 + DATAGRAMS // 20_000)
        run(*lab.enter(lab.server), "nft", "-f", "-", text_in=NO_ANSWER)
        for peer in PEERS:
            run("ip", "-n", lab.server, "addr", "add", peer, "dev", "eth0")
        daemon = self.begin(lab)
        left = DATAGRAMS
        for source, peer in zip(SOURCES, PEERS):
            send_datagrams(lab, source, peer, min(left, PER_PEER), RATE)
            left -= PER_PEER
        sessions = listed_sessions(lab)
        self.assertEqual(len(sessions), DATAGRAMS)
        self.assertLess(sum(nat_port == port for (_, port, _), (_, nat_port) in sessions.items()), DATAGRAMS // 100,
                        "the NAT box was to give other ports")
        lab.wait_for_expiry(seconds=60)
        tally = self.assert_each_once(daemon, sessions)
        self.assertEqual(set(tally.counters), {(DATAGRAM_BYTES, 1, 0, 0)})

    def test_a_flood_with_the_daemon_stopped_in_the_middle(self):
        daemon = self.begin(self.make_lab(), "--rcvbuf", "8M")
        flood = Flood(self.lab)
        flood.begin_insert(SESSIONS)
        wait_until(lambda: self.lab.flow_count() > SESSIONS // 4, "the flood has begun")
        daemon.send_signal(signal.SIGSTOP)
        resume_at = time.monotonic() + STOPPED_SECONDS
        self.assertEqual(flood.finish_insert(), SESSIONS)
        flood.flush()
        # More than the buffer holds was to be told while nobody listened.
        self.assertGreater(self.lab.flow_count(), SESSIONS // 4, "all ends fitted: nothing was tried")
        at_monotonic(resume_at)
        daemon.send_signal(signal.SIGCONT)
        self.assert_each_once(daemon, flood_sessions(SESSIONS))
        self.assertEqual(self.lab.flow_count(), 0, "the kernel still holds flows whose end it has told")


if __name__ == "__main__":
    main()
