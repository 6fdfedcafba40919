"""Whose a session was: the daemon follows real DHCP servers while their clients send traffic through NAT, and each session's
subscriber is who had the address by the server's own log."""

import grp
import json
import os
import shlex
import subprocess
import time

import ctl
import json_manual
from case import LabCase, main
from daemon import ends
from dhcp import Client, Dnsmasq, need, wait_for_next_second
from identity_probe import of_history
from netlab import CLIENT4, QUICK_TIMEOUTS, SERVER4, run, wait_until

PORT = 7000
SESSIONS = 2000
SLACK = 0.3  # the server rounds off, and its script runs a moment later
KEY = "0123456789abcdef0123456789abcdef\n"


class IdentityTest(LabCase):
    def begin(self, source, *more, sink="log.json?identity=on"):
        self.ledger, self.control = self.path("ledger"), self.path("control.sock")
        self.source = source
        self.sink = sink
        self.next_port = 1024
        self.made = 0
        self.start_daemon(*more)

    def start_daemon(self, *more):
        self.daemon = self.start(self.lab, "--ledger", self.ledger, "--control", self.control, "--sync", "100ms",
                                 "--sink", "file:" + self.path(self.sink), "--identity", self.source, *more)
        self.wait_until_followed()

    def identity(self):
        return json.loads(ctl.run("--json", "--control", self.control, "status"))["identity"]

    def wait_until_followed(self, moment=None):
        """Until each source has been followed up to now."""
        moment = moment or time.time()
        def until(report):
            return [ctl.unix_time(source["followed_until"]) if source["followed_until"] else 0 for source in report["sources"]]
        wait_until(lambda: min(until(self.identity())) >= moment, lambda: f"followed up to now: {self.identity()}")

    def sessions_of(self, address, count):
        """As many, which have ended and are in the file when it returns."""
        self.client.ask("burst", protocol="udp", source=address, first_port=self.next_port, destination=SERVER4, port=PORT,
                        count=count, seed=1)
        self.next_port += count
        self.made += count
        self.lab.delete_flows("-p", "udp")
        wait_until(lambda: len(ends(self.file_records())) >= self.made, f"{self.made} sessions in the file")

    def test_each_session_is_whose_dnsmasq_says(self):
        need("/usr/sbin/udhcpc")
        self.make_hosts("masquerade", **QUICK_TIMEOUTS)
        server = Dnsmasq(self.lab, self.folder)
        clients = [Client(self.lab, self.folder, number) for number in range(1, 4)]
        self.begin("dnsmasq:" + server.leases)
        giver, taker, other = clients
        address, another = giver.take(), other.take()
        rounds = 10
        for number in range(rounds):
            wait_for_next_second()
            self.sessions_of(address, SESSIONS // rounds)
            self.sessions_of(another, 20)
            wait_for_next_second()
            giver.release()
            wait_for_next_second()
            if number == 3:  # while nobody follows
                self.daemon.stop()
            if number == 6:
                server.stop()
                server.start()
            taker.take(address)
            if number == 3:
                wait_for_next_second()
                self.start_daemon()
            giver, taker = taker, giver
            self.wait_until_followed(time.time() + SLACK)
        spans = of_history(server.history())
        wrong, asked = [], 0
        for record in ends(self.file_records()):
            began = float(record["session_start"])
            near = [edge for span in spans[record["pri_ip"]] for edge in span[:2] if edge and abs(edge - began) <= SLACK]
            expected = next((who for first, last, who in spans[record["pri_ip"]] if first <= began and (last is None or began < last)), None)
            asked += not near
            if not near and (record["subscriber"], record["mac"]) != (expected, expected):
                wrong.append((record["pri_ip"], began, record["subscriber"], expected))
        self.assertEqual(wrong, [], (wrong[:5], spans))
        self.assertGreaterEqual(asked, SESSIONS)
        self.assertGreaterEqual(len({row[2] for row in spans[address]}), 2)
        report = self.identity()["sources"][0]
        self.assertEqual((report["refused"], report["losses"]), (0, 0))

    def test_a_command_tells_and_is_started_again(self):
        self.make_hosts("masquerade", **QUICK_TIMEOUTS)
        told = json.dumps({"prefix": CLIENT4, "subscriber": "chen", "host": "pc", "kind": "session"})
        os.chmod(self.folder, 0o755)  # it runs as another user
        script = self.write("tell.sh", f"echo {shlex.quote(told)}; read end\n")
        self.begin("exec:/bin/sh " + script)
        wait_until(lambda: self.identity()["sources"][0]["open"] == 1, "it has told")
        self.wait_until_followed()
        self.sessions_of(CLIENT4, 10)
        record = ends(self.file_records())[-1]
        self.assertEqual((record["subscriber"], record["mac"], record["host"]), ("chen", None, "pc"))
        status = json.loads(ctl.run("--json", "--control", self.control, "status"))
        self.assertEqual(json_manual.differences(status, json_manual.section("status")), [])
        run("pkill", "-9", "-f", f"^/bin/sh {script}")
        wait_until(lambda: self.identity()["sources"][0]["losses"] == 1, "its end is told")
        self.daemon.wait_for_message("its command ended")
        self.wait_until_followed(time.time() + 1)  # by the next one

    def test_pseudonyms_tell_subscribers_apart_and_not_who_they_are(self):
        self.make_hosts("masquerade", **QUICK_TIMEOUTS)
        key = self.write("key", KEY)
        os.chmod(key, 0o600)
        names = self.write("names.csv", f"prefix,name\n{CLIENT4},chen\n")
        self.begin("csv:" + names, "--pseudonyms", key, sink="log.json?identity=on&pseudonyms=on")
        self.sessions_of(CLIENT4, 10)
        with open(self.path("log.json"), encoding="utf-8") as file:
            text = file.read()
        self.assertNotIn("chen", text)
        self.assertNotIn(CLIENT4, text)
        records = ends(self.file_records())
        self.assertEqual(len({(record["pri_ip"], record["subscriber"]) for record in records}), 1)
        self.assertTrue(records[0]["pri_ip"].startswith("fd"))
        self.assertTrue(records[0]["subscriber"].startswith("p-"))
        self.daemon.stop()
        self.sink = "other.json?identity=on"
        self.start_daemon()
        self.client.ask("burst", protocol="udp", source=CLIENT4, first_port=self.next_port, destination=SERVER4, port=PORT, count=5, seed=1)
        self.lab.delete_flows("-p", "udp")
        plain = wait_until(lambda: ends(self.file_records("other.json")), "records with names")
        self.assertEqual((plain[0]["pri_ip"], plain[0]["subscriber"]), (CLIENT4, "chen"))

    def test_names_are_for_their_own_readers(self):
        need("/usr/sbin/groupadd")
        self.make_hosts("masquerade", **QUICK_TIMEOUTS)
        names = self.write("names.csv", f"prefix,name\n{CLIENT4},chen\n")
        self.begin("csv:" + names)
        folder = os.path.join(self.ledger, "identity")
        self.assertEqual(os.stat(folder).st_mode & 0o777, 0o700)
        self.daemon.stop()
        self.start_daemon("--identity-group", "daemon")
        status = os.stat(folder)
        self.assertEqual((status.st_mode & 0o777, status.st_gid), (0o750, grp.getgrnam("daemon").gr_gid))
        for name in os.listdir(folder):
            self.assertEqual(os.stat(os.path.join(folder, name)).st_gid, status.st_gid, name)
            self.assertEqual(os.stat(os.path.join(folder, name)).st_mode & 0o007, 0, name)
        self.daemon.stop()
        self.start_daemon()
        self.assertEqual(os.stat(folder).st_mode & 0o777, 0o700)

    def test_a_source_that_cannot_be_had_is_refused_by_name(self):
        self.make_hosts("masquerade", **QUICK_TIMEOUTS)
        for source, words in (("dnsmasq:", "dnsmasq"), ("bind:/x", "there is no"), ("radius://192.0.2.99:1813?secret=/none", "/none")):
            done = subprocess.run([*self.lab.enter(self.lab.nat), os.environ["NATSESSION"], "--ledger", self.path("ledger"), "--identity",
                                   source], capture_output=True, text=True, timeout=30)
            self.assertNotEqual(done.returncode, 0, source)
            self.assertIn(words, done.stderr)
        done = subprocess.run([os.environ["NATSESSION"], "--identity", "neighbours"], capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 2)
        self.assertIn("needs --ledger", done.stderr)


if __name__ == "__main__":
    main()
