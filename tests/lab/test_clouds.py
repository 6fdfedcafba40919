"""The sinks of the clouds' log services, against services that keep to the clouds' rules (cloud_services.py)."""

import os
import sqlite3
import time

import ctl
from case import LabCase, main
from cloud_server import PORT, CloudServer
from daemon import run_to_end
from netlab import SERVER4, wait_until

KEYS = {"id1": {"secret": "sesame"}}
CLOUD_FIELDS = ["instance", "vpc_id", "protocol", "pri_ip", "pri_port", "pub_ip", "pub_port", "nat_ip", "nat_port",
                "bytes_from_pub", "pkts_from_pub", "bytes_from_vpc", "pkts_from_vpc", "start_time", "end_time"]
# Both statements of the cloud's document "Traffic tracing through session logs", but for its masked address.
STATEMENTS = ("""select sum(bytes_from_vpc) as total_bytes, date_trunc('minute', __time__) as ts_min
                 from log where pub_ip = '%s' group by ts_min""",
              """select pri_ip, sum(bytes_from_vpc) as total_bytes, date_trunc('minute', __time__) as ts_min
                 from log where pub_ip = '%s' group by ts_min, pri_ip""")


class CloudCase(LabCase):
    """service: of cloud_services. url, options: of its sink. exists: what there is, from the outside in."""
    service = url = options = None
    exists = ()

    def setUp(self):
        super().setUp()
        self.make_watched_hosts()
        self.control = self.path("control.sock")
        self.first_port = 20000

    def serve(self, **state):
        self.server = CloudServer(self.lab, self.folder, self.service, **{"keys": KEYS, "exists": self.exists, **state})

    def sink_url(self, options=""):
        self.write("keys", "id1:sesame\n")
        os.chmod(self.path("keys"), 0o600)
        return f"{self.url}?tls=off&credentials_file={self.path('keys')}{self.options}{options}"

    def begin(self, options="", arguments=(), url=None, **how):
        return self.start(self.lab, "--sink", f"file:{self.path('log.json')}", "--sink", url or self.sink_url(options),
                          "--control", self.control, "--ledger", self.path("ledger"), *arguments, **how)

    def sessions(self, count=20):
        """They have ended when it returns."""
        self.client.burst("tcp", SERVER4, 7000, self.first_port, count)
        self.first_port += count
        self.lab.delete_flows("-p", "tcp")

    def seen(self):
        return ctl.sink(self.control, self.url.partition(":")[0])

    def wait_for_failure(self, code, since=0):
        """Within a second of the answer, of the requests from `since` on. Returns the sink's status."""
        def refused():
            return [request["at"] for request in self.server.requests()[since:] if request["code"]]

        def failed():
            seen = self.seen()
            if seen["state"] != "Failed" or not refused():
                return None
            told = seen["message"] or ""
            return seen if seen["code"] == code or told.startswith(f"delivery is suspended after {code}: ") else None
        seen = wait_until(failed, lambda: f"{code}: {self.seen()}")
        self.assertLess(time.time() - refused()[0], 1)
        return seen

    def arrived(self):
        return {(log["session_id"], log["seq"]) for log in self.server.logs() if log["event"] != "gap"}

    def wait_for_all(self):
        def wanted():
            return {(r["session_id"], str(r["seq"])) for r in self.file_records()}
        wait_until(lambda: wanted() and wanted() <= self.arrived(), lambda: f"{len(wanted())} records at the service")


