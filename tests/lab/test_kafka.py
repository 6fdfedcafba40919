"""The kafka sink, against librdkafka's mock cluster, with kcat as the reader."""

import collections
import os
import re
import signal
import struct
import threading

import ctl
from case import LabCase, main
from certificates import Certificates
from compare import to_ms
from daemon import INSTANCE, MISSING, parse, run_to_end
from kafka_cluster import (
    NOT_ENOUGH_REPLICAS, NOT_LEADER, PRODUCE, TIMED_OUT, TOPIC_AUTHORIZATION_FAILED, TRANSPORT,
    UNKNOWN_TOPIC, KafkaCluster)
from netlab import SERVER4, run, wait_until

BATCH = 100
USER, PASSWORD = "natsessiond", "sesame-street"
SCHEMA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../packaging/kafka/session_record.proto")


def names(records):
    return collections.Counter((r["session_id"], r["seq"]) if r["event"] != "gap" else ("gap", str(r["end_time"]))
                               for r in records)


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def read_protobuf(data):
    """{name of the field in the schema: number or bytes}."""
    with open(SCHEMA, encoding="utf-8") as file:
        fields = {int(number): name for name, number in re.findall(r"^  \w[\w ]* (\w+) = (\d+);", file.read(), re.MULTILINE)}
    found, at = {}, 0
    while at < len(data):
        tag, at = varint(data, at)
        value, size = None, None
        if tag & 7 == 0:
            value, at = varint(data, at)
        elif tag & 7 == 1:
            (value,) = struct.unpack_from("<Q", data, at)
            at += 8
        else:
            assert tag & 7 == 2, tag
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        found[fields[tag >> 3]] = value
    return found


