"""--events auto: the groups of events that the log needs, whatever becomes of the sysctls, and what it tells of them."""

import json
import os
import re
import signal
import time

import ctl
from bulk import Flood
from case import LabCase, main
from daemon import run_to_end
from netlab import SERVER4, SERVER6, wait_until

ALONE = {"new": False, "update": False, "destroy": True}
WITH_NEW = {"new": True, "update": False, "destroy": True}
ALL = {"new": True, "update": True, "destroy": True}
NEVER_NONE = ("uncertain", "not covered")
UNUSED = "203.0.113.1:9"


class EventsTest(LabCase):
    def begin(self, *arguments, events="auto", **sysctls):
        self.make_watched_hosts(**sysctls)
        self.ledger, self.control = self.path("ledger"), self.path("control.sock")
        return self.run_daemon(*arguments, events=events)

    def run_daemon(self, *arguments, events="auto"):
        return self.start(self.lab, "--events", events, "--ledger", self.ledger, "--control", self.control, "--sync",
                          "100ms", "--sink", "stdout", "--linger", "100ms", *arguments)

    def collector(self):
        return ctl.collector(self.control)

    def chosen(self):
        collector = self.collector()
        return collector["groups"], collector["groups_why"]

    def wait_for_groups(self, groups, why):
        wait_until(lambda: self.chosen() == (groups, why), lambda: f"{groups}, {why}; it is {self.chosen()}")

    def verdict(self, at, nat=UNUSED):
        return ctl.verdict(self.ledger, self.control, nat, at)

    def lose_stamps(self, daemon, value, then):
        """Another value of nf_conntrack_timestamp, and what comes of it."""
        self.lab.sysctl("timestamp", value)
        daemon.wait_for_message(f"events from now on: {then}: ")

    def test_it_goes_by_the_stamps_and_loses_no_session(self):
        daemon = self.begin("--window", "2s")
        self.assertEqual(self.chosen(), (ALONE, "ends_tell_all"))
        daemon.wait_for_message("events from now on: destroy: the end of a session tells all")
        table = ctl.ask("--control", self.control, "status")
        self.assertRegex(re.sub(r"\s+", " ", table), "events destroy: the end of a session tells all that the log is to hold")
        began = time.time()
        self.client.open("through", "tcp", SERVER4, 7000, 19000)
        self.make_sessions(20000)
        self.lose_stamps(daemon, 0, "new,destroy")
        self.assertEqual(self.chosen(), (WITH_NEW, "no_stamps"))
        self.client.exchange("through", 1000, 1000)
        self.make_sessions(21000)
        without = time.time()
        self.lose_stamps(daemon, 1, "destroy")
        self.make_sessions(22000)
        self.client.shut("through")
        flows = self.witness.flows()
        self.assertGreaterEqual(len(flows), 601)
        daemon.wait_for_ends(len(flows))
        records = daemon.stop()
        self.assertEqual([r for r in records if r["event"] == "gap" and float(r["start_time"]) > began], [])
        # Those that the kernel did not stamp have a start all the same: when their NEW was received.
        for record in records:
            if record["event"] == "end" and 21000 <= record["pri_port"] < 21100:
                self.assertIsNotNone(record["session_start"], record)
                self.assertLess(float(record["session_start"]), without + 1)
        stamped = [flow for flow in flows if flow.start_ns is not None]
        self.assertGreaterEqual(len(stamped), 401)
        ports = {flow.original.source_port for flow in stamped}
        self.assert_agrees([r for r in records if r["event"] != "gap" and r["pri_port"] in ports], stamped, window_ms=2000)

    def test_of_the_moment_in_which_stamps_ended_nothing_is_claimed(self):
        self.begin("--window", "1m")
        wait_until(lambda: self.verdict(time.time()) == "no session", "that what is there is proved")
        covered = lambda: self.collector()["covered_from"]
        before = covered()
        self.lab.sysctl("timestamp", 0)
        blind = time.time()
        # Nobody will ever know when it began.
        self.client.session("udp", SERVER4, 7000, source_port=23000)
        self.assertIn(self.verdict(blind), NEVER_NONE)
        self.wait_for_groups(WITH_NEW, "no_stamps")
        self.assertIn(self.verdict(blind), NEVER_NONE)
        wait_until(lambda: covered() not in (None, before), "that it is covered again")
        self.assertIn(self.verdict(blind), NEVER_NONE)
        wait_until(lambda: self.verdict(time.time()) == "no session", "that what is there is proved again")
        again = covered()
        self.lab.sysctl("timestamp", 1)
        self.wait_for_groups(ALONE, "ends_tell_all")
        self.assertEqual(self.verdict(time.time()), "no session")
        self.assertEqual(covered(), again, "what is covered goes on when NEW is left")

    def test_what_records_and_reliability_need(self):
        for arguments, groups, why in ((["--records", "start-end"], WITH_NEW, "starts_wanted"),
                                       (["--records", "end"], ALONE, "ends_tell_all"),
                                       (["--reliable", "off"], WITH_NEW, "not_reliable")):
            with self.subTest(arguments):
                daemon = self.begin(*arguments)
                self.assertEqual(self.chosen(), (groups, why))
                mode = arguments[1] if arguments[0] == "--records" else "window"
                self.make_sessions(20000, 50)
                flows = self.witness.flows()
                daemon.wait_for_ends(len(flows))
                self.assert_agrees(daemon.stop(), flows, mode=mode)
                os.remove(self.path("stdout.jsonl"))

    def test_the_command_line_keeps_its_default(self):
        self.make_hosts()
        self.control = self.path("control.sock")
        self.start(self.lab, "--control", self.control)
        self.assertEqual(self.chosen(), (ALL, "configured"))

    def test_check_tells_what_it_would_choose(self):
        self.lab = self.make_lab()
        check = lambda: run_to_end(self.lab, self.folder, "--check", "--events", "auto")[1]
        self.assertIn("ok       --events auto = destroy\n         the end of a session tells all", check())
        self.lab.sysctl("timestamp", 0)
        self.assertIn("ok       --events auto = new,destroy\n         nf_conntrack_timestamp is not 1", check())
        self.assertNotIn("--events auto", run_to_end(self.lab, self.folder, "--check")[1])

    def test_what_nobody_follows_is_counted_in_the_table(self):
        self.begin(udp_timeout=60, udp_timeout_stream=60)
        for number in range(10):
            self.client.open(f"u{number}", "udp", SERVER4 if number < 7 else SERVER6, 7000, 24000 + number)
            self.client.exchange(f"u{number}", 10, 10)
        wait_until(lambda: self.collector()["live_sessions"] == 10, lambda: f"ten: {self.collector()['live_sessions']}")
        self.assertEqual(self.collector()["events"]["new"], 0)
        told = ctl.run("--control", self.control, "--json", "sessions")
        self.assertEqual(len(json.loads(told)["sessions"]), 10)
        scraped = self.metrics
        wait_until(lambda: scraped().get('natsession_snat_ports_in_use{nat_ip="203.0.113.1",protocol="udp"}') == "7",
                   lambda: f"seven ports: {scraped()}")
        self.assertEqual(scraped()["natsession_live_sessions"], "10")
        self.assertEqual(scraped()['natsession_event_groups{group="destroy"}'], "1")
        self.assertEqual(scraped()['natsession_event_groups{group="new"}'], "0")

    def test_a_sysctl_that_goes_off_while_it_runs_is_told(self):
        daemon = self.begin()
        self.assertEqual(self.collector()["sysctls"], {"events": True, "acct": True, "timestamp": True})
        for name, meaning in (("acct", "bytes and packets of flows that begin now are unknown"),
                              ("events", "of flows that begin now nothing is logged but what dumps show")):
            self.lab.sysctl(name, 0)
            daemon.wait_for_message(f"nf_conntrack_{name} is 0: {meaning}")
            self.assertFalse(self.collector()["sysctls"][name])
            self.assertEqual(self.metrics()[f'natsession_sysctl{{name="{name}"}}'], "0")
            table = re.sub(r"\s+", " ", ctl.ask("--control", self.control, "status"))
            self.assertIn(f"nf_conntrack_{name} is 0: {meaning}", table)
            self.assertEqual(" no events " in table, name == "events", table)
            self.lab.sysctl(name, 1)
            daemon.wait_for_message(f"nf_conntrack_{name} is not 0 any more")
            self.assertTrue(self.collector()["sysctls"][name])
        daemon.stop()

    def metrics(self):
        _, text = ctl.request(self.control, "GET", "/metrics")
        return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))

    def test_an_open_session_is_found_by_a_question_about_now(self):
        self.begin("--window", "10m")
        self.client.open("open", "tcp", SERVER4, 7000, 25000)
        self.client.exchange("open", 100, 100)
        found = [s for s in json.loads(ctl.run("--control", self.control, "--json", "sessions"))["sessions"]
                 if s["pri_port"] == 25000]
        self.assertEqual(self.verdict(time.time(), f"{found[0]['nat_ip']}:{found[0]['nat_port']}"), "found")

    def test_other_groups_are_taken_over_from_the_run_before(self):
        """As an upgrade does whose configuration says auto now; and back."""
        daemon = self.begin("--handover", self.path("handover.sock"), "--window", "1m", events="new,update,destroy")
        flood = Flood(self.lab)
        for events, groups in (("auto", ALONE), ("new,update,destroy", ALL), ("auto", ALONE)):
            flood.insert(500)
            flood.flush()
            daemon.stop(signal.SIGKILL, -signal.SIGKILL)
            flood.insert(500)
            flood.flush()
            daemon.close()
            daemon = self.run_daemon("--handover", self.path("handover.sock"), "--window", "1m", events=events)
            self.assertIn("taken over from the run before", daemon.message_text())
            wait_until(lambda: self.collector()["groups"] == groups, lambda: f"{events}: {self.chosen()}")
        records = lambda: [json.loads(line) for line in ctl.ledger_lines(self.ledger)]
        wait_until(lambda: len([r for r in records() if r["event"] == "end"]) >= flood.made,
                   lambda: f"all {flood.made} ends: {len([r for r in records() if r['event'] == 'end'])}; {self.collector()}; "
                           f"{daemon.message_text()}")
        daemon.stop()
        ends = [r for r in records() if r["event"] == "end"]
        self.assertEqual(len({(r["session_id"], r["seq"]) for r in ends}), flood.made)
        self.assertEqual([r["reason"] for r in ends if r["reason"] != "destroyed"], [])
        self.assertEqual([r for r in records() if r["event"] == "gap"], [])

    def test_stamps_that_ended_while_no_process_ran(self):
        daemon = self.begin("--handover", self.path("handover.sock"), "--window", "1m")
        for again in (False, True):
            with self.subTest(they_came_again=again):
                wait_until(lambda: self.verdict(time.time()) == "no session", "that what is there is proved")
                daemon.stop(signal.SIGKILL, -signal.SIGKILL)
                daemon.close()
                self.lab.sysctl("timestamp", 0)
                blind = time.time()
                self.client.session("udp", SERVER4, 7000)
                if again:
                    time.sleep(0.5)  # natsess-guard has looked by then; nothing tells
                    self.lab.sysctl("timestamp", 1)
                daemon = self.run_daemon("--handover", self.path("handover.sock"), "--window", "1m")
                self.wait_for_groups(*((ALONE, "ends_tell_all") if again else (WITH_NEW, "no_stamps")))
                wait_until(lambda: self.verdict(time.time()) == "no session", "that what is there is proved")
                self.assertIn(self.verdict(blind), NEVER_NONE)
                self.lab.sysctl("timestamp", 1)
                self.wait_for_groups(ALONE, "ends_tell_all")


if __name__ == "__main__":
    main()