class Common:
    """What holds for each of them."""

    def test_the_service_has_the_records_of_the_file_and_the_documents_statements_run(self):
        self.serve()
        daemon = self.begin()
        self.client.burst("tcp", SERVER4, 7000, self.first_port, 100)
        flows = self.witness.flows()
        self.wait_for_all()
        daemon.stop()
        records, logs = self.file_records(), [log for log in self.server.logs() if log["event"] != "gap"]
        self.assert_agrees(records, flows)
        self.assertEqual(len(logs), len(records), "none twice")
        by_name = {(log["session_id"], log["seq"]): log for log in logs}
        for record in records:
            log = by_name[record["session_id"], str(record["seq"])]
            self.assertEqual(log["__time__"], int(record["end_time"]))
            self.assertEqual({name: log.get(name) for name in CLOUD_FIELDS},
                             {name: None if record[name] is None else str(record[name]) for name in CLOUD_FIELDS})
        self.assert_statements_run(logs, records)

    def assert_statements_run(self, logs, records):
        database = sqlite3.connect(":memory:")
        database.create_function("date_trunc", 2, lambda unit, seconds: seconds // {"minute": 60}[unit] * 60)
        database.execute(f"create table log (__time__ integer, {', '.join(CLOUD_FIELDS)})")
        database.executemany(f"insert into log values (?{', ?' * len(CLOUD_FIELDS)})",
                             [[log["__time__"], *(log.get(name) for name in CLOUD_FIELDS)] for log in logs])
        total = sum(record["bytes_from_vpc"] for record in records)
        for statement in STATEMENTS:
            rows = database.execute(statement % SERVER4).fetchall()
            self.assertEqual(sum(row[-2] for row in rows), total)

    def test_a_batch_that_was_stored_and_not_confirmed_comes_again(self):
        self.serve(hangs_up=True)
        daemon = self.begin()
        self.sessions()
        wait_until(self.server.logs, "a batch is stored")
        self.server.set(hangs_up=False)
        self.wait_for_all()
        wait_until(lambda: self.seen()["waiting"] == 0, "all are confirmed")
        daemon.stop()

    def test_a_bad_record_stands_alone_in_the_dead_letters(self):
        self.serve()
        daemon = self.begin("&linger=1s", arguments=("--records", "start-end"))
        self.server.set(bad=["1"])
        self.sessions(3)
        wait_until(lambda: self.seen()["dead_lettered"] == 3, lambda: f"three ends: {self.seen()}")
        daemon.stop()
        self.assertEqual({log["event"] for log in self.server.logs() if log["event"] != "gap"}, {"start"})

    def test_each_refusal_is_seen_as_its_code_and_delivery_suspends_tests_once_and_resumes(self):
        self.serve()
        daemon = self.begin("&suspend=2s")
        self.sessions()
        self.wait_for_all()
        for code, state in self.refusals():
            with self.subTest(code=code, state=state):
                before = len(self.server.requests())
                self.server.set(**state)
                self.sessions()
                self.wait_for_failure(code, before)
                tries = len(self.server.requests()) - before
                self.sessions()
                wait_until(lambda: len(self.server.requests()) > before + tries, "a test batch")
                at = [request["at"] for request in self.server.requests()[before:]]
                self.assertGreater(at[tries] - at[tries - 1], 1.5)
                self.server.set(**{"keys": KEYS, "exists": self.exists, "forbidden": False, "quota": None})
                self.sessions()  # a test wants new data
                self.wait_for_all()
                wait_until(lambda: self.seen()["state"] == "Success", lambda: f"all is well: {self.seen()}")
        for code, quota in self.quotas():
            before = len(self.server.requests())
            self.server.set(quota=quota)
            self.sessions()
            self.wait_for_failure(code, before)
            self.server.set(quota=None)
            self.wait_for_all()
        daemon.stop()
        self.assertEqual(len(self.arrived()), len(self.server.logs()) - self.gaps(), "none twice")
        self.assertNotIn("sesame", daemon.message_text())

    def gaps(self):
        return sum(log["event"] == "gap" for log in self.server.logs())

    def test_a_clock_that_is_off_costs_one_request(self):
        self.serve(skew=16 * 60)
        daemon = self.begin()
        self.sessions()
        self.wait_for_all()
        daemon.wait_for_message("clock")
        daemon.stop()
        self.assertEqual([request["code"] for request in self.server.requests()].count(""), len(self.server.requests()) - 1)

    def test_records_that_are_too_old_for_the_services_clock_are_not_delivered(self):
        self.serve(skew=16 * 60)
        daemon = self.begin("&late_after=1m")
        self.sessions(5)
        self.wait_for_all()  # its clock is not known yet
        self.sessions(5)
        wait_until(lambda: self.seen()["dead_lettered"] == 5, lambda: f"they are set aside: {self.seen()}")
        seen = self.seen()
        daemon.stop()
        self.assertEqual((seen["state"], len(self.arrived())), ("Failed", 5))
        self.assertIn("does not keep such records", seen["message"])

    def test_records_that_are_too_old_are_sent_where_that_is_asked_for_and_are_not_counted_as_delivered(self):
        self.serve(skew=16 * 60)
        daemon = self.begin("&late_after=1m&late=send")
        self.sessions(5)
        self.wait_for_all()  # its clock is not known yet
        wait_until(lambda: self.seen()["waiting"] == 0, "all are confirmed")
        delivered = self.seen()["delivered"]
        self.sessions(5)
        wait_until(lambda: self.seen()["dead_lettered"] == 5, lambda: f"they are set aside: {self.seen()}")
        seen = self.seen()
        self.wait_for_all()
        daemon.stop()
        self.assertEqual((seen["state"], len(self.arrived())), ("Failed", 10))
        self.assertEqual(seen["delivered"], delivered)
        self.assertIn("sent, but not counted as delivered", seen["message"])

    def test_a_check_says_what_is_wrong_and_writes_nothing(self):
        self.serve()

        def check(options="", url=None):
            status, out, err = run_to_end(self.lab, self.folder, "--check", "--sink", url or self.sink_url(options))
            return out + err
        self.assertIn("accepted", check())
        for code, state in self.refusals():
            self.server.set(**state)
            self.assertIn(code + ": ", check())
            self.server.set(**{"keys": KEYS, "exists": self.exists, "forbidden": False, "quota": None})
        self.assertIn("connect", check(url=self.sink_url().replace(str(PORT), str(PORT + 100))))
        self.assertEqual(self.server.logs(), [])


class SlsTest(Common, CloudCase):
    service, url, options = "Sls", f"sls://127.0.0.1:{PORT}/p1/nat", "&region=cn-lab"
    exists = ("p1", "p1/nat")

    def refusals(self):
        return [("ProjectNotExist", {"exists": []}), ("LogStoreNotExist", {"exists": ["p1"]}),
                ("ProjectForbidden", {"forbidden": True}), ("InvalidAccessKeyId", {"keys": {}}),
                ("InvalidAccessKeyId", {"keys": {"id1": {"secret": "other"}}}),
                ("Unauthorized", {"keys": {"id1": {"secret": "sesame", "right": False}}})]

    def quotas(self):
        return [("WriteQuotaExceed", "project"), ("ShardWriteQuotaExceed", "shard")]

    def test_signature_1_and_zstd(self):
        self.serve()
        daemon = self.begin("&signature=v1&compress=zstd")
        self.sessions()
        self.wait_for_all()
        daemon.stop()
        request = self.server.requests()[0]
        self.assertTrue(request["headers"]["authorization"].startswith("LOG id1:"))
        self.assertEqual(request["headers"]["x-log-compresstype"], "zstd")

    def test_the_machines_role_signs_and_is_renewed_when_its_keys_have_expired(self):
        keys = {"STS.1": {"secret": "sesame", "token": "tok1"}}
        self.serve(keys=keys)
        url = f"{self.url}?tls=off&region=cn-lab&role=auto&metadata=http://127.0.0.1:{PORT}"
        daemon = self.begin(url=url)
        self.sessions()
        self.wait_for_all()
        self.server.set(keys={"STS.2": {"secret": "sesam", "token": "tok2"}, "STS.1": {**keys["STS.1"], "expired": True}})
        self.sessions()
        self.wait_for_all()
        wait_until(lambda: self.seen()["state"] == "Success", "it was no failure")
        daemon.stop()
        self.assertEqual(self.server.requests()[-1]["headers"]["x-acs-security-token"], "tok2")


class ClsTest(Common, CloudCase):
    service, url, options = "Cls", f"cls://127.0.0.1:{PORT}/topic-1", ""
    exists = ("logset", "topic-1")

    def refusals(self):
        return [("ProjectNotExist", {"exists": []}), ("LogStoreNotExist", {"exists": ["logset"]}),
                ("ProjectForbidden", {"forbidden": True}), ("InvalidAccessKeyId", {"keys": {}}),
                ("InvalidAccessKeyId", {"keys": {"id1": {"secret": "other"}}}),
                ("Unauthorized", {"keys": {"id1": {"secret": "sesame", "right": False}}})]

    def quotas(self):
        return [("ShardWriteQuotaExceed", "shard")]


class LtsTest(Common, CloudCase):
    service, url, options = "Lts", f"lts://127.0.0.1:{PORT}/project1/group1/stream1", ""
    exists = ("project1", "group1", "stream1")

    def refusals(self):
        return [("ProjectNotExist", {"exists": []}), ("LogStoreNotExist", {"exists": ["project1"]}),
                ("LogStoreNotExist", {"exists": ["project1", "group1"]}), ("InvalidAccessKeyId", {"keys": {}}),
                ("InvalidAccessKeyId", {"keys": {"id1": {"secret": "other"}}}),
                ("Unauthorized", {"keys": {"id1": {"secret": "sesame", "right": False}}})]

    def quotas(self):
        return [("WriteQuotaExceed", "project")]

    def test_a_token_of_iam_that_was_renewed_in_its_file_goes_on(self):
        self.serve(keys={"id1": {"secret": "x", "iam_token": "tok1"}})
        daemon = self.begin(url=f"{self.url}?tls=off&iam_token_file={self.write('token', 'tok1')}")
        self.sessions()
        self.wait_for_all()
        self.server.set(keys={"id1": {"secret": "x", "iam_token": "tok2"}})
        self.write("token", "tok2")
        self.sessions()
        self.wait_for_all()
        wait_until(lambda: self.seen()["state"] == "Success", "it was no failure")
        daemon.stop()


if __name__ == "__main__":
    main()
