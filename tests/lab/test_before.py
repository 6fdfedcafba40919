"""Sessions that began before the daemon: picked up, logged whole, closed even if the kernel never says so."""

from case import LabCase, main
from compare import COUNTERS, total
from daemon import ends
from netlab import SERVER4, SERVER6
from traffic import IP4_UDP, client_and_server
from witness import Witness


class BeforeTest(LabCase):
    def sessions_around_the_start(self, *arguments):
        lab = self.make_lab(udp_timeout=30, udp_timeout_stream=30)
        witness = Witness(lab, self.folder)
        client, _ = client_and_server(lab)
        names = [f"{protocol} {server}" for protocol in ("tcp", "udp") for server in (SERVER4, SERVER6)]
        for name in names:
            client.open(name, *name.split(), 7000)
            client.exchange(name, 700, 1300)
        daemon = self.start(lab, *arguments)
        for name in names:
            client.exchange(name, 100, 900)
            client.shut(name)
        client.session("tcp", SERVER4, 7000)
        lab.delete_flows("-p", "udp")
        flows = witness.flows()
        self.assertEqual(len(flows), 5)
        daemon.wait_for_ends(5)
        self.assert_agrees(daemon.stop(), flows)

    def test_sessions_that_began_before_the_daemon_are_logged_whole(self):
        self.sessions_around_the_start()

    def test_sessions_that_began_before_are_logged_with_destroy_events_only(self):
        self.sessions_around_the_start("--events", "destroy")

    def test_sessions_without_events_are_closed_as_vanished_once(self):
        # A flow made with events=0 never sends an event, not even DESTROY. With 2, the default, neither does one
        # that is made while nobody listens; but for that a listener in any namespace of the machine counts.
        lab = self.make_lab(events=0, udp_timeout=30, udp_timeout_stream=30)
        client, _ = client_and_server(lab)
        for name, port in (("silent", 21000), ("silent too", 22000)):
            client.open(name, "udp", SERVER4, 7000, port)
            client.exchange(name, 100, 200)
        lab.sysctl("events", 1)
        daemon = self.start(lab, "--window", "1s")
        client.exchange("silent", 300, 400)
        daemon.wait_for_records(lambda rs: len({r["pri_port"] for r in rs}) == 2, "a record of each")
        # The exchange after the start may have gone into the same window or into the next.
        all_of_it = 2 * IP4_UDP + 400, 2 * IP4_UDP + 600
        daemon.wait_for_records(lambda rs: traffic_of(rs, 21000) == all_of_it, "both exchanges")
        lab.delete_flows("-p", "udp")
        daemon.wait_for_ends(2)
        client.open("busy", "tcp", SERVER4, 7000, 23000)
        for window in range(3):
            client.exchange("busy", 100, 100)
            daemon.wait_for_records(
                lambda rs, n=window: sum(r["pri_port"] == 23000 for r in rs) > n, "one window more")
        records = daemon.stop()
        vanished = ends(records)
        self.assertEqual(sorted((r["pri_port"], r["reason"]) for r in vanished),
                         [(21000, "vanished"), (22000, "vanished")])
        for record in vanished:  # what moved since the last dump is not known
            self.assertEqual([record[counter] for counter in COUNTERS], [None] * 4)
        self.assertEqual(traffic_of(records, 22000), (IP4_UDP + 100, IP4_UDP + 200))


def traffic_of(records, port):
    """What the interim records of the session on `port` add up to: bytes from the client, bytes to it."""
    group = [r for r in records if r["pri_port"] == port and r["event"] == "interim"]
    return total(group, "bytes_from_vpc"), total(group, "bytes_from_pub")


if __name__ == "__main__":
    main()
