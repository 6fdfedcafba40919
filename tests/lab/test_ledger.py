"""Sinks that read from the ledger: nothing is lost when they are away, and the status says how they are."""

import os
import shutil
import signal

import ctl
from case import LabCase, main
from collector import HTTP_PORT, SYSLOG_PORT, Collector
from daemon import ends, read_records
from netlab import SERVER4, run, wait_until
from witness import Witness

REST = "2s"  # after a target failure


class LedgerTest(LabCase):
    def begin(self, *arguments, events="new,update,destroy"):
        self.make_hosts()
        self.ledger, self.control = self.path("ledger"), self.path("control.sock")
        self.arguments = ["--ledger", self.ledger, "--control", self.control, "--events", events, "--linger", "100ms",
                          "--suspend", REST, *arguments]
        return self.start(self.lab, *self.arguments)

    def session(self, count=1):
        """That many sessions, which are over when it returns: the kernel itself looks for what has timed out seldom."""
        for _ in range(count):
            self.client.session("tcp", SERVER4, 7000)
        self.lab.delete_flows("-p", "tcp")

    def test_what_goes_through_the_ledger_is_what_happened(self):
        daemon = self.begin("--sink", "stdout")
        witness = Witness(self.lab, self.folder)
        self.session(30)
        flows = witness.flows()
        daemon.wait_for_ends(30)
        records = daemon.stop()
        self.assert_agrees(records, flows)
        self.assertEqual(len(ctl.ledger_lines(self.ledger)), len(records))

    def test_a_record_reaches_a_healthy_sink_within_five_seconds_of_its_sessions_end(self):
        self.make_hosts()
        collector = Collector(self.lab, self.folder, "http", HTTP_PORT)
        self.start(self.lab, "--ledger", self.path("ledger"), "--sink", collector.url)
        self.session()
        record = wait_until(lambda: ends(collector.records()), "the record")[0]
        arrived = os.stat(collector.path).st_mtime
        self.assertLess(arrived - float(record["end_time"]), 5)

    def test_a_ledger_needs_no_sink_and_one_that_is_added_may_begin_at_its_start(self):
        daemon = self.begin()
        self.session(5)
        wait_until(lambda: len(ctl.ledger_lines(self.ledger)) >= 5, "five records in the ledger")
        daemon.stop()
        late, all_of_it = self.path("late.json"), self.path("all.json")
        daemon = self.start(self.lab, *self.arguments, "--sink", f"file:{late}", "--sink", f"file:{all_of_it}?from=start")
        self.session(1)
        wait_until(lambda: len(ends(read_records(all_of_it))) >= 6, "all six")
        daemon.stop()
        self.assertEqual(len(ends(read_records(late))), 1)
        self.assertEqual(len(ends(read_records(all_of_it))), 6)

    def test_a_sink_that_is_away_gets_everything_when_it_is_back_also_over_a_restart(self):
        self.make_hosts()
        http = Collector(self.lab, self.folder, "http", HTTP_PORT)
        syslog = Collector(self.lab, self.folder, "syslog", SYSLOG_PORT)
        self.control = self.path("control.sock")
        arguments = ["--ledger", self.path("ledger"), "--control", self.control, "--linger", "100ms",
                     "--sink", http.url, "--sink", syslog.url, "--sink", "file:" + self.path("file.json")]
        daemon = self.start(self.lab, *arguments)
        self.session(3)
        for collector in (http, syslog):
            collector.wait_for(lambda c: len(c.lines()) >= 3, "the first three")
            collector.stop()
        self.session(4)
        wait_until(lambda: ctl.sink(self.control, http.url)["waiting"] >= 4, "four wait")
        # One sink's trouble is no other's.
        wait_until(lambda: len(ends(read_records(self.path("file.json")))) >= 7, "the file has all")
        daemon.stop()
        daemon = self.start(self.lab, *arguments)
        self.session(2)
        for collector in (http, syslog):
            collector.start()
            collector.wait_for(lambda c: len(set(c.names())) >= 9, "all nine", 60)
        daemon.stop()
        self.assertEqual(len(http.names()), 9)

    def test_each_failure_is_in_the_status_within_a_second_with_its_code_and_delivery_goes_on_after_it(self):
        self.make_hosts()
        http = Collector(self.lab, self.folder, "http", HTTP_PORT)
        self.control = self.path("control.sock")
        self.start(self.lab, "--ledger", self.path("ledger"), "--control", self.control, "--linger", "50ms", "--sync", "100ms",
                   "--suspend", REST, "--sink", http.url + "?timeout=1s")
        made = 0
        for mode, code in (("401", "InvalidAccessKeyId"), ("403", "ProjectForbidden"), ("404", "LogStoreNotExist"),
                           ("429", "WriteQuotaExceed"), ("503", None), ("garbage", None), ("close", None), ("mute", None)):
            with self.subTest(mode=mode):
                http.behave(mode)
                self.session()
                made += 1
                seen = self.await_failure(http.url, code)
                self.assertTrue(seen["message"])
                http.behave("ok")
                # A second one: after a target failure only new data makes a test.
                self.session()
                made += 1
                http.wait_for(lambda c: len(set(c.names())) >= made, f"all {made} after {mode}", 60)
                wait_until(lambda: ctl.sink(self.control, http.url)["state"] == "Success", "Success again")

    def test_a_ledger_that_somebody_removes_is_made_anew_and_what_was_read_stays_delivered(self):
        out = self.path("file.json")
        daemon = self.begin("--sync", "100ms", "--sink", "file:" + out)

        def sessions(count, together):
            self.session(count)
            wait_until(lambda: len(ends(read_records(out))) >= together, f"{together} records")
        sessions(5, 5)
        shutil.rmtree(self.ledger)
        sessions(5, 10)
        self.assertEqual(ctl.status(self.control)["ledger"]["failure"], "")
        shutil.rmtree(os.path.join(self.ledger, "segments"))
        sessions(5, 15)
        daemon.stop()
        self.assertEqual(len(ends(read_records(out))), 15)
        self.assertIn("sound", ctl.ask("--ledger", self.ledger, "verify"))

    def await_failure(self, name, code):
        def failed():
            seen = ctl.sink(self.control, name)
            known = code is None or code in (seen["code"] + seen["message"])
            return seen if seen["state"] == "Failed" and known else None
        return wait_until(failed, lambda: f"{code}: {ctl.sink(self.control, name)}", 15)

    @staticmethod
    def fill(path):
        """To the last byte of its disk."""
        filler = os.open(path, os.O_WRONLY | os.O_CREAT)
        for size in (4096, 1):
            try:
                while os.write(filler, b"x" * size) > 0:
                    pass
            except OSError:
                pass
        os.close(filler)

    def test_a_full_disk_stops_nothing_and_is_over_when_there_is_room(self):
        disk = self.path("disk")
        os.mkdir(disk)
        run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk)
        self.addCleanup(run, "umount", "-l", disk)
        self.make_hosts()
        self.control = self.path("control.sock")
        daemon = self.start(self.lab, "--ledger", disk + "/ledger", "--control", self.control, "--sync", "100ms",
                            "--sink", "file:" + self.path("file.json"))
        self.fill(disk + "/filler")
        self.client.burst("udp", SERVER4, 7000, 20000, 2000)
        self.lab.delete_flows("-p", "udp")
        failure = wait_until(lambda: ctl.status(self.control)["ledger"]["failure"], "a failure in the status")
        self.assertIn("No space left on device", failure)
        os.unlink(disk + "/filler")
        wait_until(lambda: len(ends(read_records(self.path("file.json")))) >= 2000, "all records")
        self.assertEqual(ctl.status(self.control)["ledger"]["failure"], "")
        daemon.stop()
        self.assertEqual(len(ends(read_records(self.path("file.json")))), 2000)

    def test_a_session_that_outlives_a_kill_goes_on_where_the_ledger_ends(self):
        daemon = self.begin("--sink", "stdout", "--window", "1s", "--sync", "100ms")
        self.client.open("living", "tcp", SERVER4, 7000)
        self.client.exchange("living", 1000, 2000)
        daemon.wait_for_records(lambda rs: any(r["event"] == "interim" for r in rs), "an interim record")
        daemon.send_signal(signal.SIGKILL)
        daemon.close()
        daemon = self.start(self.lab, *self.arguments)
        self.client.exchange("living", 3000, 4000)
        witness_bytes = self.lab.conntrack("-L", "-p", "tcp")
        self.client.shut("living")
        daemon.wait_for_ends(1)
        daemon.stop()
        lines = [r for r in read_records(self.path("stdout.jsonl")) if r["event"] != "gap"]
        records = list({(r["session_id"], r["seq"]): r for r in lines}.values())
        self.assertEqual(len({r["session_id"] for r in records}), 1, witness_bytes)
        self.assertEqual([r["seq"] for r in records], list(range(len(records))))
        self.assertGreaterEqual(sum(r["bytes_from_vpc"] for r in records), 4000)
        self.assertLess(sum(r["bytes_from_vpc"] for r in records), 6000)  # once, not twice


if __name__ == "__main__":
    main()
