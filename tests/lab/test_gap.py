"""When the kernel could not queue all events: the log says so, and goes on right with what is there."""

import signal

from case import LabCase, main
from compare import by_session, compare, to_ms
from netlab import SERVER4, wait_until

LIVING, LATER = 19000, 19001


def gaps(records):
    return [r for r in records if r["event"] == "gap"]


class GapTest(LabCase):
    def test_an_overrun_is_a_gap_and_the_sessions_that_live_through_it_are_logged_whole(self):
        lab = self.make_watched_hosts()
        client, witness = self.client, self.witness
        daemon = self.start(lab, "--rcvbuf", "64K", "--reliable", "off")
        client.open("living", "tcp", SERVER4, 7000, LIVING)
        client.exchange("living", 1000, 1000)
        daemon.send_signal(signal.SIGSTOP)
        client.burst("udp", SERVER4, 7000, 20000, 1000)
        client.exchange("living", 1000, 1000)
        lab.wait_for_expiry(left=1)
        daemon.send_signal(signal.SIGCONT)
        daemon.wait_for_records(gaps, "a gap record")
        client.exchange("living", 1000, 1000)
        client.shut("living")
        client.session("udp", SERVER4, 7000, source_port=LATER)
        flows = witness.flows()
        self.assertGreaterEqual(len(flows), 1002)
        whole = {LIVING, LATER}
        daemon.wait_for_records(
            lambda rs: {r["pri_port"] for r in rs if r["event"] == "end"} >= whole, "the ends of both")
        records = daemon.stop()

        for gap in gaps(records):
            self.assertEqual((gap["reason"], gap["log_status"]), ("overrun", "SKIPDATA"))
            self.assertGreater(gap["events_lost"], 0)
        uncertain = [(to_ms(gap["start_time"]), to_ms(gap["end_time"])) for gap in gaps(records)]
        complete = {group[0]["pri_port"] for group in by_session(records).values()
                    if group[-1]["reason"] == "destroyed"}
        self.assertLess(len(complete), 1002, "the buffer was large enough: nothing was tried")
        # Who looks for a session that is missing or incomplete in the log finds that its time overlaps a gap.
        for flow in flows:
            if flow.original.source_port not in complete:
                begun, ended = flow.start_ns // 1_000_000, flow.stop_ns // 1_000_000
                self.assertTrue(any(begun <= until and ended >= since for since, until in uncertain),
                                f"lost from {begun} to {ended}, but the gaps are {uncertain}")
        # What is in the log with an end that the kernel told is right to the byte.
        self.assertGreaterEqual(complete, whole)
        differences = compare([r for r in records if r["pri_port"] in complete],
                              [f for f in flows if f.original.source_port in complete])
        self.assertEqual(differences, [])

    def test_in_reliable_mode_the_kernel_sends_again_what_did_not_fit_and_nothing_is_lost(self):
        lab = self.make_watched_hosts()
        client, witness = self.client, self.witness
        daemon = self.start(lab, "--rcvbuf", "64K")
        client.open("living", "tcp", SERVER4, 7000, LIVING)
        client.exchange("living", 1000, 1000)
        daemon.send_signal(signal.SIGSTOP)
        client.burst("udp", SERVER4, 7000, 20000, 1000)
        # Ended, but kept by the kernel until the daemon has room again.
        wait_until(lambda: "udp" not in lab.conntrack("-L"), "the end of all UDP flows")
        self.assertGreater(lab.flow_count(), 100, "the buffer was large enough: nothing was tried")
        daemon.send_signal(signal.SIGCONT)
        client.exchange("living", 1000, 1000)
        client.shut("living")
        flows = witness.flows()
        self.assertGreaterEqual(len(flows), 1001)
        daemon.wait_for_ends(len(flows))
        records = daemon.stop()
        self.assertEqual(gaps(records), [])
        self.assert_agrees(records, flows)


if __name__ == "__main__":
    main()
