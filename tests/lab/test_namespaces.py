"""Several network namespaces in one daemon: each record says where it belongs, and nothing is mixed."""

import json
import os
import re
import signal
import time

import ctl
from bulk import Flood
from case import LabCase, main
from compare import by_session
from daemon import MISSING, STOPPED_ON_REQUEST, USAGE, ends, has_ended, run_to_end, status_of
from netlab import SERVER4, SERVER6, run, wait_until
from traffic import client_and_server
from witness import Witness

OPENER_NAME = "natsess-netns"
CAP_NET_ADMIN, CAP_SYS_ADMIN = 1 << 12, 1 << 21
HERE = ()  # the daemon runs outside of the labs


class NamespacesTest(LabCase):
    """Two labs with the same addresses."""

    def make_labs(self, **sysctls):
        self.labs = [self.make_lab(**sysctls) for _ in range(2)]
        self.clients = [client_and_server(lab)[0] for lab in self.labs]

    def watch(self, *labs):
        """The options that name their NAT boxes."""
        return [word for lab in labs for word in ("--netns", lab.nat)]

    def begin(self, *arguments):
        return self.start(self.labs[0], *self.watch(*self.labs), *arguments, enter=HERE)

    def records_of(self, lab, records):
        return [record for record in records if record["netns"] == lab.nat]

    def test_each_record_says_which_and_each_namespace_has_its_own_sessions(self):
        self.make_labs()
        witnesses = []
        for lab in self.labs:
            folder = self.path(lab.nat)
            os.mkdir(folder)
            witnesses.append(Witness(lab, folder))
        daemon = self.begin()
        # The same ports in both, for sessions of other sizes, and some more in the second.
        for seed, (client, more) in enumerate(zip(self.clients, (0, 50)), 1):
            client.burst("tcp", SERVER4, 7000, 20000, 100 + more, seed=seed)
            client.burst("udp", SERVER6, 7000, 20000, 100, seed=seed)
        flows = [witness.flows() for witness in witnesses]
        self.assertEqual([len(of_one) for of_one in flows], [200, 250])
        daemon.wait_for_ends(450)
        records = daemon.stop()
        self.assertEqual({record["netns"] for record in records}, {lab.nat for lab in self.labs})
        for lab, of_one in zip(self.labs, flows):
            self.assert_agrees(self.records_of(lab, records), of_one)

    def test_a_gap_is_of_the_namespace_whose_events_were_lost(self):
        self.make_labs()
        loud, quiet = self.labs
        daemon = self.begin("--rcvbuf", "64K", "--reliable", "off", "--events", "destroy")
        daemon.send_signal(signal.SIGSTOP)
        flood = Flood(loud)
        self.assertEqual(flood.insert(2000), 0)
        flood.flush()
        self.clients[1].session("udp", SERVER4, 7000, source_port=20000)
        quiet.delete_flows("-p", "udp")
        daemon.send_signal(signal.SIGCONT)
        records = daemon.wait_for_records(lambda rs: any(r["event"] == "gap" for r in rs), "a gap record")
        daemon.stop()
        self.assertEqual({r["netns"] for r in records if r["event"] == "gap"}, {loud.nat})
        daemon.wait_for_message(f"netns {loud.nat}: ")
        self.assertNotIn(f"netns {quiet.nat}: ", daemon.message_text())
        self.assertEqual([r["pri_port"] for r in ends(self.records_of(quiet, records))], [20000])

    def test_check_tells_of_each(self):
        self.make_labs()
        self.labs[1].sysctl("acct", 0)
        status, out, told = run_to_end(self.labs[0], self.folder, "--check", *self.watch(*self.labs), enter=HERE)
        self.assertEqual(status, MISSING, told)
        before, first, second, configuration = re.split(r"^netns |^(?=configuration$)", out, flags=re.M)
        self.assertEqual(before, "")
        self.assertIn("sink stdout = ", configuration)
        self.assertIn(f"=> ip netns exec {self.labs[1].nat} sysctl -w net.netfilter.nf_conntrack_acct=1\n", second)
        for section, lab, acct in ((first, self.labs[0], "1"), (second, self.labs[1], "0")):
            self.assertTrue(section.startswith(lab.nat + "\n"), section)
            self.assertIn(f"nf_conntrack_acct = {acct}", section)
        self.labs[1].sysctl("acct", 1)
        status, out, told = run_to_end(self.labs[0], self.folder, "--check", *self.watch(*self.labs), enter=HERE)
        self.assertEqual(status, STOPPED_ON_REQUEST, out + told)

    def test_of_a_single_namespace_records_do_not_say_which(self):
        self.make_labs()
        daemon = self.start(self.labs[1], *self.watch(self.labs[1]), enter=HERE)
        for client, port in zip(self.clients, (20000, 30000)):
            client.session("udp", SERVER4, 7000, source_port=port)
        for lab in self.labs:
            lab.wait_for_expiry()
        daemon.wait_for_ends(1)
        records = daemon.stop()
        self.assertEqual([record["pri_port"] for record in records], [30000])
        self.assertNotIn("netns", records[0])

    def test_each_goes_on_over_a_restart(self):
        self.make_labs(udp_timeout=60, udp_timeout_stream=60)
        arguments = ("--sink", "stdout", "--ledger", self.path("ledger"), "--sync", "100ms")
        for client, size in zip(self.clients, (100, 1000)):
            client.open("open", "udp", SERVER4, 7000, 20000)
            client.exchange("open", size, size)
        first = self.begin(*arguments)
        first.stop()
        second = self.begin(*arguments)
        second.wait_for_message("2 sessions were open in the ledger at the last stop")
        for client in self.clients:
            client.exchange("open", 10, 10)
        for lab in self.labs:
            lab.delete_flows("-p", "udp")
        second.wait_for_ends(2)
        records = second.stop()  # of both runs
        for lab, size in zip(self.labs, (100, 1000)):
            of_one = [r for r in self.records_of(lab, records) if r["event"] != "gap"]
            (session,) = by_session(of_one).values()
            self.assertEqual([(r["event"], r["seq"]) for r in session], [("interim", 0), ("end", 1)])
            self.assertEqual([r["bytes_from_vpc"] for r in session], [28 + size, 28 + 10])

    def test_two_open_sessions_with_the_same_ends_are_two_candidates(self):
        self.make_labs(udp_timeout=60, udp_timeout_stream=60)
        ledger, control = self.path("ledger"), self.path("control.sock")
        daemon = self.begin("--ledger", ledger, "--control", control, "--sync", "100ms")
        for client in self.clients:
            client.open("open", "udp", SERVER4, 7000, 20000)
            client.exchange("open", 100, 100)
        wait_until(lambda: [c["live_sessions"] for c in ctl.status(control)["collectors"]] == [1, 1], "both are known")
        at = time.time()

        def whose():
            answer = ctl.run("--ledger", ledger, "--control", control, "--json", "trace", "--nat", "203.0.113.1:20000", "--at",
                             f"{at:.3f}", "--slack", "0s")
            return {candidate["netns"] for candidate in json.loads(answer)["candidates"]}

        both = {lab.nat for lab in self.labs}
        self.assertEqual(whose(), both, "while they are open")
        daemon.stop()
        self.assertEqual(whose(), both, "once they have records")

    def test_two_names_of_one_are_refused(self):
        self.make_labs()
        log, name = self.path("log.json"), self.labs[0].nat
        for check in ((), ("--check",)):
            status, out, told = run_to_end(self.labs[0], self.folder, "--sink", "file:" + log, *check, *self.watch(*self.labs),
                                           "--netns", "/run/netns/" + name, enter=HERE)
            self.assertEqual(status, USAGE, told)
            self.assertIn(f'"{name}" and "/run/netns/{name}" are the same network namespace', told)
            self.assertEqual((out, os.path.exists(log)), ("", False))

    def test_one_that_does_not_exist_is_refused_before_anything_is_begun(self):
        self.make_labs()
        log = self.path("log.json")
        for names in ((self.labs[0].nat, "natlab-nowhere"), ("natlab-nowhere", self.labs[0].nat)):
            options = [word for name in names for word in ("--netns", name)]
            status, out, told = run_to_end(self.labs[0], self.folder, "--sink", "file:" + log, *options, enter=HERE)
            self.assertEqual(status, USAGE, told)
            self.assertIn("natlab-nowhere", told)
            self.assertNotIn("ready:", told)
            self.assertEqual((out, os.path.exists(log)), ("", False))


