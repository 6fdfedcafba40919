"""compare() finds every kind of difference. Needs neither root nor a daemon."""

import unittest
from dataclasses import replace
from decimal import Decimal

from compare import CLOUD_FIELDS, compare, expected
from daemon import INSTANCE, VPC
from witness import Direction, Flow

START_MS = 1_795_263_600_500
FLOW = Flow(id=1, protocol=6, zone=0, mark=0,
            start_ns=START_MS * 1_000_000 + 999_999, stop_ns=(START_MS + 3000) * 1_000_000,
            original=Direction("10.64.0.2", "203.0.113.80", 20000, 7000, packets=10, bytes=1000),
            reply=Direction("203.0.113.80", "203.0.113.1", 7000, 20000, packets=20, bytes=2000))
CAPTURE = {(6, "10.64.0.2", 20000, "203.0.113.80", 7000): [10, 1000],
           (6, "203.0.113.80", 7000, "10.64.0.2", 20000): [20, 2000]}


def seconds(milliseconds):
    return Decimal(milliseconds) / 1000


def record(seq, event, start, end, packets):
    """One slice of FLOW, times in ms after its start."""
    fields = {**expected(FLOW), "bytes_from_vpc": 100 * packets, "pkts_from_vpc": packets,
              "bytes_from_pub": 200 * packets, "pkts_from_pub": 2 * packets,
              "start_time": seconds(START_MS + start), "end_time": seconds(START_MS + end)}
    return {**{name: fields[name] for name in CLOUD_FIELDS}, "event": event, "session_id": "00ab", "seq": seq,
            "session_start": seconds(START_MS), "reason": "destroyed" if event == "end" else None,
            "orig_dst_ip": None, "orig_dst_port": None, "zone": None, "mark": None}


class CompareTest(unittest.TestCase):
    def setUp(self):
        # Windows of 2 s: the session begins 500 ms into one and ends 1500 ms into the next but none.
        self.records = [record(0, "interim", 0, 1500, 4), record(1, "end", 1500, 3000, 6)]

    def differences(self, flows=(FLOW,), **how):
        return compare(self.records, list(flows), window_ms=2000, **how)

    def assert_found(self, *words, **how):
        found = "\n".join(self.differences(**how))
        for word in words:
            self.assertIn(word, found)

    def test_no_difference(self):
        self.assertEqual(self.differences(capture=CAPTURE), [])
        self.assertEqual((self.records[0]["instance"], self.records[0]["vpc_id"]), (INSTANCE, VPC))

    def test_each_of_the_fifteen_fields(self):
        for name in CLOUD_FIELDS:
            with self.subTest(field=name):
                self.setUp()
                value = self.records[1][name]
                self.records[1][name] = value + 1 if isinstance(value, (int, Decimal)) else value + "x"
                self.assertNotEqual(self.differences(), [])

    def test_a_field_that_is_wrong_in_all_records_of_a_session(self):
        for name in ("pri_port", "nat_ip", "zone", "mark", "orig_dst_ip", "session_start"):
            with self.subTest(field=name):
                self.setUp()
                for each in self.records:
                    each[name] = 7
                self.assert_found("not in the log", "not in the kernel")

    def test_a_missing_session(self):
        self.assert_found("not in the log", flows=[FLOW, replace(FLOW, protocol=17)])

    def test_a_session_too_many(self):
        self.assert_found("not in the kernel", flows=[])

    def test_a_flow_without_nat_is_none_of_the_log(self):
        plain = replace(FLOW, reply=replace(FLOW.reply, destination="10.64.0.2"))
        self.assert_found("not in the kernel", flows=[plain])
        self.records = []
        self.assertEqual(self.differences(flows=[plain]), [])

    def test_two_ends(self):
        self.records.append({**self.records[1], "seq": 2, "pkts_from_pub": 0})
        self.assert_found("not one end")

    def test_no_end(self):
        del self.records[1]
        self.assert_found("not one end", "bytes_from_pub is 800, not 2000")

    def test_a_record_twice(self):
        self.records.append(dict(self.records[0]))
        self.assert_found("seq is [0, 0, 1]")

    def test_one_session_under_two_ids(self):
        self.records[1]["session_id"] = "00ac"
        self.assert_found("two session ids")

    def test_a_slice_over_more_than_a_window(self):
        self.records[1]["start_time"] = seconds(START_MS + 1499)
        self.assert_found("not the later of session", "slice 1 begins before slice 0 ends")

    def test_a_packet_that_only_the_capture_saw(self):
        more = {**CAPTURE, (17, "10.64.0.2", 20000, "203.0.113.80", 7000): [1, 30]}
        self.assert_found("the capture [1, 30]", capture=more)

    def test_an_unknown_counter_is_not_zero(self):
        silent = replace(FLOW, reply=replace(FLOW.reply, packets=None, bytes=None))
        for each in self.records:
            each["bytes_from_pub"] = each["pkts_from_pub"] = 0
        self.assert_found("bytes_from_pub is 0, not None", flows=[silent])


if __name__ == "__main__":
    unittest.main()
