"""The syslog sinks, against a real rsyslogd."""

import datetime
import os
import threading

from case import LabCase, main
from certificates import Certificates
from daemon import INSTANCE, RUNTIME_FAILURE
from netlab import SERVER4, wait_until
from syslog_server import TCP, TLS, TLS_CLIENTS, UDP, Rsyslog, key_of

LOCAL0, INFO = 16, 6


def as_fields(record):
    """A record as structured data should have it: every field that has a value, as it stands in JSON."""
    return {name: str(value) for name, value in record.items() if value is not None}


def utc_ms(seconds):
    time = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=int(seconds * 1000))
    return time.isoformat(timespec="milliseconds") + "Z"


class SyslogTest(LabCase):
    needs = ("openssl",)

    def setUp(self):
        super().setUp()
        self.make_watched_hosts()
        self.certificates = Certificates(self.folder)
        self.rsyslog = Rsyslog(self.lab, self.folder, self.certificates)

    def tls(self, port, *options):
        chosen = "&".join([f"ca={self.certificates.crt('ca')}", *options])
        return f"syslog+tls://127.0.0.1:{port}?{chosen}"

    def begin(self, *sinks):
        urls = [f"file:{self.path('log.json')}", *sinks]
        return self.start(self.lab, *(word for url in urls for word in ("--sink", url)))

    def assert_has_log(self, messages, records, exactly=True):
        """Every record of the file, in all its fields; twice only where that is allowed."""
        wanted = {(r["session_id"], str(r["seq"])): as_fields(r) for r in records}
        if exactly:
            self.assertEqual(len(messages), len(records))
        self.assertEqual({key_of(m) for m in messages}, set(wanted))
        for message in messages:
            self.assertEqual(message["fields"], wanted[key_of(message)])

    def test_every_transport_brings_every_field_of_every_record(self):
        client = [f"cert={self.certificates.crt('client')}", f"key={self.certificates.key('client')}"]
        daemon = self.begin(
            f"syslog:{self.rsyslog.socket}", f"syslog+udp://127.0.0.1:{UDP}", f"syslog+tcp://127.0.0.1:{TCP}",
            self.tls(TLS), self.tls(TLS_CLIENTS, *client))
        self.make_sessions(20000, pings=20)
        flows = self.witness.flows()
        daemon.stop()
        records = self.file_records()
        self.assert_agrees(records, flows)
        for name in ("imuxsock", "imudp", "tcp", "tls", "tls-clients"):
            with self.subTest(input=name):
                self.assert_has_log(self.rsyslog.wait_for(len(records), name), records)

    def test_the_header_says_who_what_and_when(self):
        daemon = self.begin(f"syslog+tcp://127.0.0.1:{TCP}", f"syslog:{self.rsyslog.socket}?facility=daemon"
                            "&severity=notice&format=json")
        pid = daemon.pid
        self.client.session("udp", SERVER4, 7000, source_port=20000)
        self.witness.flows()
        daemon.stop()
        (record,) = self.file_records()
        (message,) = self.rsyslog.wait_for(1, "tcp")
        head = message["head"]
        self.assertEqual(head["pri"], str(LOCAL0 * 8 + INFO))
        self.assertEqual(head["host"], INSTANCE)
        self.assertEqual(head["application"], "natsessiond")
        self.assertEqual(head["process"], str(pid))
        self.assertEqual(head["message"], "end")
        self.assertEqual(message["time"], utc_ms(record["end_time"]))
        self.assertIn(f"pri_ip={record['pri_ip']} pri_port=20000 ", head["text"])
        (message,) = self.rsyslog.wait_for(1, "imuxsock")
        self.assertEqual(message["head"]["pri"], str(3 * 8 + 5))
        self.assertIn(f'"pri_ip":"{record["pri_ip"]}"', message["head"]["text"])

    def test_the_form_for_nat_logs_has_a_session_s_beginning_and_its_end(self):
        daemon = self.start(self.lab, "--sink", f"file:{self.path('log.json')}", "--records", "start-end",
                            "--sink", f"syslog+tcp://127.0.0.1:{TCP}?format=nat")
        self.make_sessions(20000, 20, pings=5)
        self.witness.flows()
        daemon.stop()
        records = self.file_records()
        messages = self.rsyslog.wait_for(len(records))

        def family(address):
            return "IPv6" if ":" in address else "IPv4"
        wanted = sorted(
            ({"start": "SADD", "end": "SDEL"}[r["event"]], "NAT", sorted({  # rsyslogd makes small letters of the names
                "ssubix": "0", "svlan": "0", "iatyp": family(r["pri_ip"]), "isaddr": r["pri_ip"],
                "isport": str(r["pri_port"]), "xatyp": family(r["nat_ip"]), "xsaddr": r["nat_ip"],
                "xsport": str(r["nat_port"]), "proto": str(r["protocol"]), "xdaddr": r["pub_ip"],
                "xdport": str(r["pub_port"])}.items())) for r in records)
        self.assertEqual(len(wanted), 2 * 45)
        self.assertEqual(sorted((m["head"]["message"], m["head"]["application"], sorted(m["fields"].items()))
                                for m in messages), wanted)

    def test_old_receivers_get_lines(self):
        daemon = self.begin(f"syslog+tcp://127.0.0.1:{TCP}?framing=newline")
        self.make_sessions(20000, pings=20)
        self.witness.flows()
        daemon.stop()
        self.assert_has_log(self.rsyslog.wait_for(len(self.file_records())), self.file_records())

    def test_a_receiver_that_is_restarted_misses_nothing(self):
        daemon = self.begin(f"syslog+tcp://127.0.0.1:{TCP}", self.tls(TLS), f"syslog:{self.rsyslog.socket}")
        traffic = threading.Thread(target=self.client.burst, args=("udp", SERVER4, 7000, 10000, 20000))
        traffic.start()
        for _ in range(3):
            seen = len(self.rsyslog.messages())
            wait_until(lambda: self.lab.conntrack("-L") is not None and len(self.rsyslog.messages()) > seen,
                       "records come")  # the list makes the kernel look for flows that have ended
            self.rsyslog.stop()
            self.rsyslog.start()
        traffic.join()
        flows = self.witness.flows()
        self.assertGreaterEqual(len(flows), 20000)
        wait_until(lambda: len(self.file_records()) >= len(flows), "the records in the file")
        # What rsyslogd had read it wrote when it was stopped; what it had not, its kernel refused with a reset.
        for name in ("tcp", "tls"):
            with self.subTest(input=name):
                self.assert_has_log(self.rsyslog.wait_for(len(flows), name), self.file_records(), exactly=False)
        daemon.stop()

    def test_a_receiver_that_reads_nothing_holds_up_neither_the_file_nor_its_return(self):
        daemon = self.begin(f"syslog+tcp://127.0.0.1:{TCP}?timeout=1s")
        self.make_sessions(9000, 10, pings=20)
        self.witness.flows()
        self.rsyslog.wait_for(40)
        self.rsyslog.freeze()
        for round_ in range(5):
            self.make_sessions(10000 + 100 * round_, pings=20)
        flows = self.witness.flows()
        wait_until(lambda: len(self.file_records()) == len(flows), lambda: f"{len(self.file_records())} of {len(flows)} in the file; " + daemon.message_text())
        self.assertLess(len(self.rsyslog.messages()), len(self.file_records()))
        self.rsyslog.thaw()
        self.assert_has_log(self.rsyslog.wait_for(len(self.file_records())), self.file_records(), exactly=False)
        daemon.stop()

    def assert_refused(self, url, *words):
        daemon = self.begin(url)
        self.make_sessions(20000, 10, pings=20)
        flows = self.witness.flows()
        for word in words:
            daemon.wait_for_message(word)
        daemon.stop(status=RUNTIME_FAILURE)
        self.assert_agrees(self.file_records(), flows)
        self.assertEqual(self.rsyslog.messages(), [])

    def test_a_server_that_nobody_vouches_for_gets_nothing(self):
        url = f"syslog+tls://127.0.0.1:{TLS}?ca={self.certificates.crt('stranger')}"
        self.assert_refused(url, "certificate of 127.0.0.1 is not accepted", "self-signed certificate in certificate chain")

    def test_a_client_without_a_certificate_is_told_that_it_was_refused(self):
        self.assert_refused(self.tls(TLS_CLIENTS), f"127.0.0.1:{TLS_CLIENTS}: ")

    def test_an_absent_local_socket_is_told(self):
        self.assert_refused("syslog:" + os.path.join(self.folder, "no-such-socket"), "is a syslog daemon running?")


if __name__ == "__main__":
    main()
