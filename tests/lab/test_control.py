"""The control socket and natsessionctl, on a daemon that logs real traffic."""

import grp
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import urllib.parse

import ctl
from case import LabCase, main
from collector import HTTP_PORT, Collector
from daemon import MISSING, USAGE, ends, parse, read_records, run_to_end
from event_socket import event_sockets
from netlab import CLIENT4, CLIENT6, OUTER4, SERVER4, SERVER6, missing, run, wait_until

METRICS_PORT = 19435
STRANGER = 12345  # a user and group that nobody has
LONG = {"udp_timeout": 60, "udp_timeout_stream": 60}


class ControlTest(LabCase):
    def begin(self, *arguments, **sysctls):
        self.make_hosts(**sysctls)
        self.control = self.path("control.sock")
        self.daemon = self.start(self.lab, "--control", self.control, *arguments)

    def ask(self, *arguments, status=0):
        return ctl.ask("--control", self.control, *arguments, status=status)

    def http(self, method, target):
        return ctl.request(self.control, method, target)

    def scrape(self, path="/metrics"):
        """(status, body) of a request over TCP, from inside the NAT box."""
        run(*self.lab.enter(self.lab.nat), "ip", "link", "set", "lo", "up")
        script = ("import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1])); "
                  "c.request('GET', sys.argv[2]); r = c.getresponse(); print(r.status); print(r.read().decode(), end='')")
        out = run(*self.lab.enter(self.lab.nat), sys.executable, "-c", script, METRICS_PORT, path)
        code, body = out.split("\n", 1)
        return int(code), body

    def ask_as(self, user, *arguments, groups=()):
        """natsessionctl of somebody else: (status, stderr)."""
        groups = ["--groups", ",".join(map(str, groups))] if groups else ["--clear-groups"]
        done = subprocess.run(["setpriv", "--reuid", str(user), "--regid", str(user), *groups, ctl.program(), "--control",
                               self.control, *arguments], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr

    def session(self, source_port=0):
        """A whole session, until the kernel has told of its end."""
        source_port = self.client.session("tcp", SERVER4, 7000, source_port=source_port)
        self.lab.wait_for_expiry()
        return source_port

    def subscribed(self):
        """How many of the daemon's sockets are."""
        sockets = event_sockets(self.daemon.pid)
        for copy in sockets:
            copy.close()
        return len(sockets)

    def open_sessions(self, count, first_port=20000, destination=SERVER4):
        for port in range(first_port, first_port + count):
            self.client.open(str(port), "udp", destination, 7000, port)
            self.client.exchange(str(port), 100, 1000)

    # Status.

    def test_the_status_counts_what_happened(self):
        log = "file:" + self.path("log.json")
        self.begin("--sink", log)
        for _ in range(5):
            self.client.session("tcp", SERVER4, 7000)
        self.lab.wait_for_expiry()
        wait_until(lambda: len(ends(read_records(self.path("log.json")))) >= 5, "five records")
        wait_until(lambda: ctl.sink(self.control, log)["delivered"] >= 5, "five are counted")
        status = ctl.status(self.control)
        (collector,) = status["collectors"]
        self.assertTrue(status["logging_enabled"] and collector["ready"])
        self.assertGreaterEqual(collector["events"]["new"], 5)
        self.assertGreaterEqual(collector["events"]["destroy"], 5)
        self.assertEqual(collector["records"]["end"], 5)
        self.assertEqual(collector["live_sessions"], 0)
        self.assertEqual((collector["events_lost"], collector["gaps"]), (0, 1))  # that of the start
        self.assertEqual(ctl.sink(self.control, log)["state"], "Success")
        self.assertLess(abs(ctl.unix_time(status["now"]) - time.time()), 5)
        shown = self.ask("status")
        for text in ("logging is enabled", log, "Success", "ready"):
            self.assertIn(text, shown)

    def test_a_failure_of_a_sink_is_shown_within_a_second(self):
        self.make_hosts()
        self.control = self.path("control.sock")
        server = Collector(self.lab, self.folder, "http", HTTP_PORT)
        server.behave("401")
        self.daemon = self.start(self.lab, "--control", self.control, "--ledger", self.path("ledger"), "--linger", "100ms",
                                 "--sink", server.url, "--sink", "file:" + self.path("log.json"))
        self.session()
        failed = wait_until(lambda: (s := ctl.sink(self.control, server.url))["state"] == "Failed" and s, "the failure")
        self.assertLess(time.time() - ctl.unix_time(failed["last_failure_at"]), 1)
        self.assertIn("InvalidAccessKeyId", failed["code"] + failed["message"])
        self.assertIsNotNone(failed["suspended_until"])
        self.assertGreaterEqual(failed["waiting"], 1)
        self.assertEqual(ctl.sink(self.control, "file:")["state"], "Success")
        shown = self.ask("status")
        self.assertIn("InvalidAccessKeyId", shown)
        self.assertIn("suspended for", shown)

    def test_each_code_of_a_failure_is_shown(self):
        self.make_hosts()
        self.control = self.path("control.sock")
        server = Collector(self.lab, self.folder, "http", HTTP_PORT)
        base = f"http://127.0.0.1:{HTTP_PORT}/status/"
        codes = {base + "401": "InvalidAccessKeyId", base + "403/anonymous": "ProjectForbidden", base + "404": "LogStoreNotExist",
                 base + "403/known": "Unauthorized", "exec:/nowhere/to/be/found": "ProjectNotExist",
                 base + "429/all": "WriteQuotaExceed", base + "429/ShardWriteQuotaExceed": "ShardWriteQuotaExceed"}
        sinks = [sink + ("?token_env=TOKEN" if sink.endswith("known") else "") for sink in codes]
        self.daemon = self.start(self.lab, "--control", self.control, "--ledger", self.path("ledger"), "--linger", "100ms",
                                 "--sync", "100ms", *(word for sink in [*sinks, server.url] for word in ("--sink", sink)),
                                 environment={"TOKEN": "secret"})
        self.session()
        for sink, code in codes.items():
            with self.subTest(code=code):
                failed = wait_until(lambda name=sink: (s := ctl.sink(self.control, name)) and s["state"] == "Failed" and s,
                                    lambda name=sink: f"a failure: {ctl.sink(self.control, name)}")
                self.assertIn(code, failed["code"] + ": " + failed["message"])
                suspended = "QuotaExceed" not in code
                self.assertEqual(failed["code"] == "UnavailableTarget", suspended, failed)
                self.assertNotIn("secret", str(failed))
        self.assertEqual(ctl.sink(self.control, server.url)["state"], "Success")

    # Enable and disable.

    def test_disabled_logging_has_no_subscription_and_makes_no_record(self):
        self.begin("--ledger", self.path("ledger"))
        log = lambda: ctl.ledger_lines(self.path("ledger"))
        self.session(20001)
        wait_until(lambda: any('"pri_port":20001' in line for line in log()), "the first session")
        self.assertEqual(self.subscribed(), 1)

        self.assertIn("logging is disabled", self.ask("disable"))
        wait_until(lambda: self.subscribed() == 0, "no socket is subscribed")
        self.assertFalse(ctl.status(self.control)["logging_enabled"])
        self.session(20002)

        self.ask("enable")
        wait_until(lambda: self.subscribed() == 1, "a socket is subscribed again")
        wait_until(lambda: ctl.collector(self.control)["ready"], "the collector is ready")
        self.session(20003)
        wait_until(lambda: any('"pri_port":20003' in line for line in log()), "the third session")
        self.assertFalse(any('"pri_port":20002' in line for line in log()))
        self.assertTrue(any('"pri_port":20001' in line for line in log()), "nothing is deleted")
        self.daemon.stop()

    def test_a_disabled_sink_gets_what_waited_when_it_is_enabled(self):
        quiet, loud = "file:" + self.path("quiet.json"), "file:" + self.path("loud.json")
        self.begin("--ledger", self.path("ledger"), "--linger", "100ms", "--sink", quiet, "--sink", loud)
        self.assertIn(f"sink {quiet} is disabled", self.ask("disable", quiet))
        self.session()
        wait_until(lambda: len(ends(read_records(self.path("loud.json")))) == 1, "the other sink's record")
        self.assertFalse(ctl.sink(self.control, quiet)["enabled"])
        self.assertEqual(ends(read_records(self.path("quiet.json"))), [])
        self.ask("enable", quiet)
        wait_until(lambda: len(ends(read_records(self.path("quiet.json")))) == 1, "what waited")
        self.ask("disable", "file:/no/such/sink", status=USAGE)

    # Metrics.

    def test_the_metrics_are_clean_and_agree_with_the_kernel(self):
        self.begin("--ledger", self.path("ledger"), "--sink", "stdout", "--metrics", f"127.0.0.1:{METRICS_PORT}", **LONG)
        self.open_sessions(7)
        self.open_sessions(3, destination=SERVER6)
        def told():
            return {name: float(value) for name, _, value in (line.rpartition(" ") for line in self.scrape()[1].splitlines()
                                                              if not line.startswith("#"))}
        wait_until(lambda: told().get("natsession_live_sessions") == 10, lambda: f"ten sessions: {told()}")
        ports = f'natsession_snat_ports_in_use{{nat_ip="{OUTER4}",protocol="udp"}}'
        wait_until(lambda: told().get(ports) == 7, lambda: f"seven ports: {told()}", seconds=10)
        metrics = told()
        self.assertEqual(metrics["natsession_logging_enabled"], 1)
        self.assertGreaterEqual(metrics['natsession_events_total{type="new"}'], 10)
        self.assertEqual(metrics["natsession_ledger_writable"], 1)
        self.assertEqual(metrics['natsession_sink_up{sink="stdout"}'], 1)
        # One socket serves nothing else, the other has the same metrics.
        self.assertEqual([self.scrape(path)[0] for path in ("/", "/status", "/sessions")], [404] * 3)
        status, local = self.http("GET", "/metrics")
        self.assertEqual(status, 200)
        names = lambda text: {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
        self.assertEqual(names(local), names(self.scrape()[1]))
        try:
            done = subprocess.run(["promtool", "check", "metrics"], input=local, capture_output=True, text=True)
        except FileNotFoundError:
            missing("promtool: ./packaging/install-deps.sh --tests")
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    # Live sessions.

    def test_sessions_are_listed_by_every_filter_as_the_kernel_has_them(self):
        self.begin("--sink", "stdout", **LONG)
        self.open_sessions(4, first_port=20000)
        self.open_sessions(2, first_port=20002, destination=SERVER6)
        self.client.open("tcp", "tcp", SERVER4, 7000, 30000)
        self.client.exchange("tcp", 10, 10)

        def listed(*filters):
            answer = json.loads(self.ask("--json", "sessions", *filters))
            return sorted((s["protocol"], s["pri_ip"], s["pri_port"]) for s in answer["sessions"])
        four = [(17, CLIENT4, port) for port in range(20000, 20004)]
        six = [(17, CLIENT6, port) for port in (20002, 20003)]
        tcp = [(6, CLIENT4, 30000)]
        wait_until(lambda: listed() == tcp + four + six, lambda: f"all seven: {listed()}")
        self.assertEqual(listed("--protocol", "udp"), four + six)
        self.assertEqual(listed("--protocol", "6"), tcp)
        self.assertEqual(listed("--pri", CLIENT6), six)
        self.assertEqual(listed("--pri", "10.64.0.0/16"), tcp + four)
        self.assertEqual(listed("--pri", ":20002"), four[2:3] + six[:1])
        self.assertEqual(listed("--pri", f"{CLIENT4}:20002"), four[2:3])
        self.assertEqual(listed("--pri", f"[{CLIENT6}]:20002"), six[:1])
        self.assertEqual(listed("--nat", OUTER4, "--protocol", "tcp"), tcp)
        self.assertEqual(listed("--pub", f"{SERVER4}:7000"), tcp + four)
        self.assertEqual(listed("--pub", "10.0.0.0/8"), [])
        limited = json.loads(self.ask("--json", "sessions", "--limit", "3"))
        self.assertEqual((len(limited["sessions"]), limited["more"]), (3, True))

        (session,) = json.loads(self.ask("--json", "sessions", "--protocol", "tcp"))["sessions"]
        entry = self.lab.conntrack("-L", "-p", "tcp")
        self.assertIn(f"dst={session['nat_ip']} sport=7000 dport={session['nat_port']}", entry)
        self.assertEqual((session["pub_ip"], session["pub_port"]), (SERVER4, 7000))
        self.assertLess(session["age_seconds"], 60)
        self.assertIn("30000", self.ask("sessions", "--protocol", "tcp"))
        self.assertEqual(self.http("GET", "/sessions?nonsense=1")[0], 400)
        self.assertEqual(self.http("GET", "/sessions?pri_ip=" + urllib.parse.quote("10.0.0.0/8"))[0], 200)
        self.daemon.stop()

    # Who may ask.

    def test_the_socket_is_for_root_and_the_group_only(self):
        self.begin("--sink", "stdout")
        os.chmod(self.folder, 0o755)
        there = os.stat(self.control)
        self.assertTrue(stat.S_ISSOCK(there.st_mode))
        self.assertEqual(stat.S_IMODE(there.st_mode), 0o660)
        try:
            group = grp.getgrnam("natsession").gr_gid
        except KeyError:
            group = os.getgid()
        self.assertEqual(there.st_gid, group)

        status, told = self.ask_as(STRANGER, "status")
        self.assertEqual(status, MISSING)
        self.assertIn("permission denied: it is for root", told)
        self.assertEqual(self.ask_as(STRANGER, "status", groups=[there.st_gid])[0], 0)
        # Where everybody may read, not everybody may change.
        os.chmod(self.control, 0o666)
        self.assertEqual(self.ask_as(STRANGER, "status")[0], 0)
        status, told = self.ask_as(STRANGER, "disable")
        self.assertEqual(status, MISSING)
        self.assertIn("changes are for root", told)
        self.assertTrue(ctl.status(self.control)["logging_enabled"])

    def test_its_group_asks_the_ledger_as_well_and_steering_takes_a_group_of_its_own(self):
        readers, steerers = (grp.getgrnam(name).gr_gid for name in ("users", "staff"))
        os.chmod(self.folder, 0o755)
        program = shutil.copy(ctl.program(), self.path("natsessionctl"))
        ledger = self.path("ledger")

        def ask(*arguments, groups=(readers,)):
            done = subprocess.run([program, "--control", self.control, *arguments], capture_output=True, text=True,
                                  timeout=60, user=STRANGER, group=STRANGER, extra_groups=list(groups))
            return done.returncode, done.stdout, done.stderr

        # One that is there already, and nobody else's to read.
        self.begin("--ledger", ledger, "--sync", "100ms")
        self.daemon.stop()
        self.assertNotEqual(os.stat(ledger).st_gid, readers)
        # Who may write there must not have root give away what lies elsewhere.
        outside = [self.write(name, "secret") for name in ("outside", "other")]
        os.link(outside[0], os.path.join(ledger, "linked"))
        os.symlink(outside[1], os.path.join(ledger, "pointed"))
        before = [(os.stat(path).st_gid, os.stat(path).st_mode) for path in outside]
        self.daemon = self.start(self.lab, "--ledger", ledger, "--sync", "100ms", "--control", self.control, "--window", "1s",
                                 "--control-group", "users", "--steer-group", "staff")
        self.session()
        wait_until(lambda: len(ctl.ledger_lines(ledger)) > 1, "a record in the ledger")
        self.assertEqual([(os.stat(path).st_gid, os.stat(path).st_mode) for path in outside], before)
        os.remove(os.path.join(ledger, "linked"))
        os.remove(os.path.join(ledger, "pointed"))
        for folder, _, names in os.walk(ledger):
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o2750, folder)
            for path in [folder, *(os.path.join(folder, name) for name in names)]:
                self.assertEqual(os.stat(path).st_gid, readers, path)
        for question in (("tail",), ("top",), ("sql", "SELECT count(*) FROM log"), ("export",), ("verify",), ("ports",),
                         ("status",), ("sessions",)):
            status, _, told = ask(*question)
            self.assertEqual(status, 0, f"{question}: {told}")
        self.assertIn("no such session", ask("trace", "203.0.113.1:9", "now")[1])
        status, _, told = ask("tail", "--ledger", ledger, groups=())
        self.assertEqual(status, MISSING, told)

        status, _, told = ask("disable")
        self.assertEqual(status, MISSING)
        self.assertIn("changes are for root, the daemon's own user and members of its --steer-group", told)
        self.assertEqual(ask("disable", groups=(readers, steerers))[0], 0)
        self.assertFalse(ctl.status(self.control)["logging_enabled"])

    def test_requests_that_are_wrong_are_told_so(self):
        self.begin("--sink", "stdout")
        self.assertEqual(self.http("GET", "/nowhere")[0], 404)
        self.assertEqual(self.http("POST", "/status")[0], 405)
        self.assertEqual(self.http("GET", "/disable")[0], 405)
        self.assertEqual(self.http("POST", "/disable?sink=nowhere")[0], 400)
        self.assertTrue(ctl.status(self.control)["logging_enabled"])

    def test_a_live_daemons_socket_is_refused_and_a_dead_ones_replaced(self):
        self.begin("--sink", "stdout")
        status, _, told = run_to_end(self.lab, self.folder, "--control", self.control)
        self.assertEqual(status, MISSING)
        self.assertIn(f"process {self.daemon.pid} listens there", told)
        self.daemon.stop(signal.SIGKILL, status=-signal.SIGKILL)
        self.assertTrue(os.path.exists(self.control))
        self.ask("status", status=MISSING)
        second = self.start(self.lab, "--control", self.control)
        self.assertTrue(ctl.collector(self.control)["ready"])
        second.stop()
        self.assertFalse(os.path.exists(self.control))

    # The ledger from outside.

    def test_tail_follows_what_is_written(self):
        self.begin("--ledger", self.path("ledger"), "--sink", "file:" + self.path("log.json"))
        self.session(20000)
        wait_until(lambda: len(ctl.ledger_lines(self.path("ledger"))) >= 1, "the first record")
        with open(self.path("tail.json"), "wb") as out:
            tail = subprocess.Popen([ctl.program(), "--control", self.control, "tail", "-f", "-n", "0"], stdout=out)
        self.lab.adopt(Killed(tail))
        # Until it shows the first, it may not have begun.
        def shown():
            return [record["pri_port"] for record in read_records(self.path("tail.json")) if record["event"] == "end"]
        ports = iter(range(20001, 20100))
        wait_until(lambda: self.session(next(ports)) and shown(), "a record")
        last = self.session(25000)
        wait_until(lambda: last in shown(), "the last record")
        self.assertNotIn(20000, shown())
        # What tail shows is what the sink got.
        wait_until(lambda: any(r["pri_port"] == last for r in ends(read_records(self.path("log.json")))), "the sink's")
        logged = [r for r in read_records(self.path("log.json"))]
        followed = read_records(self.path("tail.json"))
        self.assertEqual(followed, logged[-len(followed):])

    def test_tail_needs_no_daemon_and_verify_finds_the_ledger_sound(self):
        self.begin("--ledger", self.path("ledger"))
        for _ in range(3):
            self.client.session("tcp", SERVER4, 7000)
        self.lab.wait_for_expiry()
        wait_until(lambda: len(ctl.ledger_lines(self.path("ledger"))) >= 3, "three records")
        self.assertIn("sound", self.ask("verify"))
        self.daemon.stop()
        lines = ctl.ask("--ledger", self.path("ledger"), "tail", "-n", 2).splitlines()
        self.assertEqual(len(lines), 2)
        self.assertTrue(all(parse(line)["pri_ip"] == CLIENT4 for line in lines))
        header, *rows = ctl.ask("--ledger", self.path("ledger"), "tail", "--format", "csv").splitlines()
        self.assertTrue(header.startswith("instance,vpc_id,protocol"))
        self.assertEqual(len(rows), 3)
        self.assertIn("which ledger?", self.told("tail"))
        report = json.loads(ctl.ask("--json", "--ledger", self.path("ledger"), "verify"))
        self.assertEqual((report["sound"], report["records"]), (True, 3))

    def told(self, *arguments):
        """What natsessionctl says when nothing can be had."""
        done = subprocess.run([ctl.program(), "--control", self.control, *arguments], capture_output=True, text=True)
        self.assertEqual(done.returncode, MISSING)
        return done.stderr


class Killed:
    """A process that ends with the lab."""

    def __init__(self, process):
        self._process = process

    def close(self):
        self._process.kill()
        self._process.wait()


if __name__ == "__main__":
    main()