class FollowTest(LabCase):
    """A namespace is meant by its name."""

    def begin(self):
        self.make_hosts("masquerade", udp_timeout=600, udp_timeout_stream=600)
        self.ledger, self.control = self.path("ledger"), self.path("control.sock")
        return self.start(self.lab, "--netns", self.lab.nat, "--ledger", self.ledger, "--control", self.control,
                          "--sync", "100ms", "--sink", "stdout", enter=HERE)

    def verdict(self, at):
        return ctl.verdict(self.ledger, self.control, "203.0.113.1:9", at)

    def state(self):
        return ctl.collector(self.control)

    def open_session(self, name, port):
        self.client.open(name, "udp", SERVER4, 7000, port)
        self.client.exchange(name, 100, 100)

    def end_sessions(self):
        self.lab.delete_flows("-p", "udp")

    def assert_freed(self):
        wait_until(self.lab.nat_is_freed, "nobody holds the old namespace any more")

    def assert_followed(self, daemon, gone_at, between, back_at, old_port):
        """Its sessions are logged again, and nothing is claimed of the time between."""
        daemon.wait_for_message(f"netns {self.lab.nat}: there is one again")
        guard = f"/proc/{daemon.child('natsess-guard')}/fd"
        wait_until(lambda: len(os.listdir(guard)) == 2 + 7, "the guard has the new one's sockets, and only these")
        wait_until(lambda: self.state()["ready"], "the new one's table is known")
        ready_at = time.time()
        self.open_session("new", 30000)
        self.end_sessions()
        daemon.wait_for_records(lambda rs: any(r["event"] == "end" and r["pri_port"] == 30000 for r in rs), "its session")
        wait_until(lambda: self.verdict(ready_at) == "no session", "the new one is covered")
        self.assertIn(self.verdict(between), ("uncertain", "not covered"))
        records = daemon.stop()
        gap = [r for r in records if r["event"] == "gap"][-1]
        self.assertEqual(gap["reason"], "stopped")
        self.assertLessEqual(float(gap["start_time"]), gone_at)
        self.assertGreaterEqual(float(gap["end_time"]), back_at)
        (old,) = (r for r in ends(records) if r["pri_port"] == old_port)
        self.assertEqual(old["reason"], "vanished")

    def test_one_that_is_made_anew_at_once_is_followed(self):
        daemon = self.begin()
        self.open_session("old", 20000)
        self.open_session("ended", 20001)
        self.lab.delete_flows("-p", "udp", "--orig-port-src", "20001")
        daemon.wait_for_ends(1)
        self.lab.remove_nat()
        gone_at = time.time()
        between = time.time()
        self.lab.add_nat()
        # Most likely before the daemon has looked at the name by itself.
        self.assertIn(self.verdict(between), ("uncertain", "not covered"))
        self.assert_freed()
        self.lab.join_nat()
        self.assert_followed(daemon, gone_at, between, between, 20000)

    def test_one_that_comes_back_later_is_picked_up_and_until_then_it_is_told_that_it_is_gone(self):
        daemon = self.begin()
        self.open_session("old", 20000)
        self.assertFalse(self.state()["gone"])
        self.lab.remove_nat()
        gone_at = time.time()
        daemon.wait_for_message(f"netns {self.lab.nat}: the network namespace of this name is gone")
        self.assert_freed()
        wait_until(lambda: self.state()["gone"], "the status says so")
        self.assertIn("gone", ctl.ask("--control", self.control, "status"))
        # Not until the daemon has noticed: what took the name meanwhile was not seen.
        self.assertLessEqual(ctl.unix_time(self.state()["covered_until"]), gone_at)
        between = time.time()
        self.assertIn(self.verdict(between), ("uncertain", "not covered"))
        back_at = time.time()
        self.lab.add_nat()
        self.lab.join_nat()
        self.assert_followed(daemon, gone_at, between, back_at, 20000)

    def test_while_logging_is_off_it_is_let_go_as_well(self):
        daemon = self.begin()
        ctl.ask("--control", self.control, "disable")
        self.lab.remove_nat()
        self.assert_freed()
        self.lab.add_nat()
        daemon.wait_for_message(f"netns {self.lab.nat}: there is one again")
        self.lab.join_nat()
        ctl.ask("--control", self.control, "enable")
        wait_until(lambda: self.state()["ready"], "it is on again")
        self.open_session("new", 30000)
        self.end_sessions()
        daemon.wait_for_ends(1)
        self.assertEqual([r["pri_port"] for r in ends(daemon.stop())], [30000])

    def test_one_that_becomes_another_name_of_a_watched_one_is_not_logged_twice(self):
        labs = [self.make_lab() for _ in range(2)]
        daemon = self.start(labs[0], *(word for lab in labs for word in ("--netns", lab.nat)), enter=HERE)
        labs[1].remove_nat()
        wait_until(labs[1].nat_is_freed, "it is gone")
        path = "/run/netns/" + labs[1].nat
        with open(path, "w", encoding="ascii"):
            pass
        run("mount", "--bind", "/run/netns/" + labs[0].nat, path)
        daemon.wait_for_message(f'it is the same network namespace as "{labs[0].nat}"')
        daemon.stop()

    def test_the_process_that_opens_them_has_two_capabilities_and_ends_with_the_daemon(self):
        daemon = self.begin()
        pid = daemon.child(OPENER_NAME)
        self.assertEqual(int(status_of(pid)["CapPrm"], 16), CAP_NET_ADMIN | CAP_SYS_ADMIN)
        self.assertEqual(int(status_of(daemon.pid)["CapPrm"], 16), CAP_NET_ADMIN)
        self.assertEqual(len(os.listdir(f"/proc/{pid}/fd")), 2)  # its link and standard error
        opener = os.pidfd_open(pid)
        self.addCleanup(os.close, opener)
        daemon.stop(signal.SIGKILL, status=-signal.SIGKILL)
        wait_until(lambda: has_ended(opener), "it has ended")

    def test_the_death_of_that_process_is_told_and_the_daemon_goes_on(self):
        daemon = self.begin()
        daemon.end_child(OPENER_NAME)
        daemon.wait_for_message("natsess-netns: killed by signal 9")
        self.open_session("one", 20000)
        self.end_sessions()
        daemon.wait_for_ends(1)
        self.lab.remove_nat()
        self.assert_freed()
        daemon.stop()


if __name__ == "__main__":
    main()
