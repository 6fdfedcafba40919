"""What was lost is told and counted, what was only late is not, and what vanished is closed."""

import signal

from bulk import Flood, Log, differences, first, flood_sessions
from case import LabCase, main
from compare import to_ms
from daemon import read_records
from event_socket import EventSocket
from netlab import SERVER4
from traffic import client_and_server

SMALL_BUFFER = ("--rcvbuf", "64K")  # holds under 200 events
COUNT = 20_000
LIVING = 20
TCP = 300


class LossesTest(LabCase):
    def begin(self, *arguments, **sysctls):
        self.lab = self.make_lab(**sysctls)
        self.flood = Flood(self.lab)
        self.log = Log(self.path("log.json"))
        daemon = self.start(self.lab, "--sink", "file:" + self.log.path, "--window", "24h", *arguments)
        self.events = EventSocket(self.lab, daemon)
        return daemon

    def test_without_reliable_mode_each_lost_end_is_counted_and_within_a_gap(self):
        daemon = self.begin(*SMALL_BUFFER, "--reliable", "off", "--events", "destroy")
        # Tells when each session ended; its buffer is large.
        oracle = self.start(self.lab, "--sink", "file:" + self.path("oracle.json"), "--window", "24h")
        for stopped in (False, True):
            self.assertEqual(self.flood.insert(COUNT), 0)
            if stopped:
                daemon.send_signal(signal.SIGSTOP)
            self.flood.flush()
            if stopped:
                daemon.send_signal(signal.SIGCONT)
            self.events.wait_until_read()
            self.log.wait_until(lambda tally: tally.events_lost == self.events.dropped(), "gaps for all losses")
        daemon.stop()
        oracle.stop()

        tally = self.log.tally()
        self.assertGreater(tally.events_lost, COUNT - 200, "all ends fitted: nothing was tried")
        self.assertEqual(tally.reasons["destroyed"] + tally.events_lost, self.flood.made)
        self.assertEqual((tally.twice(), tally.unfinished), ({}, []))
        for gap in tally.gaps:
            self.assertEqual((gap["reason"], gap["log_status"]), ("overrun", "SKIPDATA"))
        ended = {record["session_id"]: to_ms(record["end_time"]) for record in read_records(self.path("oracle.json"))}
        self.assertEqual(len(ended), self.flood.made)
        self.assertLessEqual(tally.ended.keys(), ended.keys())
        spans = [(to_ms(gap["start_time"]), to_ms(gap["end_time"])) for gap in tally.gaps]
        uncovered = [f"{session} ended at {end}" for session, end in ended.items()
                     if session not in tally.ended and not any(start <= end <= stop for start, stop in spans)]
        self.assertFalse(uncovered, f"gaps: {spans}; " + first(uncovered))

    def test_without_reliable_mode_sessions_that_vanished_are_closed_and_those_that_live_are_not(self):
        daemon = self.begin(*SMALL_BUFFER, "--reliable", "off", "--records", "start-end", udp_timeout=600,
                            udp_timeout_stream=600)
        client, _ = client_and_server(self.lab)
        for number in range(LIVING):
            client.open(str(number), "udp", SERVER4, 7000)
            client.exchange(str(number), 100, 100)
        self.assertEqual(self.flood.insert(COUNT), 0)
        daemon.send_signal(signal.SIGUSR1)  # a dump shows those whose NEW was lost
        self.log.wait_until(lambda tally: len(tally.started) == COUNT + LIVING, "a start record of each session")
        daemon.send_signal(signal.SIGSTOP)
        self.lab.delete_flows("-s", "10.0.0.2")
        daemon.send_signal(signal.SIGCONT)
        self.log.wait_for_ends(COUNT)
        daemon.stop()

        tally = self.log.tally()
        wrong = differences(tally, flood_sessions(COUNT))
        self.assertFalse(wrong, first(wrong))
        self.assertLessEqual(tally.ended.keys(), tally.started)
        self.assertGreater(tally.reasons["vanished"], COUNT - 200, "all ends fitted: nothing was tried")
        # At the stop only what is in the table counts as open.
        self.assertEqual({record["session_id"] for record in tally.unfinished}, tally.started - tally.ended.keys())
        self.assertEqual(len(tally.unfinished), LIVING)
        self.assertGreater(tally.events_lost, 0)

    def test_what_is_lost_of_beginnings_and_changes_harms_no_record_and_makes_no_gap(self):
        daemon = self.begin(*SMALL_BUFFER)
        client, _ = client_and_server(self.lab)
        daemon.send_signal(signal.SIGSTOP)
        self.assertEqual(self.flood.insert(COUNT), 0)
        client.burst("tcp", SERVER4, 7000, 20000, TCP)
        # None of them has ended: NEW and UPDATE is all that can be lost, and they do not come again.
        self.assertGreater(self.events.dropped(), COUNT, "all events fitted: nothing was tried")
        daemon.send_signal(signal.SIGCONT)
        self.events.wait_until_read()
        self.flood.flush()
        self.log.wait_for_ends(COUNT + TCP)
        daemon.stop()

        tally = self.log.tally()
        flooded = [end for end in tally.ends if end[0][0].startswith("10.0.0.")]
        self.assertEqual(len(flooded), COUNT)
        self.assertEqual({port for (pri, port, _), _ in tally.ends if pri == "10.64.0.2"},
                         set(range(20000, 20000 + TCP)))
        self.assertEqual((len(tally.ends), tally.twice()), (COUNT + TCP, {}))
        self.assertEqual((tally.gaps, tally.unfinished), ([], []))
        self.assertEqual(set(tally.reasons), {"destroyed"})


if __name__ == "__main__":
    main()
