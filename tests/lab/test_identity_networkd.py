"""Whose an address is by a real systemd-networkd: what the source tells of its leases, and the subscriber of each session,
against what was said on the wire. That it does not write when the only lease is given back is not tested: see
natsessiond-identity(7). For hand: networkd.sh runs it, for few machines have a systemd of 256 or newer."""

import os
import time

import test_identity
import test_identity_sources
from case import main
from daemon import ends
from dhcp import Client, wait_for_next_second
from dhcp_networkd import Networkd
from identity_probe import Assignments, of_history
from netlab import QUICK_TIMEOUTS, wait_until

AT_ONCE = 0.3  # seconds; whom nothing wakes looks once a second


def without_inherited_tests(case):
    """Those are its base's, which runs them itself."""
    for name in dir(case):
        if name.startswith("test_") and name not in vars(case):
            setattr(case, name, None)
    return case


def holders(lines):
    """The MACs in the last whole that was told."""
    marks = [number for number, line in enumerate(lines) if line["event"] in ("begin", "end")]
    if len(marks) < 2 or lines[marks[-1]]["event"] != "end":
        return None
    return {line["mac"] for line in lines[marks[-2]:marks[-1]] if line["event"] == "seen"}


@without_inherited_tests
class NetworkdSourceTest(test_identity_sources.IdentitySourcesTest):
    def test_leases_are_those_on_the_wire_over_its_restart_and_a_reboot(self):
        clients = self.clients(6)
        # As many addresses as are in use: networkd asks nobody which one he wants, and what one gives back is the next one's.
        server = Networkd(self.lab, self.folder, pool=4)
        begun = time.time()
        probe = self.follow("networkd?folder=" + server.leases)
        self.pass_addresses_on(clients, 3)
        server.stop()
        server.start()
        server.renew(clients[0])
        wait_for_next_second()
        server.stop()
        server.boot_anew()
        server.start()
        server.renew(clients[1])
        address = clients[2].now()
        wait_for_next_second()
        clients[2].release()
        self.assertEqual(clients[5].take(), address)
        wait_for_next_second()
        ended = time.time()
        probe.wait_until_followed(ended)
        self.assert_agrees(Assignments(probe.stop()), server.history(), begun, ended)
        self.assertEqual(probe.events("lost", "refused"), [])
        self.assertEqual({(line["mac"], line["host"]) for line in probe.events("seen")},
                         {(client.mac, client.name) for client in clients})

    def test_a_change_is_told_at_once(self):
        comes_and_goes, stays = self.clients(2)
        server = Networkd(self.lab, self.folder)
        probe = self.follow("networkd?folder=" + server.leases)
        stays.take()
        late = []
        for _ in range(10):
            for change, expected in ((comes_and_goes.take, {comes_and_goes.mac, stays.mac}), (comes_and_goes.release, {stays.mac})):
                change()
                late.append(self.seconds_until(probe, lambda lines: holders(lines) == expected))
        self.assertLess(max(late), AT_ONCE, late)

    @staticmethod
    def seconds_until(probe, condition):
        at = time.time()
        probe.wait_for("a change is told", condition)
        return time.time() - at

    def test_a_lease_that_nobody_renews_ends_when_it_expires(self):
        first, second = self.clients(2)
        server = Networkd(self.lab, self.folder, lifetime=4, pool=1)
        begun = time.time()
        probe = self.follow("networkd?folder=" + server.leases)
        address = first.take()
        first.lose()
        self.wait_until_over(server, 1)
        self.assertEqual(second.take(), address)
        wait_for_next_second()
        wait_for_next_second()
        server.renew(second)
        second.lose()
        self.wait_until_over(server, 2)
        wait_for_next_second()
        ended = time.time()
        probe.wait_until_followed(ended)
        assignments = Assignments(probe.stop())
        self.assert_agrees(assignments, server.history(), begun, ended)
        # To a fraction of a second.
        expected = [at for at, event, *_ in server.history() if event == "del"]
        for (_, until, _), over in zip(sorted(assignments.all()[address]), expected, strict=True):
            self.assertAlmostEqual(until, over, delta=0.1)

    @staticmethod
    def wait_until_over(server, count):
        wait_until(lambda: sum(event == "del" for _, event, *_ in server.history()) == count, "the lease is over")

    def test_the_first_lease_of_all_is_told_at_once(self):
        (client,) = self.clients(1)
        server = Networkd(self.lab, self.folder, begun=False)
        probe = self.follow("networkd?folder=" + server.leases)
        self.assertFalse(os.path.exists(server.leases), "networkd makes it with the first lease")
        client.take()
        self.assertLess(self.seconds_until(probe, lambda lines: holders(lines) == {client.mac}), AT_ONCE)


@without_inherited_tests
class NetworkdSessionsTest(test_identity.IdentityTest):
    ROUNDS, SESSIONS = 8, 60  # sessions: of each round

    def test_each_session_is_whose_the_wire_says(self):
        self.make_hosts("masquerade", **QUICK_TIMEOUTS)
        server = Networkd(self.lab, self.folder, pool=2)
        giver, taker, other = [Client(self.lab, self.folder, number) for number in range(1, 4)]
        self.begin("networkd?folder=" + server.leases)
        address, another = giver.take(), other.take()
        for number in range(self.ROUNDS):
            wait_for_next_second()
            self.sessions_of(address, self.SESSIONS)
            self.sessions_of(another, 10)
            wait_for_next_second()
            giver.release()
            wait_for_next_second()
            if number == 1:  # while nobody follows
                self.daemon.stop()
            if number in (3, 5):
                server.stop()
                if number == 5:
                    server.boot_anew()
                server.start()
            self.assertEqual(taker.take(), address)
            if number == 1:
                wait_for_next_second()
                self.start_daemon()
            giver, taker = taker, giver
            self.wait_until_followed(time.time() + test_identity.SLACK)
        records = ends(self.file_records())
        spans = of_history(server.history())
        asked, wrong = 0, []
        for record in records:
            began, of_address = float(record["session_start"]), spans[record["pri_ip"]]
            if any(abs(at - began) <= test_identity.SLACK for span in of_address for at in span[:2] if at):
                continue
            asked += 1
            expected = next((who for first, last, who in of_address if first <= began and (last is None or began < last)), None)
            if (record["subscriber"], record["mac"]) != (expected, expected):
                wrong.append((record["pri_ip"], began, record["subscriber"], expected))
        self.assertEqual(wrong, [], (wrong[:5], spans))
        self.assertGreaterEqual(asked, self.ROUNDS * self.SESSIONS)
        self.assertEqual({(record["subscriber"], record["host"]) for record in records},
                         {(client.mac, client.name) for client in (giver, taker, other)})
        report = self.identity()["sources"][0]
        self.assertEqual((report["refused"], report["losses"]), (0, 0))


if __name__ == "__main__":
    main()
