"""Flow logs over other sinks than a file: each of the five records arrives with its names, as lines of text at a command, as JSON at
Kafka and an HTTP server, as names and values at the clouds' log services (servers that keep to the clouds' rules)."""

import json
import os

from case import LabCase, main
from cloud_server import PORT, CloudServer
from http_server import PORT as HTTP_PORT, HttpServer
from kafka_cluster import KafkaCluster
from netlab import CLIENT4, QUICK_TIMEOUTS, SERVER4, wait_until
from own_server import json_lines
from traffic import IP4_UDP

COMMON = "interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"
RECORDS = {
    "aws": f"version account-id {COMMON}",
    "tencent": f"version account-id {COMMON}",
    "huawei-v1": f"version project-id {COMMON}",
    "huawei-v2": f"version project-id {COMMON} direction tcp-flag region-id az-id vpc-id network-id",
    "alibaba": "version vswitch-id vm-id vpc-id account-id eni-id srcaddr srcport dstaddr dstport protocol direction packets bytes "
               "start tcp-flags end log-status action",
}
SENT, ANSWERED = IP4_UDP + 123, IP4_UDP + 456
KEYS = {"id1": {"secret": "sesame"}}


class FlowLogSinksTest(LabCase):
    def setUp(self):
        super().setUp()
        self.make_hosts(**QUICK_TIMEOUTS)
        self.write("keys", "id1:sesame\n")
        os.chmod(self.path("keys"), 0o600)

    def tell_one_session(self, record, destination, arrived, form="text"):
        """A session's four entries at `destination`, which arrived() has when it returns: [{name: text}]."""
        config = self.write("natsessiond.toml", 'account_id = "a7"\nregion_id = "north"\naz_id = "north-1"\nsink = ["stdout"]\n'
                            'network_id = ["10.64.0.0/24=net-in"]\nvm_id = ["10.64.0.2/32=vm-2"]\ninterface_id = ["inner=if-in"]\n'
                            f'[[flow_log]]\nname = "all"\nresource = "0.0.0.0/0"\nwindow = "2s"\nrecord = "{record}"\n'
                            f'format = "{form}"\ndestination = "{destination}"\n')
        self.lab.wait_for_expiry()
        daemon = self.start(self.lab, "--config", config)
        before = len(arrived())
        port = self.client.session("udp", SERVER4, 7000, 123, 456)
        self.lab.wait_for_expiry()
        wait_until(lambda: sum(e.get("log-status") == "OK" for e in arrived()[before:]) >= 4, lambda: f"four entries: {arrived()}")
        daemon.stop()
        return port, arrived()[before:]

    def assert_entries(self, record, port, entries):
        """Where a field does not apply there is nothing."""
        names = RECORDS[record].split()
        ok = [e for e in entries if e["log-status"] == "OK"]
        self.assertEqual(len(ok), 4)
        for entry in entries:
            self.assertLessEqual(entry.keys(), set(names))
            self.assertEqual(entry.get("version"), {"aws": "2", "tencent": "2", "huawei-v2": "2"}.get(record, "1"))
            self.assertEqual(entry.get("account-id", entry.get("project-id")), "a7")
            if entry["log-status"] != "OK":
                self.assertIsNone(entry.get("srcaddr"))
        first = next(e for e in ok if e["srcaddr"] == CLIENT4)
        wanted = {"srcaddr": CLIENT4, "srcport": str(port), "dstaddr": SERVER4, "dstport": "7000", "protocol": "17", "packets": "1",
                  "bytes": str(SENT), "action": "ACCEPT"}
        wanted["eni-id" if record == "alibaba" else "interface-id"] = "if-in"
        if record == "alibaba":
            wanted |= {"direction": "in", "tcp-flags": "0", "vswitch-id": "net-in", "vm-id": "vm-2"}
        if record == "huawei-v2":
            wanted |= {"direction": "ingress", "region-id": "north", "az-id": "north-1", "network-id": "net-in"}
        self.assertEqual({name: first.get(name) for name in wanted}, wanted)
        self.assertEqual(sorted(e["bytes"] for e in ok), sorted([str(SENT), str(SENT), str(ANSWERED), str(ANSWERED)]))
        self.assertLessEqual(int(first["start"]), int(first["end"]))

    def as_json(self, destination, arrived):
        """null where a field does not apply."""
        for record, names in RECORDS.items():
            with self.subTest(record=record):
                port, entries = self.tell_one_session(record, destination, arrived, form="json")
                self.assertEqual([names.split()] * len(entries), [list(e) for e in entries])
                self.assert_entries(record, port, [{name: str(value) for name, value in e.items() if value is not None}
                                                   for e in entries])

    def test_kafka(self):
        cluster = KafkaCluster(self.lab)
        self.as_json(cluster.url(), lambda: [json.loads(value) for _, _, value in cluster.read()])

    def test_http(self):
        server = HttpServer(self.lab, self.folder)
        self.as_json(f"http://127.0.0.1:{HTTP_PORT}/flows", lambda: json_lines(server.lines_path))

    def as_lines(self, destination, file):
        """Words with blanks between, `-` where a field does not apply."""
        def lines():
            if not os.path.exists(file):
                return []
            with open(file, encoding="utf-8") as opened:
                return [line.split(" ") for line in opened.read().splitlines()]
        for record, names in RECORDS.items():
            with self.subTest(record=record):
                port, entries = self.tell_one_session(
                    record, destination, lambda names=names: [dict(zip(names.split(), words)) for words in lines()])
                self.assertEqual({len(names.split())}, {len(words) for words in lines()[-len(entries):]})
                self.assert_entries(record, port, [{name: word for name, word in e.items() if word != "-"} for e in entries])

    def test_exec(self):
        os.chmod(self.folder, 0o777)
        self.as_lines(f"exec:cat >>{self.path('out')}", self.path("out"))

    def at_cloud(self, service, url, options, exists, form="text"):
        server = CloudServer(self.lab, self.folder, service, keys=KEYS, exists=exists)
        destination = f"{url}?tls=off&credentials_file={self.path('keys')}&linger=100ms{options}"
        for record in RECORDS:
            with self.subTest(record=record):
                def arrived():
                    return [{name: text for name, text in log.items() if not name.startswith("__")} for log in server.logs()]
                port, entries = self.tell_one_session(record, destination, arrived, form)
                self.assert_entries(record, port, entries)
        times = [(log["__time__"], log["end"]) for log in server.logs()]
        self.assertTrue(all(int(told) == int(end) for told, end in times), times)

    def test_sls(self):
        self.at_cloud("Sls", f"sls://127.0.0.1:{PORT}/p1/nat", "&region=cn-lab", ("p1", "p1/nat"))

    def test_cls(self):
        self.at_cloud("Cls", f"cls://127.0.0.1:{PORT}/topic-1", "", ("logset", "topic-1"))

    def test_lts(self):
        self.at_cloud("Lts", f"lts://127.0.0.1:{PORT}/project1/group1/stream1", "", ("project1", "group1", "stream1"),
                      form="json")


if __name__ == "__main__":
    main()
