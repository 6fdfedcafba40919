"""The sinks of OpenTelemetry, Loki and Elasticsearch, against servers that take what those take, and misbehave."""

import json

from case import LabCase, main
from collector_servers import PORT, CollectorServer
from daemon import RUNTIME_FAILURE
from netlab import wait_until
from witness import Witness

PLAN = ("503", "429", "kept_but_not_said", "500")


def nanoseconds(seconds):
    return round(seconds * 1000) * 10**6


class CollectorsTest(LabCase):
    def setUp(self):
        super().setUp()
        self.make_hosts()

    def run_into(self, url, service, plan=PLAN, sessions=200):
        """Real sessions into the sink and a file beside it. Returns the file's records and what the service kept."""
        server = CollectorServer(self.lab, self.folder, plan)
        witness = Witness(self.lab, self.folder)
        daemon = self.start(self.lab, "--sink", f"file:{self.path('log.json')}", "--sink", url, "--linger", "50ms",
                            "--time-format", "unix")
        self.make_sessions(20000, sessions)
        flows = witness.flows()
        wait_until(lambda: len(self.file_records()) >= sessions, lambda: f"{len(self.file_records())} records")
        daemon.stop()
        self.assert_agrees(self.file_records(), flows)
        return self.file_records(), server.kept(service)

    def lines(self):
        """Those of the file, with the gap record of the start."""
        with open(self.path("log.json"), encoding="utf-8") as file:
            return sorted(file.read().splitlines())

    def test_a_collector_of_opentelemetry_has_each_record(self):
        records, logs = self.run_into(f"otlp://127.0.0.1:{PORT}", "otlp")
        by_name = {}
        for log in logs:
            got = log["attributes"]
            if log["event"] != "natsession.gap":
                by_name[got["natsession.session_id"], got["natsession.seq"]] = log
        self.assertEqual({log["attributes"]["event.reason"] for log in logs if log["event"] == "natsession.gap"}, {"started"})
        self.assertEqual(set(by_name), {(r["session_id"], r["seq"]) for r in records})
        for record in records:
            log = by_name[record["session_id"], record["seq"]]
            got = log["attributes"]
            self.assertEqual(log["time"], nanoseconds(record["end_time"]))
            self.assertEqual(log["resource"]["service.instance.id"], record["instance"])
            self.assertEqual(log["event"], "natsession." + record["event"])
            self.assertIn(record["nat_ip"], log["body"])
            for name, field in (("source.address", "pri_ip"), ("source.port", "pri_port"), ("source.nat.ip", "nat_ip"),
                                ("source.nat.port", "nat_port"), ("destination.address", "pub_ip"),
                                ("destination.port", "pub_port"), ("source.bytes", "bytes_from_vpc"),
                                ("source.packets", "pkts_from_vpc"), ("destination.bytes", "bytes_from_pub"),
                                ("destination.packets", "pkts_from_pub"), ("network.iana_number", "protocol")):
                self.assertEqual(got.get(name), record[field], name)

    def test_loki_has_each_line(self):
        _, lines = self.run_into(f"loki://127.0.0.1:{PORT}?format=json", "loki")
        # A line that comes again is the same, so that Loki drops it.
        different = {(entry["time"], entry["line"]): entry for entry in lines}
        self.assertEqual(sorted(line for _, line in different), self.lines())
        for entry in different.values():
            record = json.loads(entry["line"])
            self.assertEqual(entry["time"], nanoseconds(record["end_time"]))
            self.assertEqual(entry["labels"], {"job": "natsession", "instance": record["instance"], "event": record["event"]})

    def test_elasticsearch_has_each_document_once(self):
        records, documents = self.run_into(f"elasticsearch://127.0.0.1:{PORT}/nat-log", "elasticsearch")
        self.assertEqual(len({document["_id"] for document in documents}), len(documents))
        by_name = {document["_id"]: document for document in documents if document["event.action"] != "gap"}
        self.assertEqual(len(documents) - len(by_name), 1, "the gap record of the start")
        self.assertEqual(set(by_name), {f"{r['session_id']}-{r['seq']}" for r in records})
        for record in records:
            got = by_name[f"{record['session_id']}-{record['seq']}"]
            for name, field in (("source.ip", "pri_ip"), ("source.nat.port", "nat_port"), ("destination.ip", "pub_ip"),
                                ("source.bytes", "bytes_from_vpc"), ("destination.bytes", "bytes_from_pub")):
                self.assertEqual(got.get(name), record[field], name)

    def test_credentials_that_are_refused_are_told_by_their_code(self):
        CollectorServer(self.lab, self.folder, ["401"] * 50)
        daemon = self.start(self.lab, "--sink", f"otlp://127.0.0.1:{PORT}", "--sink", f"file:{self.path('log.json')}")
        self.make_sessions(20000, 3)
        daemon.wait_for_message("InvalidAccessKeyId")
        daemon.stop(status=RUNTIME_FAILURE)


if __name__ == "__main__":
    main()
