"""The ipfix sinks, against real collectors: nfcapd and nfacctd by UDP, and what ipfixDump reads of TCP and TLS."""

import collections
import os
import threading

from case import LabCase, main
from certificates import Certificates
from compare import COUNTERS, to_ms
from daemon import INSTANCE, parse, read_records, run_to_end
from ipfix_collectors import NFACCTD, NFCAPD, TCP, TLS, Nfacctd, Nfcapd, StreamCollector
from netlab import CLIENT4, OUTER4, SERVER4, SERVER6, run, wait_until

ICMP = {1: "icmpTypeCodeIPv4", 58: "icmpTypeCodeIPv6"}
TCP_URL = f"ipfix+tcp://127.0.0.1:{TCP}"


def is_v6(address):
    return ":" in address


def nat_event(record):
    created = 1 if is_v6(record["nat_ip"]) else 4  # RFC 8158 has none for IPv6 to IPv6
    return {"start": created, "end": created + 1, "interim": None}[record["event"]]


def expected(record, destination=True):
    """What a record of the log is in IPFIX, by IANA's names."""
    v4_v6 = lambda address: "IPv6Address" if is_v6(address) else "IPv4Address"
    start, end = to_ms(record["start_time"]), to_ms(record["end_time"])
    fields = {
        "observationTimeMilliseconds": start if record["event"] == "start" else end,
        "natEvent": nat_event(record), "flowEndReason": 2 if record["event"] == "interim" else None,
        "source" + v4_v6(record["pri_ip"]): record["pri_ip"],
        "postNATSource" + v4_v6(record["nat_ip"]): record["nat_ip"],
        "protocolIdentifier": record["protocol"],
        "sourceTransportPort": record["pri_port"], "postNAPTSourceTransportPort": record["nat_port"],
        "flowStartMilliseconds": start, "flowEndMilliseconds": end,
        "octetDeltaCount": record["bytes_from_vpc"], "packetDeltaCount": record["pkts_from_vpc"],
        "reverseOctetDeltaCount": record["bytes_from_pub"], "reversePacketDeltaCount": record["pkts_from_pub"],
        "flowId": int(record["session_id"], 16), "VRFname": record["vpc_id"], "ingressVRFID": record["zone"]}
    if destination:
        fields |= {
            "destination" + v4_v6(record["pub_ip"]): record["pub_ip"],
            "postNATDestination" + v4_v6(record["pub_ip"]): record["pub_ip"],
            "destinationTransportPort": record["pub_port"], "postNAPTDestinationTransportPort": record["pub_port"]}
    if record["protocol"] in ICMP:
        fields[ICMP[record["protocol"]]] = record["pub_port"]
    return {name: value for name, value in fields.items() if value is not None}


def multiset(dicts):
    return collections.Counter(tuple(sorted(fields.items())) for fields in dicts)


