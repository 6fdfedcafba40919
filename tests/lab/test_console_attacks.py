"""The console as its attackers see it: whoever is not let in gets nothing, and the daemon beside it never notices."""

import json
import os
import shlex
import shutil
import socket
import ssl
import subprocess
import time
import urllib.parse
from pathlib import Path

import ctl
from case import main
from certificates import Certificates
from console import Console, program, set_user
from netlab import run, wait_until
from surge import SURGER, VICTIM, SurgeCase, damage

SLOW, PATIENCE = 1000, 30


class AttackTest(SurgeCase):
    needs = ("openssl",)

    def begin_with_console(self, *arguments):
        self.begin("--sink", "stdout")
        self.records_made = self.make_the_surge()
        self.users = self.path("users")
        for name, role in (("lou", "look"), ("ada", "ask"), ("sam", "steer")):
            set_user(self.users, name, role, "correct horse")
        self.console = self.enterContext(Console(self.folder, "--ledger", self.ledger, "--control", self.control, "--users", self.users,
                                                 *arguments))

    def assert_unharmed(self):
        self.assertTrue(self.console.is_running())
        self.assertTrue(json.loads(ctl.run("--json", "--control", self.control, "status"))["logging_enabled"])
        self.session(SURGER, VICTIM, 100)
        before = len(self.records())
        self.lab.delete_flows("-p", "tcp")
        wait_until(lambda: len(self.records()) > before, "a session that ended meanwhile is logged")

    def test_without_a_login_or_with_a_forged_one_there_is_no_answer(self):
        self.begin_with_console()
        real = self.console.log_in("ada", "correct horse")
        name, token = real.split("=")
        forged = [None, f"{name}=", f"{name}={'0' * 64}", f"{name}={token[:-1]}", f"{name}={token}0", f"{name}={token.upper()}x", "=" + token]
        for cookie in forged:
            for path in ("status", "top", "trace?address=203.0.113.1:1&at=now", "export", "questions"):
                self.assertEqual(self.console.request("GET", f"/api/v1/{path}", **({"Cookie": cookie} if cookie else {})).status, 401, (cookie, path))
        self.assertEqual(self.console.ask("top", real, since="-1h").status, 200)
        self.console.request("POST", "/api/v1/logout", Cookie=real)
        self.assertEqual(self.console.ask("top", real, since="-1h").status, 401)
        self.assert_unharmed()

    def test_a_role_ends_where_it_ends(self):
        self.begin_with_console()
        look, ask = self.console.log_in("lou", "correct horse"), self.console.log_in("ada", "correct horse")
        self.assertEqual(self.console.ask("status", look).status, 200)
        self.assertEqual(self.console.ask("timeline", look, since="-1h").status, 200)
        for path, parameters in (("timeline", {"by": "pri_ip"}), ("top", {}), ("sessions", {}), ("trace", {"address": "203.0.113.1"}), ("export", {})):
            self.assertEqual(self.console.ask(path, look, **parameters).status, 403, path)
        self.assertEqual(self.console.ask("sql", look, "POST", "SELECT pri_ip FROM log").status, 403)
        for cookie in (look, ask):
            for path in ("disable", "enable", "flow-logs/create", "flow-logs/delete"):
                self.assertEqual(self.console.ask(path, cookie, "POST").status, 403, path)
        # A user who is removed is out at once.
        subprocess.run([program(), "user", "remove", "ada", "--users", self.users], check=True)
        self.assertEqual(self.console.ask("top", ask).status, 401)
        self.assert_unharmed()

    def test_passwords_cannot_be_guessed(self):
        self.begin_with_console()
        def guess(name, password):
            return self.console.request("POST", "/api/v1/login", json.dumps({"name": name, "password": password}), Content_Type="application/json").status
        self.assertEqual([guess("ada", f"guess {i}") for i in range(7)], [401] * 5 + [429] * 2)
        self.assertEqual(guess("ada", "correct horse"), 429)
        lines = [line for line in self.console.audited() if line["event"] == "login_failed"]
        self.assertEqual(len(lines), 5)  # who is made to wait does not fill the disk
        self.assertNotIn("guess", json.dumps(self.console.audited()))

    def test_another_site_cannot_ask_in_somebodys_name(self):
        self.begin_with_console()
        cookie = self.console.log_in("sam", "correct horse")
        host = self.console.url.split("//")[1]
        for fields in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}, {"Host": "evil.example"},
                       {"Host": f"evil.example:{host.split(':')[1]}"}, {"Host": ""}):
            for method, path in (("POST", "disable"), ("GET", "export"), ("POST", "login"), ("GET", "me")):
                answer = self.console.request(method, f"/api/v1/{path}", Cookie=cookie, **fields)
                self.assertEqual(answer.status, 403, (fields, path))
                self.assertNotIn("Access-Control-Allow-Origin", answer.fields)
        # Nor can its page show ours in a frame, or guess what ours has loaded.
        page = self.console.request("GET", "/")
        self.assertIn("frame-ancestors 'none'", page.fields["Content-Security-Policy"])
        self.assertEqual(page.fields["X-Content-Type-Options"], "nosniff")
        cookie = self.console.request("POST", "/api/v1/login", json.dumps({"name": "ada", "password": "correct horse"}),
                                      Content_Type="application/json").fields["Set-Cookie"]
        self.assertIn("HttpOnly", cookie)
        self.assertIn("SameSite=Strict", cookie)
        self.assert_unharmed()

    def test_no_question_writes_or_reads_a_file(self):
        self.begin_with_console()
        cookie = self.console.log_in("sam", "correct horse")
        before = {name: os.stat(os.path.join(root, name)).st_size for root, _, names in os.walk(self.ledger) for name in names}
        for statement in ("DELETE FROM log", "INSERT INTO log VALUES (1)", "DROP TABLE log", "CREATE TABLE x (a)", "PRAGMA writable_schema=1",
                          "ATTACH '/tmp/x.db' AS x", "SELECT load_extension('x')", "VACUUM INTO '/tmp/natsession-x'", "SELECT writefile('/tmp/x', 'y')",
                          "SELECT readfile('/etc/shadow')", "SELECT 1; DELETE FROM log", "WITH x AS (SELECT 1) DELETE FROM log"):
            answer = self.console.ask("sql", cookie, "POST", statement)
            self.assertEqual(answer.status, 400, (statement, answer.body))
        for path, parameters in (("export", {"output": "/tmp/natsession-x"}), ("timeline", {"svg": "/tmp/natsession-x"}), ("top", {"ledger": "/etc"}),
                                 ("trace", {"file": "/etc/shadow", "address": "1.2.3.4"}), ("top", {"by": "pri_ip --svg=/tmp/natsession-x"}),
                                 ("trace", {"address": "--file=/etc/shadow"}), ("status", {"control": "/tmp/x.sock"}), ("top", {"tz": "../../etc/shadow"})):
            self.assertEqual(self.console.ask(path, cookie, **parameters).status, 400, (path, parameters))
        self.assertFalse(os.path.exists("/tmp/natsession-x"))
        for name, size in before.items():
            self.assertTrue(any(name in names for _, _, names in os.walk(self.ledger)), name)
        # One that would take for ever, or all memory, ends.
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
        huge = "SELECT a.pri_ip, b.pri_ip, hex(randomblob(1000000)) FROM log a, log b, log c, log d ORDER BY 3"
        begun = time.monotonic()
        self.assertIn(self.console.ask("sql", cookie, "POST", huge).status, (400, 500, 503))
        connection = self.console.connection()
        connection.request("POST", "/api/v1/sql?question=endless", endless, {"Cookie": cookie})
        wait_until(lambda: [q for q in self.console.ask("questions", cookie).json()["questions"] if q["id"] == "endless"], "it runs")
        self.assertEqual(self.console.ask("questions/endless", cookie, "DELETE").status, 200)
        self.assertEqual(connection.getresponse().status, 503)
        connection.close()
        self.assertLess(time.monotonic() - begun, 60)
        self.assert_unharmed()

    def test_the_journal_is_told_who_asked_what(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
            journal.bind(self.path("journal"))
            journal.settimeout(PATIENCE)
            self.begin("--sink", "stdout")
            with Console(self.folder, "--ledger", self.ledger, journal=self.path("journal")) as console:
                console.ask("trace", address="203.0.113.9:7", at="now", reason="two\nlines")
                entry = journal.recv(65536).decode()
                self.assertIn("NATSESSION_USER=root\n", entry)
                self.assertIn("NATSESSION_WHAT=trace\n", entry)
                self.assertIn("NATSESSION_AUDIT=asked\n", entry)
                self.assertTrue(all("=" in line for line in entry.splitlines()), entry)
                # A journal that takes nothing keeps nobody waiting: the file is what counts.
                journal.close()
                self.assertEqual(console.ask("top", since="-1h").status, 200)
            self.assertEqual([line["what"] for line in console.audited() if line["event"] == "asked"], ["trace", "top"])

    def test_a_closed_connection_ends_the_question(self):
        self.begin_with_console()
        cookie = self.console.log_in("ada", "correct horse")
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
        connection = self.console.connection()
        connection.request("POST", "/api/v1/sql", endless, {"Cookie": cookie})
        questions = lambda: self.console.ask("questions", cookie).json()["questions"]
        wait_until(questions, "the question runs")
        connection.close()
        wait_until(lambda: not questions(), "the question has ended")
        wait_until(lambda: self.console.audited()[-1].get("outcome") == "cancelled", "the audit log says so")
        wait_until(lambda: "natsess-questio" not in run("ps", "-eo", "comm"), "its process is gone")

    def test_oversized_and_broken_requests_are_refused(self):
        self.begin_with_console()
        cookie = self.console.log_in("ada", "correct horse")
        self.assertEqual(self.console.request("POST", "/api/v1/sql", Cookie=cookie, Content_Length=str(9 << 20)).status, 413)
        address = urllib.parse.urlsplit(self.console.url)
        for sent in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 100_000, b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
                     b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
                     b"POST /api/v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
                     b"POST /api/v1/sql HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n" + b"x" * 200_000,
                     b"GET /api/v1/top?by=%00 HTTP/1.1\r\nHost: localhost\r\nCookie: " + cookie.encode() + b"\r\n\r\n"):
            with socket.create_connection((address.hostname, address.port), timeout=PATIENCE) as peer:
                try:
                    peer.sendall(sent)
                    peer.shutdown(socket.SHUT_WR)
                    while peer.recv(65536):
                        pass
                except OSError:
                    pass  # refused before all was sent
        self.assert_unharmed()

    def test_a_thousand_slow_connections_keep_nobody_waiting(self):
        self.begin_with_console()
        cookie = self.console.log_in("ada", "correct horse")
        address = urllib.parse.urlsplit(self.console.url)
        slow = []
        for _ in range(SLOW):
            peer = socket.socket()
            peer.setblocking(False)
            try:
                peer.connect((address.hostname, address.port))
            except BlockingIOError:
                pass
            slow.append(peer)
        for peer in slow:
            try:
                peer.send(b"GET /api/v1/to")
            except OSError:
                pass
        begun = time.monotonic()
        answer = wait_until(lambda: self.patient(cookie), "an answer in the crowd")
        waited = time.monotonic() - begun
        print(f"answered after {waited:.1f} s beside {SLOW} slow connections, {self.console.memory() >> 20} MiB", flush=True)
        self.assertEqual(answer.status, 200)
        self.assertLess(waited, 20)
        for peer in slow:
            peer.close()
        self.assert_unharmed()

    def test_who_asks_and_reads_nothing_holds_no_place_for_long(self):
        self.begin_with_console()
        cookie = self.console.log_in("ada", "correct horse")
        address = urllib.parse.urlsplit(self.console.url)
        stalled = []
        for _ in range(300):
            peer = socket.socket()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
            peer.settimeout(PATIENCE)
            peer.connect((address.hostname, address.port))
            peer.sendall(b"GET /chart.js HTTP/1.1\r\nHost: localhost\r\n\r\n")
            stalled.append(peer)
        answer = wait_until(lambda: self.patient(cookie), "an answer beside those who read nothing")
        self.assertEqual(answer.status, 200)
        for peer in stalled:
            peer.close()
        self.assert_unharmed()

    def test_a_large_body_is_taken_of_nobody_who_may_not_send_one(self):
        self.begin_with_console()
        ask, look = self.console.log_in("ada", "correct horse"), self.console.log_in("lou", "correct horse")
        large = {"Content_Length": str(7 << 20)}
        for method, path, fields in (("POST", "login", {}), ("POST", "sql", {}), ("POST", "sql", {"Cookie": look}), ("GET", "top", {"Cookie": ask}),
                                     ("POST", "sql", {"Cookie": ask, "Origin": "http://evil.example"})):
            self.assertEqual(self.console.request(method, f"/api/v1/{path}", **large, **fields).status, 413, (path, fields))
        statement = "SELECT count(*) AS n FROM log" + " " * 100_000
        self.assertEqual(self.console.ask("sql", ask, "POST", statement).status, 200)

    def test_the_audit_log_says_exactly_what_was_asked(self):
        self.begin_with_console()
        cookie = self.console.log_in("ada", "correct horse")
        self.console.ask("top", cookie, where="x' '--pri=10.0.0.1", tz="Asia/Kolkata")
        (asked,) = (line for line in self.console.audited() if line["event"] == "asked")
        self.assertEqual(shlex.split(asked["asked"]), ["top", "--where=x' '--pri=10.0.0.1"])
        self.assertEqual(asked["time_zone"], "Asia/Kolkata")
        self.assertEqual(self.console.ask("top", cookie, tz="Nowhere/City").status, 400)
        rows = self.console.ask("trace", cookie, "POST", "nat,time\n203.0.113.1:7,now\n203.0.113.1:8,now\n").json()
        self.assertEqual(len(rows), 2)
        wait_until(lambda: self.console.audited()[-1].get("rows") == 2, "both are counted")

    def test_what_an_answer_in_lines_lacks_is_told_behind_it(self):
        self.begin_with_console()
        cookie = self.console.log_in("ada", "correct horse")
        connection = self.console.connection()
        connection.request("GET", "/api/v1/export?since=-3d", headers={"Cookie": cookie, "TE": "trailers"})
        answer = connection.getresponse()
        self.assertEqual(answer.getheader("Trailer"), "Natsession-Warnings")
        self.assertGreater(len(answer.read().splitlines()), 50)
        connection.close()
        wait_until(lambda: "not known whether this is all" in self.console.audited()[-1].get("warnings", ""), "the audit log has it, too")
        # So it is behind CSV, also where nothing was found of what was asked in a list.
        listed = self.console.ask("trace", cookie, "POST", "nat,time\n203.0.113.1:7,now\n", format="csv")
        self.assertEqual((listed.status, len(listed.body.splitlines())), (200, 2))
        # None is no line.
        none = self.console.ask("export", cookie, since="-1h", pri="192.0.2.77")
        self.assertEqual((none.status, none.body), (200, b""))

    def test_damage_that_an_answer_in_lines_cannot_tell_stands_behind_it(self):
        self.begin_with_console()
        self.daemon.stop()
        damaged = Path(self.path("damaged"))
        shutil.copytree(self.ledger, damaged)
        damage(damaged)
        with Console(self.folder, "--ledger", damaged) as console:
            told = run("curl", "-sS", "--raw", "--data-binary", "SELECT pri_ip FROM log", f"{console.url}/api/v1/sql?format=csv")
            self.assertRegex(told, "Natsession-Warnings: .*damaged")
            self.assertTrue(console.ask("sql", method="POST", body="SELECT pri_ip FROM log").json()["damage"])
            wait_until(lambda: any("damaged" in line.get("warnings", "") for line in console.audited()), "the audit log tells why")

    def test_the_end_of_the_process_that_answers_ends_the_console(self):
        self.begin_with_console()
        run("pkill", "-9", "-P", str(self.console.pid), "-f", "natsession-console")
        wait_until(lambda: not self.console.is_running(), "it ends, so that its service is started again")
        self.assertEqual(self.console.stop(), 1)

    def patient(self, cookie):
        try:
            return self.console.ask("top", cookie, since="-1h")
        except OSError:  # hurried away with the crowd
            return None

    def test_over_tls_cookies_stay_there_and_the_certificate_is_checked(self):
        certificates = Certificates(self.folder)
        self.begin_with_console("--listen", "0.0.0.0:0", "--tls-cert", certificates.crt("server"), "--tls-key", certificates.key("server"))
        cookie = self.console.log_in("ada", "correct horse")
        self.assertTrue(cookie.startswith("__Host-"))
        self.assertEqual(self.console.ask("top", cookie, since="-1h").json()["rows"][0]["pri_ip"], SURGER)
        address = urllib.parse.urlsplit(self.console.url)
        context = ssl.create_default_context(cafile=certificates.crt("ca"))
        with socket.create_connection((address.hostname, address.port), timeout=PATIENCE) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as secured:
                self.assertIn(secured.version(), ("TLSv1.2", "TLSv1.3"))
        for version, status in (("-tls1", 1), ("-tls1_1", 1), ("-tls1_2", 0)):
            done = subprocess.run(["openssl", "s_client", "-connect", f"{address.hostname}:{address.port}", version, "-cipher", "DEFAULT@SECLEVEL=0"],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
            self.assertEqual(done.returncode, status, (version, done.stdout[-500:], done.stderr[-500:]))
        self.assertIn("max-age", self.console.request("GET", "/").fields["Strict-Transport-Security"])
        # Without it there is no password, and no key of somebody else's either.
        done = subprocess.run([program(), "--listen", "0.0.0.0:0", "--users", self.users], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("passwords take TLS", done.stderr)
        done = subprocess.run([program(), "--listen", "127.0.0.1:0", "--audit", self.path("other"), "--tls-cert", certificates.crt("server"),
                               "--tls-key", certificates.key("ca")], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("certificate", done.stderr)

    def test_on_loopback_only_who_may_ask_the_log_is_answered(self):
        self.begin("--sink", "stdout")
        self.make_the_surge()
        os.chmod(self.folder, 0o755)
        self.console = self.enterContext(Console(self.folder, "--ledger", self.ledger, "--control", self.control, "--group", "daemon"))
        def as_user(user):
            done = subprocess.run(["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "curl", "-s", "-w", "\n%{http_code}",
                                   f"{self.console.url}/api/v1/top?since=-1h"], capture_output=True, text=True, check=True)
            return done.stdout.rsplit("\n", 1)
        body, status = as_user("games")
        self.assertEqual(status, "403", body)
        self.assertIn("games is not in the group daemon", body)
        body, status = as_user("daemon")
        self.assertEqual(status, "200", body)
        lines = self.console.audited()
        asked = [line for line in lines if line["event"] == "asked"]
        self.assertEqual([line["user"] for line in asked], ["daemon"])
        self.assertEqual(asked[0]["role"], "ask")
        # Who is refused stands there as well, but not each time: anybody could fill the disk so.
        as_user("games")
        refused = [line for line in self.console.audited() if line["event"] == "refused"]
        self.assertEqual([(line["user"], line["what"]) for line in refused], [("games", "top")])
        self.assertNotIn("role", refused[0])

    def test_where_it_cannot_listen_it_says_where_and_what_to_do(self):
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            held.listen()
            where = f"127.0.0.1:{held.getsockname()[1]}"
            for given, told in ((where, f"--listen: listen at {where}: bind: Address already in use; end what listens there, or give another one"),
                                ("unix:" + self.path("c.sock"), f"--listen unix:{self.path('c.sock')}: process {os.getpid()} listens there")):
                with socket.socket(socket.AF_UNIX) as local:
                    local.bind(self.path("c.sock"))
                    local.listen()
                    done = subprocess.run([program(), "--listen", given, "--audit", self.path("audit"), "--journal", ""], capture_output=True, text=True)
                os.unlink(self.path("c.sock"))
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(told, done.stderr)
                for other in ("control socket", "metrics", "daemon another"):
                    self.assertNotIn(other, done.stderr)


if __name__ == "__main__":
    main()
