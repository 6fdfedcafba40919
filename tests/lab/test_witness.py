"""Every session of real packets against independent witnesses: conntrack -E, and a packet capture."""

from case import LabCase, main
from netlab import SERVER4, SERVER6
from pcap import Capture
from traffic import client_and_server
from witness import Witness


class WitnessTest(LabCase):
    needs = ("tcpdump",)

    def check(self, *arguments):
        lab = self.make_lab()
        witness = Witness(lab, self.folder)
        capture = Capture(lab, "inner", self.path("inner.pcap"))
        daemon = self.start(lab, *arguments)
        client, _ = client_and_server(lab)
        for server in (SERVER4, SERVER6):
            client.burst("tcp", server, 7000, 20000, 450, seed=4)
            client.burst("udp", server, 7000, 20000, 500, seed=5)
            client.ping_burst(server, 3000, 150, seed=6)
        flows = witness.flows()
        self.assertGreaterEqual(len(flows), 2200)
        daemon.wait_for_ends(len(flows))
        self.assert_agrees(daemon.stop(), flows, capture=capture.stop())

    def test_2200_sessions_of_tcp_udp_icmp_over_ipv4_and_ipv6(self):
        self.check()

    def test_with_destroy_events_only(self):
        self.check("--events", "destroy")


if __name__ == "__main__":
    main()
