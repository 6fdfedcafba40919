"""The kinds of NAT and of flows: what stands in each field, and what is no session of the log."""

import time

from case import LabCase, main
from compare import COUNTERS, to_ms
from netlab import (CLIENT4, INNER4, INNER6, OUTER4, OUTER6, POOL4, SERVER4, SERVER6)
from traffic import IP4_ECHO, IP4_UDP, IP6_ECHO, IP6_UDP, Host


class NatKindsTest(LabCase):
    def begin(self, *rules, arguments=(), **sysctls):
        self.daemon = self.start(self.make_watched_hosts(*rules, **sysctls), *arguments)
        return self.lab

    def finish(self, count, **how):
        """Waits for the end of all, compares, and returns the `count` records."""
        flows = self.witness.flows()
        self.daemon.wait_for_ends(count)
        records = self.daemon.stop()
        self.assert_agrees(records, flows, **how)
        self.assertEqual(len(records), count)
        return records

    def assert_fields(self, record, **fields):
        self.assertEqual({name: record.get(name) for name in fields}, fields)

    def test_known_byte_counts_over_udp(self):
        self.begin()
        self.client.session("udp", SERVER4, 7000, 123, 456)
        self.client.session("udp", SERVER6, 7000, 123, 456)
        four, six = sorted(self.finish(2), key=lambda r: r["bytes_from_vpc"])
        self.assert_fields(four, bytes_from_vpc=IP4_UDP + 123, pkts_from_vpc=1,
                           bytes_from_pub=IP4_UDP + 456, pkts_from_pub=1)
        self.assert_fields(six, bytes_from_vpc=IP6_UDP + 123, pkts_from_vpc=1,
                           bytes_from_pub=IP6_UDP + 456, pkts_from_pub=1)

    def test_fully_random_source_ports(self):
        self.begin("random", "random6")
        self.client.burst("tcp", SERVER4, 7000, 20000, 40)
        self.client.burst("udp", SERVER6, 7000, 20000, 40)
        self.client.ping_burst(SERVER4, 500, 20)
        records = self.finish(100)
        changed = sum(r["nat_port"] != r["pri_port"] for r in records)
        self.assertGreater(changed, 95, "a random port is the same only by chance")

    def test_snat_to_a_range_of_addresses(self):
        self.begin("snat-range")
        self.client.burst("tcp", SERVER4, 7000, 20000, 10)
        for record in self.finish(10):
            self.assertIn(record["nat_ip"], POOL4)

    def test_ipv6_masquerade(self):
        self.begin()
        port = self.client.session("tcp", SERVER6, 7000)
        (record,) = self.finish(1)
        self.assert_fields(record, protocol=6, nat_ip=OUTER6, nat_port=port, pub_ip=SERVER6, pub_port=7000)

    def test_icmp_ids_and_types(self):
        self.begin()
        self.client.ping(SERVER4, 4711, count=3, size=100)
        self.client.ping(SERVER6, 4712, count=2, size=200)
        four, six = sorted(self.finish(2), key=lambda r: r["pri_port"])
        self.assert_fields(four, protocol=1, pri_port=4711, nat_port=4711, pub_port=8 * 256, nat_ip=OUTER4,
                           bytes_from_vpc=3 * (IP4_ECHO + 100), pkts_from_vpc=3,
                           bytes_from_pub=3 * (IP4_ECHO + 100), pkts_from_pub=3)
        self.assert_fields(six, protocol=58, pri_port=4712, nat_port=4712, pub_port=128 * 256, nat_ip=OUTER6,
                           bytes_from_vpc=2 * (IP6_ECHO + 200), pkts_from_vpc=2,
                           bytes_from_pub=2 * (IP6_ECHO + 200), pkts_from_pub=2)

    def test_a_protocol_without_ports(self):
        self.begin()
        self.client.ask("send_raw", protocol=253, destination=SERVER4, size=77)
        (record,) = self.finish(1)
        self.assert_fields(record, protocol=253, pri_port=0, pub_port=0, nat_port=0,
                           bytes_from_vpc=20 + 77, pkts_from_vpc=1)

    def reach_inside(self, nat):
        """A session from the server through DNAT to the client's port 7000. Returns its source port."""
        self.begin("dnat-in", "masquerade", arguments=["--nat", nat])
        self.client.serve(7000)
        return self.server.session("tcp", OUTER4, 8080, 300, 700)

    def check_destination_nat(self, nat):
        port = self.reach_inside(nat)
        (record,) = self.finish(1, nat=nat)
        self.assert_fields(record, pri_ip=CLIENT4, pri_port=7000, nat_ip=OUTER4, nat_port=8080,
                           pub_ip=SERVER4, pub_port=port, orig_dst_ip=None)
        self.assertGreater(record["bytes_from_vpc"], record["bytes_from_pub"])

    def test_destination_nat_is_logged_when_asked_for(self):
        self.check_destination_nat("dnat")

    def test_destination_nat_is_logged_when_any_is_asked_for(self):
        self.check_destination_nat("any")

    def test_destination_nat_alone_is_not_logged_by_default(self):
        self.reach_inside("snat")
        self.client.session("tcp", SERVER4, 7000)
        (record,) = self.finish(1)
        self.assert_fields(record, pri_ip=CLIENT4, pub_ip=SERVER4, pub_port=7000)

    def check_both_kinds(self, nat):
        self.begin("dnat-out", "masquerade", arguments=["--nat", nat])
        self.client.session("tcp", INNER4, 8000)
        (record,) = self.finish(1, nat=nat)
        self.assert_fields(record, pri_ip=CLIENT4, nat_ip=OUTER4, pub_ip=SERVER4, pub_port=7000,
                           orig_dst_ip=INNER4, orig_dst_port=8000)

    def test_both_kinds_at_once_are_one_source_nat_session_with_its_original_destination(self):
        self.check_both_kinds("snat")

    def test_both_kinds_at_once_are_one_source_nat_session_when_any_is_asked_for(self):
        self.check_both_kinds("any")

    def test_traffic_of_the_nat_box_itself_is_never_logged(self):
        lab = self.begin(arguments=["--nat", "any"])
        box = Host(lab, lab.nat, [OUTER4, OUTER6])
        for address in (INNER4, INNER6):
            for protocol in ("tcp", "udp"):
                box.ask("serve", protocol=protocol, address=address, port=7000)
                self.client.session(protocol, address, 7000)
        for address in (SERVER4, SERVER6):
            for protocol in ("tcp", "udp"):
                box.session(protocol, address, 7000)
            box.ping(address, 77)
        self.client.session("udp", SERVER4, 7000)
        flows = self.witness.flows()
        self.assertEqual(len(flows), 11)
        self.daemon.wait_for_ends(1)
        records = self.daemon.stop()
        self.assertEqual([r["pri_ip"] for r in records], [CLIENT4])
        self.assert_agrees(records, flows, nat="any")

    def test_a_flow_deleted_in_the_middle_ends_and_goes_on_as_another_session(self):
        lab = self.begin()
        port = self.client.open("a", "tcp", SERVER4, 7000)
        self.client.exchange("a", 1000, 2000)
        lab.delete_flows("-p", "tcp")
        self.daemon.wait_for_ends(1)
        self.client.exchange("a", 3000, 4000)
        self.client.shut("a")
        records = self.finish(2)
        self.assertEqual([r["pri_port"] for r in records], [port, port])
        self.assertNotEqual(records[0]["session_id"], records[1]["session_id"])

    def test_unknown_counters_are_null_and_the_start_is_when_new_was_received(self):
        before = int(time.time() * 1000)
        self.begin(acct=0, timestamp=0)
        self.client.session("tcp", SERVER4, 7000)
        self.witness.flows()
        self.daemon.wait_for_ends(1)
        (record,) = self.daemon.stop()
        self.assert_fields(record, **{counter: None for counter in COUNTERS})
        times = [before, to_ms(record["session_start"]), to_ms(record["end_time"]), time.time() * 1000]
        self.assertEqual(times, sorted(times))
        self.daemon.wait_for_message("nf_conntrack_acct")
        self.daemon.wait_for_message("nf_conntrack_timestamp")

    def test_zone_and_mark(self):
        self.begin("masquerade", "zone", "mark")
        self.client.session("tcp", SERVER4, 7000)
        self.client.session("udp", SERVER4, 7000)
        for record in self.finish(2):
            self.assert_fields(record, zone=7, mark=0x2A)


if __name__ == "__main__":
    main()