class KafkaTest(LabCase):
    needs = ("kcat", "openssl")

    def setUp(self):
        super().setUp()
        self.make_watched_hosts()
        self.control = self.path("control.sock")

    def begin(self, url, *arguments):
        return self.start(self.lab, "--sink", f"file:{self.path('log.json')}", "--sink", url, "--control", self.control,
                          "--batch", BATCH, *arguments)

    def sink(self):
        return ctl.sink(self.control, "kafka")

    def records_come(self):
        self.lab.conntrack("-L")  # the kernel looks for sessions that have ended
        return self.sink()["delivered"] > 0

    def wait_until_told(self, *words):
        """Until the status says of the sink that it failed, and so why."""
        def is_told():
            self.lab.conntrack("-L")
            sink = self.sink()
            return all(word in sink["code"] + ": " + sink["message"] for word in words)
        wait_until(is_told, lambda: f"{words}; the sink: {self.sink()}")

    def properties(self, text):
        path = self.write("kafka.properties", text)
        os.chmod(path, 0o600)
        return f"?properties_file={path}"

    def arrived(self, cluster):
        return [parse(value) for _, _, value in cluster.read()]

    def wait_for_all(self, cluster):
        """Until each record of the file has arrived. Returns what has, by name and how often."""
        def all_there():
            there = names(self.arrived(cluster))
            return there if set(names(self.file_records())) <= set(there) else None
        return wait_until(all_there, lambda: f"{len(self.file_records())} records; the sink: {self.sink()}")

    def assert_each_once(self, cluster, flows):
        """What the reader has is what the wire had, nothing missing and nothing twice."""
        records = self.arrived(cluster)
        self.assert_agrees([r for r in records if r["event"] != "gap"], flows)
        self.assertEqual({name for name, times in names(records).items() if times > 1}, set())

    def test_every_record_is_in_the_topic_once_and_a_session_in_order(self):
        cluster = KafkaCluster(self.lab, brokers=3)
        daemon = self.begin(cluster.url(), "--records", "start-end")
        self.make_sessions(20000, pings=20)
        self.witness.flows()
        daemon.stop()
        with open(self.path("log.json"), encoding="utf-8") as file:
            lines = file.read().splitlines()
        messages = cluster.read()
        self.assertEqual(collections.Counter(value for _, _, value in messages), collections.Counter(lines))
        partition_of, order = {}, collections.defaultdict(list)
        for partition, key, value in messages:
            record = parse(value)
            nat = record["nat_ip"]
            wanted = f"[{nat}]:{record['nat_port']}" if ":" in (nat or "") else f"{nat}:{record['nat_port']}"
            self.assertEqual(key, INSTANCE if record["event"] == "gap" else wanted)
            self.assertEqual(partition_of.setdefault(key, partition), partition)
            order[record["session_id"]].append(record["event"])
        del order[None]
        self.assertEqual({tuple(events) for events in order.values()}, {("start", "end")})
        self.assertEqual(set(partition_of.values()), {0, 1, 2, 3})

    def test_the_compact_form_has_what_the_text_has(self):
        cluster = KafkaCluster(self.lab, partitions=1)
        daemon = self.begin(cluster.url("?format=protobuf"))
        self.make_sessions(20000, 20, pings=5)
        self.witness.flows()
        daemon.stop()
        with open(self.path("log.json"), encoding="utf-8") as file:
            records = [parse(line) for line in file]
        values = list(map(read_protobuf, cluster.read_bytes()))
        self.assertEqual(len(values), len(records))
        for value, record in zip(values, records):
            if record["event"] == "gap":
                self.assertEqual(value["log_status"], b"SKIPDATA")
                continue
            self.assertEqual(value["instance"].decode(), record["instance"])
            self.assertEqual(f"{value['session_id']:016x}", record["session_id"])
            self.assertEqual(value["end_time"], to_ms(record["end_time"]))
            self.assertEqual(value["nat_port"], record["nat_port"])
            for name in ("bytes_from_pub", "pkts_from_pub", "bytes_from_vpc", "pkts_from_vpc"):
                self.assertEqual(value.get(name), record[name])
            family = 16 if ":" in record["pri_ip"] else 4
            self.assertEqual(len(value["pri_ip"]), family)

    def test_through_errors_moving_leaders_and_an_outage_nothing_is_missing_or_twice(self):
        cluster = KafkaCluster(self.lab, brokers=3)
        options = self.properties("reconnect.backoff.max.ms=500\n")
        daemon = self.begin(cluster.url(options + "&timeout=1s"), "--ledger", self.path("ledger"))
        traffic = threading.Thread(target=self.client.burst, args=("udp", SERVER4, 7000, 10000, 4000))
        traffic.start()
        wait_until(self.records_come, "records come")
        cluster.fail_next(PRODUCE, NOT_ENOUGH_REPLICAS, TIMED_OUT, NOT_LEADER, TRANSPORT)
        for partition in range(4):
            cluster.set_leader(partition, 1 + (partition + 1) % 3)
        cluster.set_down(True)
        traffic.join()
        self.make_sessions(20000)  # of these nothing has been sent
        flows = self.witness.flows()
        wait_until(lambda: self.sink()["state"] == "Failed", lambda: f"the outage shows: {self.sink()}")
        self.assertGreater(self.sink()["waiting"], 0)
        cluster.set_down(False)
        self.wait_for_all(cluster)
        wait_until(lambda: self.sink()["state"] == "Success", "the outage is over")
        daemon.stop()
        self.assert_each_once(cluster, flows)

    def test_an_answer_that_was_lost_on_the_way_loses_nothing(self):
        cluster = KafkaCluster(self.lab, door={})
        daemon = self.begin(cluster.url())
        self.make_sessions(20000, 10)
        cluster.do("door.cut = 1")
        self.make_sessions(30000, 10)
        flows = self.witness.flows()
        self.wait_for_all(cluster)
        daemon.stop()
        # A broker knows the numbers of what it has and takes it once; the mock cluster does not look at them.
        first = {name: record for record in self.arrived(cluster) if (name := (record["session_id"], record["seq"]))}
        self.assert_agrees([r for r in first.values() if r["event"] != "gap"], flows)

    def test_after_kill_9_nothing_is_missing_and_at_most_a_batch_is_twice(self):
        cluster = KafkaCluster(self.lab, brokers=3)
        arguments = (cluster.url(), "--ledger", self.path("ledger"))
        daemon = self.begin(*arguments)
        traffic = threading.Thread(target=self.client.burst, args=("udp", SERVER4, 7000, 10000, 4000))
        traffic.start()
        kills = 2
        for _ in range(kills):
            wait_until(self.records_come, "records come")
            daemon.send_signal(signal.SIGKILL)
            daemon.wait_for_end(-signal.SIGKILL)
            daemon = self.begin(*arguments)
        traffic.join()
        self.witness.flows()
        # What a kill takes from memory is told as a gap; what the ledger has, the topic has.
        wait_until(lambda: self.sink()["waiting"] == 0, "all is delivered")
        daemon.stop()
        kept = [parse(line) for line in
                run(ctl.program(), "--ledger", self.path("ledger"), "export", "--format", "json").splitlines()]
        there = names(self.arrived(cluster))
        self.assertEqual(set(names(kept)) - set(there), set())
        # By session_id and seq a reader has each once.
        self.assertLessEqual(sum(there.values()) - len(there), kills * BATCH)

    def door_with_password(self):
        self.certificates = Certificates(self.folder)
        return KafkaCluster(self.lab, door={"certificate": self.certificates.crt("server"),
                                            "key": self.certificates.key("server"), "user": USER, "password": PASSWORD})

    def sasl(self, password, authority="ca"):
        return self.properties(
            "security.protocol=sasl_ssl\nsasl.mechanisms=PLAIN\n"
            f"sasl.username={USER}\nsasl.password={password}\nssl.ca.location={self.certificates.crt(authority)}\n")

    def test_a_wrong_password_is_told_and_the_right_one_needs_no_restart(self):
        cluster = self.door_with_password()
        daemon = self.begin(cluster.url(self.sasl("wrong")))
        self.make_sessions(20000, 20)
        self.wait_until_told("InvalidAccessKeyId", "who are you?")
        self.sasl(PASSWORD)
        daemon.send_signal(signal.SIGHUP)
        flows = self.witness.flows()
        self.wait_for_all(cluster)
        wait_until(lambda: self.sink()["state"] == "Success", "it is well")
        with open(f"/proc/{daemon.pid}/cmdline", encoding="utf-8") as file:
            self.assertNotIn(PASSWORD, file.read())
        daemon.stop()
        self.assertNotIn(PASSWORD, daemon.message_text())
        self.assert_each_once(cluster, flows)

    def test_a_quota_shows_as_a_state_and_nothing_is_twice(self):
        cluster = KafkaCluster(self.lab, door={})
        daemon = self.begin(cluster.url())
        cluster.do("door.hold_back = 300")
        self.make_sessions(20000, 20)
        self.wait_until_told("WriteQuotaExceed", "holds us back for 300ms")
        cluster.do("door.hold_back = 0")
        self.make_sessions(30000, 1)
        flows = self.witness.flows()
        self.wait_for_all(cluster)
        wait_until(lambda: self.sink()["state"] == "Success", lambda: f"it is well: {self.sink()}")
        daemon.stop()
        self.assert_each_once(cluster, flows)

    def test_a_topic_that_is_not_there_or_not_ours_is_told_until_it_is(self):
        cluster = KafkaCluster(self.lab)
        cluster.set_topic_error(UNKNOWN_TOPIC)
        options = self.properties("topic.metadata.propagation.max.ms=100\n")
        daemon = self.begin(cluster.url(options + "&suspend=1s&timeout=1s"))
        self.make_sessions(20000, 10)
        self.wait_until_told("LogStoreNotExist", "nknown topic")
        cluster.set_topic_error(TOPIC_AUTHORIZATION_FAILED)
        ports = iter(range(30000, 31000))

        def asked_again():
            self.make_sessions(next(ports), 1)  # something new for the test batch
            self.lab.conntrack("-L")
            return "Unauthorized" in self.sink()["message"]
        wait_until(asked_again, lambda: f"not ours: {self.sink()}")
        cluster.set_topic_error(0)
        self.make_sessions(40000, 1)
        flows = self.witness.flows()
        self.wait_for_all(cluster)
        daemon.stop()
        self.assert_each_once(cluster, flows)

    def test_a_check_says_what_is_wrong_in_its_words_and_ours(self):
        def check(url):
            _, out, err = run_to_end(self.lab, self.folder, "--check", "--sink", url)
            return out + err
        cluster = self.door_with_password()
        self.assertIn("topic nat has 4 partitions", check(cluster.url(self.sasl(PASSWORD))))
        told = check(cluster.url(self.sasl("wrong")))
        self.assertIn("InvalidAccessKeyId", told)
        self.assertIn("who are you?", told)
        self.assertNotIn("wrong", told)
        self.assertIn("certificate verify failed", check(cluster.url(self.sasl(PASSWORD, "stranger"))))
        os.chmod(self.path("kafka.properties"), 0o644)
        self.assertIn("chmod o-rwx", check(cluster.url(f"?properties_file={self.path('kafka.properties')}")))
        cluster.set_topic_error(UNKNOWN_TOPIC)
        self.assertIn("LogStoreNotExist: topic nat", check(cluster.url(self.sasl(PASSWORD))))
        self.assertIn("refused", check("kafka://127.0.0.1:9/nat"))
        cluster.set_topic_error(0)
        self.assertEqual(cluster.read(), [])  # nothing was written

    def test_without_librdkafka_only_kafka_sinks_are_refused(self):
        self.write("librdkafka.so.1", "")  # is found first, and is no library
        without = {"LD_LIBRARY_PATH": self.folder}
        status, _, told = run_to_end(self.lab, self.folder, "--sink", "stdout", "--sink", "kafka://127.0.0.1/nat",
                                     environment=without)
        self.assertEqual(status, MISSING, told)
        self.assertIn("install the package natsessiond-kafka", told)
        self.start(self.lab, "--sink", "stdout", environment=without).stop()


if __name__ == "__main__":
    main()
