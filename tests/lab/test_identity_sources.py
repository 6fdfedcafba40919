"""Sources of identity against real servers: at any time the story that a source tells says the same of an address as the
server's own log. Times may differ by what the server itself rounds off."""

import os
import random
import signal
import subprocess
import time

from case import LabCase, main
from dhcp import Client, Client6, Dhcpd, Dnsmasq, Kea, need, wait_for_next_second
from identity_probe import Assignments, Probe, of_history
from netlab import run, wait_until
from untracked import leave_untracked

SAMPLES = 2000


class IdentitySourcesTest(LabCase):
    def setUp(self):
        super().setUp()
        self.lab = self.make_lab()

    def clients(self, count):
        need("/usr/sbin/udhcpc")
        return [Client(self.lab, self.folder, number) for number in range(1, count + 1)]

    def follow(self, *urls):
        probe = Probe(self.lab, self.folder, *urls)
        self.addCleanup(probe.close)
        return probe

    def assert_agrees(self, assignments, history, begun, ended, slack=0.3, not_within=()):
        """At SAMPLES times between two, of each address, but within `slack` of a change."""
        self.assertTrue(history, "the server tells something")
        spans = of_history(history)
        told = assignments.all()
        changes = {prefix: [at for span in rows for at in span[:2] if at] for prefix, rows in spans.items()}
        chance = random.Random(17)
        asked = wrong = 0
        differences = []
        for _ in range(SAMPLES):
            prefix = chance.choice(sorted(spans))
            at = chance.uniform(begun, ended)
            if any(abs(at - change) <= slack for change in changes[prefix]) or any(a <= at <= b for a, b in not_within):
                continue
            asked += 1
            expected = next((who for first, last, who in spans[prefix] if first <= at and (last is None or at < last)), None)
            found = assignments.who(prefix, at)
            if found != expected:
                wrong += 1
                differences.append(f"{prefix} at {at:.3f}: {found}, and {expected} by the server")
        self.assertEqual(wrong, 0, f"{wrong} of {asked} differ: {differences[:5]}\n{spans}\n{told}")
        self.assertGreater(asked, SAMPLES / 4)
        # Each change of hands is in it, and nothing else.
        self.assertEqual({prefix: [who for *_, who in rows] for prefix, rows in spans.items()},
                         {prefix: [who for *_, who in sorted(rows)] for prefix, rows in told.items()})

    def pass_addresses_on(self, clients, rounds):
        """Clients take, renew and release; an address goes from one to another."""
        for client in clients[:4]:
            client.take()
        for number in range(rounds):
            giver = clients[number % 4]
            taker = clients[4 + number % 2]
            address = giver.now()
            wait_for_next_second()
            giver.release()
            taker.take(address)
            clients[(number + 1) % 4].renew()
            wait_for_next_second()
            taker.release()
            giver.take()

    def test_leases_of_dnsmasq_are_those_of_its_own_history(self):
        clients = self.clients(6)
        server = Dnsmasq(self.lab, self.folder)
        begun = time.time()
        probe = self.follow("dnsmasq:" + server.leases)
        self.pass_addresses_on(clients, 3)
        need("/usr/sbin/dhclient")
        six = Client6(self.lab, self.folder, 1, prefix=False)
        six.take()
        wait_for_next_second()
        six.release()
        # Another one takes its place, with what it kept.
        server.stop()
        server.start()
        clients[5].take()
        wait_for_next_second()
        ended = time.time()
        probe.wait_until_followed(ended)
        self.assert_agrees(Assignments(probe.stop()), server.history(), begun, ended)
        self.assertEqual([line for line in probe.lines() if line["event"] in ("lost", "refused")
                          and "it is not there" not in line["why"]], [])
        hosts = {line["mac"]: line["host"] for line in probe.events("seen") if line["mac"]}
        self.assertEqual(hosts[clients[0].mac], "host1")

    def test_leases_of_kea_are_those_of_its_own_log_over_a_clean_up(self):
        clients = self.clients(6)
        # A clean-up of its file each four seconds.
        server = Kea(self.lab, self.folder, 4, lifetime=600, cleanup=4)
        begun = time.time()
        probe = self.follow("kea:" + server.leases)
        self.pass_addresses_on(clients, 3)
        ended = time.time()
        probe.wait_until_followed(ended)
        self.assertIn("MEMFILE_LFC_EXECUTE", server.log())
        self.assert_agrees(Assignments(probe.stop()), server.history(), begun, ended)
        self.assertEqual(probe.events("lost", "refused"), [])

    def test_leases_of_dhcpd_are_those_of_its_own_log_over_its_restart(self):
        clients = self.clients(6)
        server = Dhcpd(self.lab, self.folder)
        begun = time.time()
        probe = self.follow("dhcpd:" + server.leases)
        self.pass_addresses_on(clients, 2)
        # It writes its file anew when it starts.
        server.stop()
        server.start()
        clients[0].renew()
        wait_for_next_second()
        ended = time.time()
        probe.wait_until_followed(ended)
        self.assert_agrees(Assignments(probe.stop()), server.history(), begun, ended)
        self.assertEqual(probe.events("lost", "refused"), [])

    def test_leases_that_kea_gave_while_nobody_followed_are_told_at_the_next_start(self):
        clients = self.clients(6)
        server = Kea(self.lab, self.folder, 4, lifetime=600)
        begun = time.time()
        probe = self.follow("kea:" + server.leases)
        first, second = clients[0], clients[1]
        address = first.take()
        probe.wait_until_followed(time.time())
        lines = probe.stop()
        gone = max(line["at"] for line in lines if line["event"] == "followed") / 1000
        wait_for_next_second()
        first.release()
        released = time.time()
        wait_for_next_second()
        second.take(address)
        server.stop()
        server.start()
        probe = self.follow("kea:" + server.leases)
        third = clients[2].take()
        self.assertNotEqual(third, address)
        wait_for_next_second()
        ended = time.time()
        probe.wait_until_followed(ended)
        told = probe.stop()
        assignments = Assignments(lines + told)
        # When it was released nobody wrote down: that is after it was followed last, and before the next one had it.
        self.assert_agrees(assignments, server.history(), begun, ended, not_within=[(gone, released + 0.1)])
        # Since the file was made, all is in it.
        self.assertLess(told[0]["at"] / 1000, gone)
        self.assertEqual(told[0]["event"], "followed")

    def test_a_lease_that_is_lost_ends_when_it_expires(self):
        clients = self.clients(2)
        server = Kea(self.lab, self.folder, 4, lifetime=4)
        begun = time.time()
        probe = self.follow("kea:" + server.leases)
        address = clients[0].take()
        clients[0].lose()
        wait_until(lambda: any(row[1] == "del" for row in server.history()), "the lease has expired", 30)
        wait_for_next_second()
        self.assertEqual(clients[1].take(address), address)
        ended = time.time()
        probe.wait_until_followed(ended)
        spans = Assignments(probe.stop()).all()[address]
        (first, second) = sorted(spans)
        self.assertEqual([first[2], second[2]], [clients[0].mac, clients[1].mac])
        self.assertAlmostEqual(first[1] - first[0], 4, delta=1.0)
        reclaimed = next(at for at, event, *_ in server.history() if event == "del")
        self.assertLessEqual(first[1], reclaimed)
        self.assertGreaterEqual(first[0], begun - 1)

    def test_addresses_and_delegated_prefixes_of_kea_are_those_of_its_own_log(self):
        need("/usr/sbin/dhclient")
        server = Kea(self.lab, self.folder, 6, lifetime=600)
        begun = time.time()
        probe = self.follow("kea:" + server.leases)
        homes = [Client6(self.lab, self.folder, number) for number in (1, 2)]
        for home in homes:
            home.take()
            wait_for_next_second()
        homes[0].release()
        wait_for_next_second()
        ended = time.time()
        probe.wait_until_followed(ended)
        lines = probe.stop()
        self.assert_agrees(Assignments(lines), [(at, event, prefix, who) for at, event, prefix, who in server.history()],
                           begun, ended)
        kinds = {line["prefix"].rpartition("/")[2]: line["kind"] for line in lines if line["event"] == "seen"}
        self.assertEqual(kinds, {"128": "lease", "56": "delegation"})

    def radclient(self, text, port, secret="testing123"):
        return subprocess.run([*self.lab.enter(self.lab.nat), "radclient", "-r", "3", "-t", "2", f"127.0.0.1:{port}", "acct", secret],
                              input=text, capture_output=True, text=True)

    @staticmethod
    def report(status, number, address=None, **more):
        rows = [f"Acct-Status-Type = {status}", f'Acct-Session-Id = "{number:08x}"', f'User-Name = "user{number}"',
                'NAS-Identifier = "bras1"', f'Calling-Station-Id = "02-00-00-00-00-{number % 256:02x}"']
        if address:
            rows.append(f"Framed-IP-Address = {address}")
        return "\n".join(rows + [f"{name} = {value}" for name, value in more.items()]) + "\n\n"

    def test_radclient_is_answered_and_its_sessions_are_told_once(self):
        need("/usr/bin/radclient")
        leave_untracked(self.lab)
        secret = self.write("secret", "testing123\n")
        os.chmod(secret, 0o600)
        probe = self.follow(f"radius://127.0.0.1:1813?secret={secret}")
        text = "".join(self.report("Start", number, f"10.64.1.{number}") for number in range(1, 101))
        text += "".join(self.report("Stop", number, f"10.64.1.{number}", **{"Message-Authenticator": "0x00"})
                        for number in range(1, 51))
        done = self.radclient(text, 1813)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        wrong = self.radclient(self.report("Start", 200, "10.64.1.200"), 1813, secret="another")
        self.assertNotEqual(wrong.returncode, 0)
        seen = probe.events("seen")
        self.assertEqual([line["subscriber"] for line in seen], [f"user{number}" for number in range(1, 101)])
        self.assertEqual({line["group"] for line in seen}, {"bras1"})
        self.assertEqual(seen[0]["mac"], "02:00:00:00:00:01")
        self.assertEqual([line["prefix"] for line in probe.events("ended")], [f"10.64.1.{number}/32" for number in range(1, 51)])
        self.assertEqual({line["why"] for line in probe.events("refused")},
                         {"a RADIUS packet from 127.0.0.1 was not made with the secret"})
        self.radclient("Acct-Status-Type = Accounting-On\nNAS-Identifier = \"bras1\"\n\n", 1813)
        self.assertEqual([line["group"] for line in probe.events("ended_group")], ["bras1"])
        # Each has been answered once by then: radclient sends again what is not.
        self.assertEqual(len(probe.events("seen")), 100)

    def test_a_detail_file_of_freeradius_is_followed_over_its_rotation(self):
        need("/usr/sbin/freeradius", "/usr/bin/radclient")
        leave_untracked(self.lab)
        detail = self.path("detail")
        self.start_freeradius(detail)
        send = lambda text: self.assertEqual(self.radclient(text, 11813).returncode, 0)
        send(self.report("Start", 1, "10.64.1.1", **{"Framed-IPv6-Prefix": "2001:db8:1::/64", "Delegated-IPv6-Prefix": "2001:db8:100::/56"}))
        probe = self.follow("radius-detail:" + detail)
        send(self.report("Interim-Update", 1, "10.64.1.1"))
        probe.wait_for("two reports are told", lambda lines: sum(line["event"] == "seen" for line in lines) == 4)
        os.rename(detail, detail + ".1")
        send(self.report("Stop", 1))
        send(self.report("Start", 2, "10.64.1.2"))
        sent = time.time()
        probe.wait_for("the next is told", lambda lines: any(line.get("subscriber") == "user2" for line in lines))
        # The Stop did not say its addresses, but whose they are.
        self.assertEqual(probe.events("ended"), [])
        first = probe.events("seen")[0]
        self.assertEqual([(line["group"], line["id"]) for line in probe.events("ended_session")], [(first["group"], first["id"])])
        self.assertEqual(probe.events("refused"), [])
        probe.wait_until_followed(sent)
        self.assertLess(abs(probe.events("seen")[-1]["at"] / 1000 - sent), 1.5)

    def start_freeradius(self, detail):
        """A server that does nothing but keep the detail file."""
        folder = self.path("raddb")
        os.makedirs(os.path.join(folder, "certs"))
        with open(os.path.join(folder, "radiusd.conf"), "w", encoding="utf-8") as file:
            file.write(f"""
prefix = /usr
libdir = /usr/lib/freeradius
logdir = {self.folder}
run_dir = {self.folder}
raddbdir = {folder}
security {{
 allow_vulnerable_openssl = yes
}}
thread pool {{
 start_servers = 1
}}
client lab {{
 ipaddr = 127.0.0.1
 secret = testing123
}}
modules {{
 detail {{
  filename = {detail}
  header = "%t"
 }}
}}
server lab {{
 listen {{ type = acct
  ipaddr = 127.0.0.1
  port = 11813
 }}
 accounting {{
  detail
 }}
}}
""")
        with open(self.path("freeradius.out"), "ab") as out:
            process = subprocess.Popen([*self.lab.enter(self.lab.nat), "/usr/sbin/freeradius", "-f", "-d", folder, "-l", "stdout"],
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                                       env={**os.environ, "TZ": "UTC"})
        self.addCleanup(process.wait)
        self.addCleanup(process.send_signal, signal.SIGKILL)
        def told():
            with open(self.path("freeradius.out"), encoding="utf-8") as file:
                return file.read()
        wait_until(lambda: f":{11813:04X} " in run(*self.lab.enter(self.lab.nat), "cat", "/proc/net/udp") or process.poll() is not None,
                   lambda: "freeradius listens; it said: " + told())
        self.assertIsNone(process.poll(), told())

    def test_neighbours_are_told_with_changed_hardware(self):
        probe = self.follow("neighbours")
        ip = ["ip", "-n", self.lab.nat, "neigh"]
        run(*ip, "replace", "10.64.0.77", "lladdr", "02:00:00:00:00:77", "dev", "inner", "nud", "reachable")
        run(*ip, "replace", "10.64.0.77", "lladdr", "02:00:00:00:00:78", "dev", "inner", "nud", "reachable")
        run(*ip, "replace", "fd64::abcd:1", "lladdr", "02:00:00:00:00:78", "dev", "inner", "nud", "stale")
        told = lambda lines: [line["mac"] for line in lines if line["event"] == "seen" and line["prefix"] == "10.64.0.77/32"]
        probe.wait_for("both are told", lambda lines: told(lines) == ["02:00:00:00:00:77", "02:00:00:00:00:78"])
        probe.wait_for("IPv6 as well", lambda lines: any(line.get("prefix") == "fd64::abcd:1/128" for line in lines))


if __name__ == "__main__":
    main()
