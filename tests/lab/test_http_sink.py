"""The http sink, against an HTTP server that also misbehaves."""

import os

import ctl
from case import LabCase, main
from certificates import Certificates
from daemon import MISSING, RUNTIME_FAILURE, USAGE, read_records, run_to_end
from http_server import PORT, HttpServer
from netlab import run, wait_until
from witness import Witness

URL = f"http://127.0.0.1:{PORT}/nat"


class HttpSinkTest(LabCase):
    needs = ("openssl",)

    def setUp(self):
        super().setUp()
        self.make_hosts()

    def serve(self, *plan, certificates=None):
        self.server = HttpServer(self.lab, self.folder, plan, certificates)

    def begin(self, url, **how):
        self.witness = Witness(self.lab, self.folder)
        return self.start(self.lab, "--sink", f"file:{self.path('log.json')}", "--sink", url, **how)

    def arrived(self):
        return read_records(self.server.lines_path)

    def wait_for_all(self):
        """Until each record of the file has arrived. Returns what has."""
        def keys(records):
            return {(r["session_id"], r["seq"]) for r in records}
        wait_until(lambda: keys(self.file_records()) <= keys(self.arrived()), lambda: f"{len(self.file_records())} records at the server")
        return self.arrived()

    def test_the_server_has_the_records_of_the_file(self):
        self.serve()
        daemon = self.begin(URL)
        self.make_sessions(20000)
        flows = self.witness.flows()
        daemon.stop()
        self.assert_agrees(self.file_records(), flows)
        self.assertEqual(self.arrived(), self.file_records())
        for request in self.server.requests():
            self.assertEqual(request["path"], "/nat")
            self.assertEqual(request["headers"]["Content-Type"], "application/x-ndjson")
            self.assertEqual(request["headers"]["Content-Encoding"], "gzip")
            self.assertIn(f"records={request['lines']};", request["headers"]["X-NatSession-Batch"])

    def test_a_server_that_misbehaves_in_every_way_gets_each_record_once(self):
        plan = ["500", "429", "close", "half", "garbage", "silence", "503", "502"]
        self.serve(*plan)
        daemon = self.begin(URL + "?timeout=1s")
        self.make_sessions(20000)
        flows = self.witness.flows()
        self.wait_for_all()
        daemon.stop()
        self.assertEqual([request["deed"] for request in self.server.requests()][:len(plan)], plan)
        self.assert_agrees(self.arrived(), flows)

    def test_a_batch_whose_answer_was_lost_is_told_to_be_the_same(self):
        self.serve("kept_but_not_said")
        daemon = self.begin(URL)
        self.make_sessions(20000, 1)
        self.witness.flows()
        self.wait_for_all()
        daemon.stop()
        first, again = self.server.requests()[:2]
        if first["lines"] == again["lines"]:
            name = "X-NatSession-Batch"
            self.assertEqual(first["headers"][name], again["headers"][name])

    def test_over_tls_with_credentials_that_nobody_can_see(self):
        certificates = Certificates(self.folder)
        self.serve(certificates=certificates)
        self.write("headers", "X-Tenant: blue\n")
        url = f"https://127.0.0.1:{PORT}/?ca={certificates.crt('ca')}&token_env=TOKEN&headers_file={self.path('headers')}"
        daemon = self.begin(url, environment={"TOKEN": "sesame"})
        self.make_sessions(20000)
        self.witness.flows()
        with open(f"/proc/{daemon.pid}/cmdline", encoding="utf-8") as file:
            self.assertNotIn("sesame", file.read())
        daemon.stop()
        self.assertEqual(self.arrived(), self.file_records())
        for request in self.server.requests():
            self.assertEqual(request["headers"]["Authorization"], "Bearer sesame")
            self.assertEqual(request["headers"]["X-Tenant"], "blue")
        self.assertNotIn("sesame", daemon.message_text())

    def test_a_server_that_nobody_vouches_for_gets_nothing(self):
        certificates = Certificates(self.folder)
        self.serve(certificates=certificates)
        daemon = self.begin(f"https://127.0.0.1:{PORT}/?ca={certificates.crt('stranger')}")
        self.make_sessions(20000, 10)
        flows = self.witness.flows()
        daemon.wait_for_message("certificate")
        daemon.stop(status=RUNTIME_FAILURE)
        self.assert_agrees(self.file_records(), flows)
        self.assertEqual(self.server.requests(), [])

    def test_a_secret_on_the_command_line_is_refused(self):
        for url, shown in (("http://me:sesame@127.0.0.1/", "'http://me:***@127.0.0.1/'"),
                           ("http://127.0.0.1/?token=sesame", "'http://127.0.0.1/?token=***'")):
            status, out, told = run_to_end(self.lab, self.folder, "--sink", url)
            self.assertEqual(status, USAGE)
            self.assertEqual(out, "")
            self.assertIn("credentials_file=FILE", told)
            self.assertIn(shown, told)

    def test_without_libcurl_only_http_sinks_are_refused(self):
        self.write("libcurl.so.4", "")  # is found first, and is no library
        without = {"LD_LIBRARY_PATH": self.folder}
        status, _, told = run_to_end(self.lab, self.folder, "--sink", "stdout", "--sink", URL, environment=without)
        self.assertEqual(status, MISSING, told)
        self.assertIn("install the package libcurl4 (Debian", told)
        self.start(self.lab, "--sink", "stdout", "--control", self.path("control.sock"), environment=without)
        run("env", f"LD_LIBRARY_PATH={self.folder}", ctl.program(), "--control", self.path("control.sock"), "status")

    def test_a_file_of_headers_that_is_not_there_is_an_error_before_anything_begins(self):
        status, _, told = run_to_end(self.lab, self.folder, "--sink", "file:" + self.path("log.json"),
                                     "--sink", URL + "?headers_file=" + self.path("absent"))
        self.assertEqual(status, USAGE)
        self.assertIn(self.path("absent"), told)
        self.assertFalse(os.path.exists(self.path("log.json")), "nothing is started half")


if __name__ == "__main__":
    main()
