"""Several network namespaces in one daemon: each record says where it belongs, and nothing is mixed."""

import os
import signal

from bulk import Flood
from case import LabCase, main
from compare import by_session
from daemon import MISSING, STOPPED_ON_REQUEST, USAGE, ends, run_to_end
from netlab import SERVER4, SERVER6
from traffic import client_and_server
from witness import Witness

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
        quiet.conntrack("-D", "-p", "udp")
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
        before, first, second = out.split("netns ")
        self.assertEqual(before, "")
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
            lab.conntrack("-D", "-p", "udp")
        second.wait_for_ends(2)
        records = second.stop()  # of both runs
        for lab, size in zip(self.labs, (100, 1000)):
            of_one = [r for r in self.records_of(lab, records) if r["event"] != "gap"]
            (session,) = by_session(of_one).values()
            self.assertEqual([(r["event"], r["seq"]) for r in session], [("interim", 0), ("end", 1)])
            self.assertEqual([r["bytes_from_vpc"] for r in session], [28 + size, 28 + 10])

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


if __name__ == "__main__":
    main()