class IpfixTest(LabCase):
    needs = ("nfcapd", "nfdump", "nfacctd", "ipfixDump", "openssl")

    def setUp(self):
        super().setUp()
        self.make_watched_hosts()

    def begin(self, *sinks, arguments=()):
        urls = [f"file:{self.path('log.json')}", *sinks]
        return self.start(self.lab, *(word for url in urls for word in ("--sink", url)), *arguments)

    def assert_same(self, seen, wanted):
        seen, wanted = multiset(seen), multiset(wanted)
        missing, strange = wanted - seen, seen - wanted
        self.assertEqual((list(missing)[:2], list(strange)[:2]), ([], []))

    def make_various_sessions(self, daemon):
        """Short ones of each kind, and one that lives through a window."""
        self.client.open("long", "tcp", SERVER4, 7000, 19000)
        self.client.exchange("long", 5000, 6000)
        wait_until(lambda: [r for r in self.file_records() if r["event"] == "interim"], "a window has closed")
        self.client.exchange("long", 700, 800)
        self.client.shut("long")
        self.make_sessions(20000, 60, pings=20)
        self.client.ping(SERVER6, 4711, count=3)
        self.witness.flows()
        daemon.stop()
        records = self.file_records()
        self.assertGreaterEqual(len(records), 60 + 60 + 20 + 1 + 2)
        return records

    def assert_nfdump_has(self, seen, records):
        """Each record, as far as nfdump 1.7.1 knows the elements."""
        def from_log(record):
            six, icmp = is_v6(record["nat_ip"]), record["protocol"] in ICMP
            return {
                "event": nat_event(record) or 0, "protocol": record["protocol"], "source": record["pri_ip"],
                # Of ICMP it makes type and code, and no source port. It knows no IPv6 address behind NAT.
                "source_port": None if icmp else record["pri_port"],
                "destination": record["pub_ip"], "destination_port": record["pub_port"],
                "nat": None if six else record["nat_ip"], "nat_port": record["nat_port"],
                **{name: record[name] for name in COUNTERS}}

        def from_nfdump(flow):
            icmp = "icmp_type" in flow
            six = "src6_addr" in flow
            return {
                "event": int(flow.get("nat_event_id", 0)), "protocol": flow["proto"],
                "source": flow["src6_addr" if six else "src4_addr"],
                "source_port": None if icmp else flow["src_port"],
                "destination": flow["dst6_addr" if six else "dst4_addr"],
                "destination_port": flow["icmp_type"] * 256 + flow["icmp_code"] if icmp else flow["dst_port"],
                "nat": flow.get("src4_xlt_ip"), "nat_port": int(flow["src_xlt_port"]),
                "bytes_from_vpc": flow["in_bytes"], "pkts_from_vpc": flow["in_packets"],
                "bytes_from_pub": flow.get("out_bytes", 0), "pkts_from_pub": flow.get("out_packets", 0)}

        self.assert_same([from_nfdump(flow) for flow in seen], [from_log(record) for record in records])

    def assert_nfacctd_has(self, seen, records):
        """It has an entry for each of its keys; two records of one session are two, by event and beginning. It knows no
        IPv6 address behind NAT."""
        def from_log(record):
            icmp = record["protocol"] in ICMP
            return (record["pri_ip"], record["pri_port"], record["pub_ip"], None if icmp else record["pub_port"],
                    "" if is_v6(record["nat_ip"]) else record["nat_ip"], record["nat_port"], nat_event(record) or 0,
                    to_ms(record["start_time"]))

        def from_nfacctd(entry):
            icmp = "icmp" in str(entry["ip_proto"])
            seconds, _, rest = entry["timestamp_start"].partition(".")
            return (entry["ip_src"], entry["port_src"], entry["ip_dst"], None if icmp else entry["port_dst"],
                    entry["post_nat_ip_src"], entry["post_nat_port_src"], entry["nat_event"],
                    int(seconds) * 1000 + int(rest[:3]))
        seen, wanted = collections.Counter(map(from_nfacctd, seen)), collections.Counter(map(from_log, records))
        self.assertEqual((list(wanted - seen)[:3], list(seen - wanted)[:3]), ([], []))

    def test_every_collector_decodes_every_record_and_misses_none(self):
        nfcapd, nfacctd = Nfcapd(self.lab, self.folder), Nfacctd(self.lab, self.folder)
        certificates = Certificates(self.folder)
        tcp, tls = StreamCollector(self.lab, self.folder), StreamCollector(self.lab, self.folder, certificates)
        daemon = self.begin(f"ipfix://127.0.0.1:{NFCAPD}?options=no", f"ipfix://127.0.0.1:{NFACCTD}?options=no", TCP_URL,
                            f"ipfix+tls://127.0.0.1:{TLS}?ca={certificates.crt('ca')}", arguments=("--window", "2s"))
        records = self.make_various_sessions(daemon)
        self.assertIn("interim", {record["event"] for record in records})
        for collector in (tcp, tls):
            self.assert_same(collector.records(), map(expected, records))
        nfcapd.stop()
        self.assertEqual(nfcapd.sequence_errors(), [0])
        self.assert_nfdump_has(nfcapd.records(), records)
        (found,) = nfcapd.records(f"src xip {OUTER4} and src xport 20055")  # as natsessiond-ipfix(7) has it
        self.assertEqual((found["src4_addr"], found["src_port"]), (CLIENT4, 20055))
        nfacctd.stop()
        self.assert_nfacctd_has(nfacctd.records(), records)

    def test_sessions_of_nat64_are_decoded_too(self):
        """Linux translates none by itself, so their records are made."""
        nfcapd, nfacctd = Nfcapd(self.lab, self.folder), Nfacctd(self.lab, self.folder)
        tcp = StreamCollector(self.lab, self.folder)
        for url in (f"ipfix://127.0.0.1:{NFCAPD}?options=no", f"ipfix://127.0.0.1:{NFACCTD}?options=no", TCP_URL):
            lines = run(*self.lab.enter(self.lab.nat), os.environ["NATSESSION_NAT64_RECORDS"], url, "30")
        records = [parse(line) for line in lines.splitlines()]
        self.assertEqual(len(records), 90)
        events = {"start": 6, "end": 7, "interim": None}

        def of_nat64(record):
            fields = expected(record) | {"natEvent": events[record["event"]]}
            del fields["destinationIPv4Address"]
            fields |= {"destinationIPv6Address": record["orig_dst_ip"], "destinationTransportPort": record["orig_dst_port"]}
            return {name: value for name, value in fields.items() if value is not None}
        wait_until(lambda: len(tcp.records()) == 90, lambda: f"{len(tcp.records())} records by TCP")
        self.assert_same(tcp.records(), map(of_nat64, records))
        nfcapd.stop()
        self.assertEqual(nfcapd.sequence_errors(), [0])
        seen = nfcapd.records()
        self.assertEqual(collections.Counter(int(flow.get("nat_event_id", 0)) for flow in seen), {6: 30, 7: 30, 0: 30})
        told = {(flow["src6_addr"], flow["src4_xlt_ip"], int(flow["src_xlt_port"]), int(flow.get("nat_event_id", 0)),
                 flow["in_bytes"], flow.get("out_bytes", 0)) for flow in seen}
        self.assertEqual(told, {(r["pri_ip"], r["nat_ip"], r["nat_port"], events[r["event"]] or 0,
                                 r["bytes_from_vpc"] or 0, r["bytes_from_pub"] or 0) for r in records})
        nfacctd.stop()
        told = {(entry["ip_src"], entry["post_nat_ip_src"], entry["post_nat_port_src"], entry["nat_event"])
                for entry in nfacctd.records()}
        # Of an IPv6 flow that is no event it has no IPv4 address outside.
        self.assertEqual(told, {(r["pri_ip"], r["nat_ip"] if events[r["event"]] else "", r["nat_port"], events[r["event"]] or 0)
                                for r in records})

    def test_a_session_is_created_and_deleted(self):
        collector = StreamCollector(self.lab, self.folder)
        daemon = self.begin(TCP_URL, arguments=("--records", "start-end"))
        self.make_sessions(20000, 20, pings=5)
        self.witness.flows()
        daemon.stop()
        records = self.file_records()
        self.assert_same(collector.records(), map(expected, records))
        events = collections.Counter(record["natEvent"] for record in collector.records())
        self.assertEqual(events, {4: 25, 5: 25, 1: 20, 2: 20})

    def test_without_destination_no_byte_tells_whom_a_session_was_with(self):
        collector = StreamCollector(self.lab, self.folder)
        daemon = self.begin(TCP_URL + "?destination=no")
        self.client.burst("tcp", SERVER4, 7000, 20000, 20)
        self.witness.flows()
        daemon.stop()
        records = self.file_records()
        self.assert_same(collector.records(), [expected(record, destination=False) for record in records])
        with open(collector.files()[0], "rb") as file:
            self.assertNotIn(bytes(map(int, SERVER4.split("."))), file.read())

    def test_a_block_of_ports_is_told_in_place_of_its_sessions(self):
        """By IPFIX and as JSON; the log itself keeps each session, and each lies in a block that its host was allocated."""
        collector = StreamCollector(self.lab, self.folder)
        size = 64
        options = f"blocks={CLIENT4}/32&block_size={size}&block_from=1024"
        daemon = self.begin(TCP_URL + "?" + options, f"file:{self.path('blocks.json')}?{options}", arguments=("--window", "2s"))
        self.make_sessions(20000, 300)
        self.witness.flows()
        daemon.stop()
        inside = [record for record in self.file_records() if record["pri_ip"] == CLIENT4]
        blocks = read_records(self.path("blocks.json"))
        told = [record for record in blocks if record["event"] not in ("allocate", "gap")]
        self.assertEqual({record["session_id"] for record in told},
                         {record["session_id"] for record in self.file_records() if record["pri_ip"] != CLIENT4})
        allocates = [record for record in blocks if record["event"] == "allocate"]
        allocated = {(record["nat_ip"], record["nat_port"]): record for record in allocates}  # the last is of the earliest
        for record in inside:
            block = allocated[record["nat_ip"], record["nat_port"] - (record["nat_port"] - 1024) % size]
            self.assertEqual(block["pri_ip"], CLIENT4)
            self.assertLessEqual(record["nat_port"], block["nat_port_last"])
            self.assertLessEqual(block["start_time"], record["start_time"])
        self.assertLess(len(allocated), len(inside) / 4)
        seen = [record for record in collector.records(options=True) if "portRangeStart" in record]
        self.assert_same(seen, [{
            "observationTimeMilliseconds": to_ms(block["start_time"]), "natEvent": 16, "sourceIPv4Address": block["pri_ip"],
            "postNATSourceIPv4Address": block["nat_ip"], "portRangeStart": block["nat_port"],
            "portRangeEnd": block["nat_port_last"], "VRFname": block["vpc_id"]} for block in allocates])

    def test_a_collector_that_crashes_misses_nothing(self):
        collector = StreamCollector(self.lab, self.folder)
        daemon = self.begin(TCP_URL)
        traffic = threading.Thread(target=self.client.burst, args=("udp", SERVER4, 7000, 10000, 20000))
        traffic.start()
        for round_ in range(3):
            wait_until(lambda: self.lab.conntrack("-L") is not None and len(collector.files()) > round_
                       and os.path.getsize(collector.files()[-1]) > 10_000, "records come")
            collector.crash()
            collector.start()
        traffic.join()
        flows = self.witness.flows()
        wait_until(lambda: len(self.file_records()) >= len(flows), "the records in the file")
        wanted = multiset(map(expected, self.file_records()))
        wait_until(lambda: set(wanted) <= set(multiset(collector.records())), "all records at the collector")
        self.assertEqual(set(multiset(collector.records())), set(wanted))
        self.assertGreaterEqual(len(collector.files()), 4)
        daemon.stop()

    def test_what_came_while_the_collector_was_away_goes_out_after_a_restart(self):
        ledger = ("--ledger", self.path("ledger"))
        daemon = self.begin(TCP_URL, arguments=ledger)
        self.make_sessions(20000, 30)
        self.witness.flows()
        wait_until(lambda: len(self.file_records()) >= 60, "the records in the file")
        daemon.stop()
        collector = StreamCollector(self.lab, self.folder)
        daemon = self.begin(TCP_URL, arguments=ledger)
        self.make_sessions(30000, 30)
        self.witness.flows()
        wait_until(lambda: len(self.file_records()) >= 120, "the records in the file")
        wait_until(lambda: len(collector.records()) >= 120, "the records at the collector")
        daemon.stop()
        records = [record for record in self.file_records() if record["event"] != "gap"]
        self.assert_same(collector.records(), map(expected, records))

    def test_a_gap_is_told_as_what_was_not_sent(self):
        collector = StreamCollector(self.lab, self.folder)
        daemon = self.begin(TCP_URL)  # nothing is known of the time before it
        wait_until(collector.files, "a connection")
        daemon.stop()
        (gap,) = read_records(self.path("log.json"), starts=True)
        (told,) = [record for record in collector.records(options=True) if "exportingProcessId" in record]
        self.assertEqual(told["flowEndMilliseconds"], to_ms(gap["end_time"]))
        self.assertNotIn("flowStartMilliseconds", told)
        (name,) = [record for record in collector.records(options=True) if "observationDomainId" in record]
        self.assertEqual((name["observationDomainName"], name["observationDomainId"]), (INSTANCE, 1))

    def test_a_check_finds_who_listens_and_who_does_not(self):
        def check(url):
            status, out, err = run_to_end(self.lab, self.folder, "--check", "--sink", url)
            return out + err
        StreamCollector(self.lab, self.folder)
        self.assertIn("connected", check(TCP_URL))
        self.assertIn("refused", check(f"ipfix+tcp://127.0.0.1:{TCP + 100}"))
        self.assertIn("refused", check(f"ipfix://127.0.0.1:{TCP + 100}"))
        Nfcapd(self.lab, self.folder)
        self.assertIn("UDP does not tell", check(f"ipfix://127.0.0.1:{NFCAPD}"))


if __name__ == "__main__":
    main()
