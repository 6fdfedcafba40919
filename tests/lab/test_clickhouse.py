"""The clickhouse sink and natsessionctl --store, against a real ClickHouse of long ago: the answers are the ledger's. By hand
against one of the present as well, see PresentClickHouse."""

import json
import signal
import subprocess
import time
import unittest

import ctl
from case import LabCase, main
from clickhouse_server import PORT, clickhouse_of_today
from console import Console
from daemon import run_to_end
from http_door import PORT as DOOR_PORT
from http_door import HttpDoor
from netlab import SERVER4, run, wait_until

ClickHouse = clickhouse_of_today()
TABLE = f"clickhouse://127.0.0.1:{PORT}/nat/sessions"
# In whose words something is missing, and of what it is told.
OF_THE_LEDGER = ("missing", "not", "summary", "covered_until", "warnings")


class ClickHouseCase(LabCase):
    maxDiff = None
    needs = ClickHouse.needs

    def setUp(self):
        super().setUp()
        self.make_hosts()
        self.clickhouse = ClickHouse(self.lab, self.folder)
        self.clickhouse.run_script(ctl.ask("clickhouse-schema", "--database", "nat", "--table", "sessions",
                                           "--server-version", ClickHouse.version))
        self.ledger, self.control = self.path("ledger"), self.path("control.sock")

    def begin(self, options="?linger=200ms", **how):
        return self.start(self.lab, "--ledger", self.ledger, "--control", self.control, "--sink", TABLE + options, **how)

    def make_ended_sessions(self, first_port, count, pings=0):
        """They end at once: the kernel lets go of silent ones in its own time."""
        self.make_sessions(first_port, count, pings)
        run(*self.lab.enter(self.lab.nat), "conntrack", "-F")

    def wait_for_all(self):
        """Until the table has as many records as the ledger."""
        def there():
            return int(self.clickhouse.ask("SELECT uniq(session_id, seq, end_time) FROM nat.sessions"))
        wait_until(lambda: there() == len(ctl.ledger_lines(self.ledger)) > 0,
                   lambda: f"{there()} of {len(ctl.ledger_lines(self.ledger))} records are in the table")

    def store(self, *words, status=0, url=TABLE):
        """natsessionctl --store, from the NAT box."""
        done = subprocess.run([*self.lab.enter(self.lab.nat), ctl.program(), "--store", url, *map(str, words)],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, status, (words, done.stdout[-300:], done.stderr[-1000:]))
        return done.stdout if status == 0 else done.stderr

    def assert_same_answer(self, *words, ledger=None, url=TABLE, proved=True):
        """Word for word, and proved alike: `complete` and the verdict are the ledger's."""
        def told(text):
            left = OF_THE_LEDGER + (() if proved else ("complete", "verdict"))
            return {name: value for name, value in json.loads(text).items() if name not in left}
        of_ledger = told(ctl.run("--ledger", ledger or self.ledger, "--control", self.path("nobody"), "--json", *words))
        done = subprocess.run([*self.lab.enter(self.lab.nat), ctl.program(), "--store", url, "--json", *map(str, words)],
                              capture_output=True, text=True, timeout=60)
        of_table = told(done.stdout)
        self.assertEqual(of_table, of_ledger, words)
        return of_table

    def assert_the_console_says_the_same(self, name, answer, **parameters):
        enter = self.lab.enter(self.lab.nat)
        with Console(self.folder, "--store", f"all={TABLE}", before=enter) as console:
            told = run(*enter, "curl", "-sS", "--get", f"{console.url}/api/v1/{name}?box=all",
                       *(word for key, value in parameters.items() for word in ("--data-urlencode", f"{key}={value}")))
            of_console = json.loads(told)
            self.assertEqual({key: of_console[key] for key in answer}, answer)

    def moment_that_is_proved(self, ledger, control):
        """A moment of which the daemon can say that there was no session."""
        moment = time.time()
        wait_until(lambda: ctl.verdict(ledger, control, "192.0.2.1:9", moment) == "no session", "the daemon has seen all that there was")
        return moment

    def wait_until_all_is_proved(self, table=TABLE, ledger=None, now=None):
        """Until the store proves as much as a ledger that was stopped in order."""
        words = ("trace", "--nat", "192.0.2.1:9", "--at", f"{now:.3f}", "--slack", "0s")
        asked = [ctl.program(), "--ledger", ledger or self.ledger, "--control", self.path("nobody"), "--json", *words]
        said = subprocess.run(asked, capture_output=True, text=True, timeout=60).stdout
        self.assertEqual(json.loads(said)["verdict"], "no session", said)
        self.wait_for_proof(now, table)


class ClickHouseTest(ClickHouseCase):
    def test_the_store_answers_as_the_ledger_does(self):
        daemon = self.begin("?linger=200ms&coverage=200ms")
        self.make_ended_sessions(20000, 50, pings=3)
        wait_until(lambda: len(ctl.ledger_lines(self.ledger)) >= 100, "the sessions are in the ledger")
        ctl.ask("--control", self.control, "disable")
        ctl.ask("--control", self.control, "enable")
        self.make_ended_sessions(21000, 20)
        wait_until(lambda: len(ctl.ledger_lines(self.ledger)) >= 141, "and their ends, and a gap")
        self.wait_for_all()
        between = self.moment_that_is_proved(self.ledger, self.control)
        daemon.stop()
        self.wait_for_all()
        # What the stop itself proved the next run may have to tell.
        daemon = self.begin("?linger=200ms&coverage=200ms")
        self.wait_until_all_is_proved(now=between)
        daemon.stop()
        self.wait_for_all()
        (record, *_) = [r for r in map(json.loads, ctl.ledger_lines(self.ledger)) if r["pri_port"] == 20007 and r["protocol"] == 6]
        nat = record["nat_ip"]
        answer = self.assert_same_answer("trace", "--nat", f"{nat}:{record['nat_port']}", "--at", f"{record['end_time']:.3f}")
        self.assertEqual(answer["candidates"][0]["pri_port"], 20007)
        for at in (between, between - 3600):
            nobody = self.assert_same_answer("trace", "--nat", "192.0.2.1:9", "--at", f"{at:.3f}", "--slack", "0s")
            self.assertEqual(nobody["verdict"], "no session" if at == between else "not covered")
        now = int(time.time())
        long = ("--since", now - 3600, "--until", now + 3600)
        for words in (("top", *long), ("top", "--by", "pub_port", "--by", "protocol", "--sum", "sessions", *long),
                      ("top", "--where", "protocol=udp", "--where", "pri_port=20000-20010", *long),
                      ("top", "--by", "event", "--where", "event!=interim", *long)):
            answer = self.assert_same_answer(*words)
            self.assertTrue(answer["rows"], words)
            self.assertTrue(answer["gaps"], "the gap is told")
        self.assert_same_answer("timeline", "--by", "protocol", "--since", now - 600, "--until", now + 60)
        self.assert_same_answer("ports", "--since", now - 600, "--until", now)
        self.assert_same_answer("gaps", "--since", now - 600, "--until", now)
        self.assert_the_console_says_the_same("top", answer=self.assert_same_answer("top", "--since", now - 600, "--until", now), since=now - 600, until=now)
        for statement in ("SELECT protocol, count(*), sum(bytes_from_vpc), min(pub_port) FROM log GROUP BY 1 ORDER BY 1",
                          "SELECT * FROM log WHERE event != 'gap' ORDER BY session_id, seq",
                          "SELECT reason, events_lost, log_status FROM log WHERE event = 'gap' ORDER BY end_time",
                          f"SELECT session_id FROM log WHERE nat_ip = '{nat}' AND in_prefix(pub_ip, '{SERVER4}/32') ORDER BY 1"):
            self.assertTrue(self.assert_same_answer("sql", statement)["rows"], statement)
        lines = sorted(self.store("export", *long).splitlines())
        self.assertEqual(lines, sorted(ctl.ask("--ledger", self.ledger, "export", *long).splitlines()))
        self.compare_sums(now)
        # Each batch once more, as a server that remembers none would have them: so ClickHouse's own sums are no good.
        self.clickhouse.ask("INSERT INTO nat.sessions SELECT * FROM nat.sessions")
        self.compare_sums(now)
        self.assertEqual(lines, sorted(self.store("export", *long).splitlines()))

    def compare_sums(self, now):
        """Questions whose sums ClickHouse makes, over whole hours and minutes and what is beside these."""
        for since, until in ((now - 7200, now + 7200), (now - 7200, now - 1)):
            times = ("--since", since, "--until", until)
            for by in ((), ("--by", "pri_ip"), ("--by", "pub_ip"), ("--by", "nat_ip"), ("--by", "protocol")):
                for where in ((), ("--where", "pri_ip=fd00::/8"), ("--where", "protocol=tcp"), ("--where", f"pub_ip!={SERVER4}")):
                    self.assert_same_answer("top", *by, *where, *times)
            for by in ("pub_port", "event", "tcp_state", "vpc_id", "reason"):
                for where in ((), ("--where", "pri_ip=fd00::/8,10.64.0.0/16"), ("--where", "event!=start", "--where", "pri_port=20001-20030"),
                              ("--where", "tcp_state!=ESTABLISHED"), ("--where", "pub_ip=::/0"), ("--where", "zone!=3")):
                    self.assert_same_answer("top", "--by", by, *where, *times)
                    self.assert_same_answer("top", "--by", by, "--by", "pri_ip", *where, *times)
            self.assert_same_answer("top", "--where", "protocol=udp", "--where", "event=end", *times)
            for more in ((), ("--by", "protocol"), ("--at-end",), ("--by", "protocol", "--where", "protocol!=6")):
                self.assert_same_answer("timeline", *more, *times)
        for statement in ("SELECT count(*), sum(bytes_from_vpc), count(pkts_from_pub) FROM log",
                          "SELECT pri_ip, count(*), sum(bytes_from_pub), avg(pkts_from_vpc) FROM log GROUP BY 1 ORDER BY 1",
                          "SELECT date_trunc('minute', __time__) m, protocol, count(*) FROM log GROUP BY 1, 2 ORDER BY 1, 2",
                          "SELECT nat_ip, count(*) FROM log WHERE nat_ip > '::' GROUP BY 1 ORDER BY 1",
                          "SELECT pub_port, event, count(*), sum(bytes_from_pub) FROM log GROUP BY 1, 2 ORDER BY 1, 2",
                          "SELECT tcp_state, count(*) FROM log WHERE protocol <> 17 GROUP BY 1 ORDER BY 1",
                          f"SELECT pri_ip, pri_port, sum(pkts_from_vpc) FROM log WHERE pub_ip = '{SERVER4}' GROUP BY 1, 2 ORDER BY 1, 2"):
            self.assert_same_answer("sql", statement)

    def test_two_boxes_in_one_table_answer_together_and_each_alone(self):
        boxes = {}
        for name in ("gw-1", "gw-10"):
            ledger = self.path(name)
            boxes[name] = ledger, self.start(self.lab, "--ledger", ledger, "--control", self.path(name + ".sock"),
                                             "--sink", TABLE + "?linger=200ms&coverage=200ms", instance=name)
        self.make_ended_sessions(20000, 20)
        for ledger, _ in boxes.values():
            wait_until(lambda: len(ctl.ledger_lines(ledger)) >= 40, "the sessions are in both ledgers")  # noqa: B023
        between = max(self.moment_that_is_proved(ledger, self.path(name + ".sock")) for name, (ledger, _) in boxes.items())
        for name, (ledger, daemon) in boxes.items():
            daemon.stop()
            daemon = self.start(self.lab, "--ledger", ledger, "--sink", TABLE + "?linger=200ms&coverage=200ms", instance=name)
            self.wait_until_all_is_proved(f"{TABLE}?instance={name}", ledger, between)
            daemon.stop()
        now = int(time.time())
        times = ("--since", now - 7200, "--until", now + 7200)
        totals = []
        for name, (ledger, _) in boxes.items():
            url = f"{TABLE}?instance={name}"
            for words in (("top", *times), ("top", "--by", "pri_ip", *times), ("timeline", *times),
                          ("sql", "SELECT instance, event, count(*) FROM log GROUP BY 1, 2 ORDER BY 1, 2"),
                          ("trace", "--nat", "192.0.2.1:9", "--at", f"{between:.3f}", "--slack", "0s")):
                answer = self.assert_same_answer(*words, ledger=ledger, url=url)
                if words == ("top", *times):
                    totals.append(answer["rows"][0])
        both = json.loads(self.store("--json", "top", *times))["rows"][0]
        self.assertEqual(both["sessions"], sum(total["sessions"] for total in totals))
        self.assertEqual(both["bytes_from_vpc"], sum(total["bytes_from_vpc"] for total in totals))
        self.assertEqual(self.verdict_of_nobody(between)[0], "no session", "both prove it")
        # A box that is behind proves nothing of now, and so nobody does.
        self.clickhouse.ask("INSERT INTO nat.sessions_coverage (instance, from_time, until_time, version, stream, window_ms) "
                            f"SELECT 'gw-2', 0, {self.clickhouse.time(between - 60)}, 1, 9, 600000")
        self.assertEqual(self.verdict_of_nobody(between)[0], "not covered")

    def verdict_of_nobody(self, at, url=TABLE):
        """Of a trace of an address that nobody had, and what is missing."""
        done = subprocess.run([*self.lab.enter(self.lab.nat), ctl.program(), "--store", url, "--json", "trace", "--nat", "192.0.2.1:9",
                               "--at", f"{at:.3f}", "--slack", "0s"], capture_output=True, text=True, timeout=60)
        answer = json.loads(done.stdout)
        return answer["verdict"], answer.get("missing", "")

    def wait_for_proof(self, at, url=TABLE):
        wait_until(lambda: self.verdict_of_nobody(at, url)[0] == "no session", lambda: str(self.verdict_of_nobody(at, url)))

    def test_a_store_denies_a_session_where_all_of_that_time_is_there(self):
        started = time.time()
        daemon = self.begin("?linger=200ms&coverage=200ms")
        self.make_ended_sessions(20000, 3)
        wait_until(lambda: len(ctl.ledger_lines(self.ledger)) >= 6, "the sessions are in the ledger")
        self.wait_for_all()
        middle = time.time()
        self.make_ended_sessions(21000, 3)
        wait_until(lambda: self.clickhouse.ask(f"SELECT count() FROM nat.sessions_coverage WHERE until_time > {self.clickhouse.time(middle)}") > "0\n",
                   "what is proved is told while it runs")
        verdict, missing = self.verdict_of_nobody(middle)
        self.assertEqual(verdict, "not covered", "a session may be open and silent")
        self.assertIn("may have a record as late as", missing)
        self.assertTrue(json.loads(self.store("--json", "sql", "SELECT count(*) FROM log WHERE end_time > "
                                              f"{started + 1:.3f} AND end_time < {middle:.3f}"))["complete"])
        # A stop in order: what is open has its record. The server is away then, so the next run tells.
        self.clickhouse.stop()
        daemon.stop()
        self.clickhouse.start()
        self.assertEqual(self.verdict_of_nobody(middle)[0], "not covered")
        daemon = self.begin("?linger=200ms&coverage=200ms")
        self.wait_for_proof(middle)
        self.assertEqual(self.verdict_of_nobody(started - 60)[0], "not covered")
        self.assertEqual(ctl.verdict(self.ledger, self.path("nobody"), "192.0.2.1:9", middle), "no session", "as the ledger says")
        daemon.stop()
        # Another box has records there, and tells nothing.
        self.clickhouse.ask("INSERT INTO nat.sessions (instance, event, end_time) "
                            f"SELECT 'other', 'gap', {self.clickhouse.time(started)}")
        verdict, missing = self.verdict_of_nobody(middle)
        self.assertEqual(verdict, "not covered")
        self.assertIn("box 'other'", missing)
        name = json.loads(ctl.ledger_lines(self.ledger)[0])["instance"]
        self.wait_for_proof(middle, f"{TABLE}?instance={name}")

    def test_a_store_without_the_table_of_coverage_denies_no_session(self):
        self.clickhouse.ask("DROP TABLE nat.sessions_coverage")
        daemon = self.begin("?linger=200ms&coverage=200ms")
        self.make_ended_sessions(20000, 3)
        wait_until(lambda: len(ctl.ledger_lines(self.ledger)) >= 6, "the sessions are in the ledger")
        self.wait_for_all()
        middle = time.time()
        daemon.stop()
        verdict, missing = self.verdict_of_nobody(middle - 1)
        self.assertEqual(verdict, "not covered")
        self.assertIn("sessions_coverage", missing)

    def test_a_server_that_is_away_gets_each_record_once_when_it_is_back_also_after_a_kill(self):
        daemon = self.begin()
        self.make_ended_sessions(20000, 20)
        self.wait_for_all()
        self.clickhouse.stop()
        self.make_ended_sessions(21000, 20)
        wait_until(lambda: len(ctl.ledger_lines(self.ledger)) >= 80, "the sessions are in the ledger")
        wait_until(lambda: ctl.sink(self.control, "clickhouse")["state"] == "Failed", "the sink has failed")
        daemon.stop(signal.SIGKILL, status=-signal.SIGKILL)
        daemon = self.begin()
        self.clickhouse.start()
        self.wait_for_all()
        daemon.stop()
        self.wait_for_all()
        told = self.clickhouse.ask("SELECT count(), uniq(session_id, seq, end_time) FROM nat.sessions").split()
        self.assertEqual(told[0], told[1])

    @unittest.skipIf(ClickHouse.is_present, "it knows no users")
    def test_check_says_in_the_servers_words_what_is_wrong(self):
        def check(url, **environment):
            return run_to_end(self.lab, self.folder, "--check", "--sink", url, environment=environment)[1]
        self.assertIn("the table has all columns, and rows may be inserted", check(TABLE))
        self.assertIn("what is proved goes into sessions_coverage", check(TABLE))
        self.assertIn("LogStoreNotExist", check(TABLE + "2"))
        self.assertIn("Table nat.sessions2 doesn't exist", check(TABLE + "2"))
        self.assertIn("ProjectNotExist", check(TABLE.replace("/nat/", "/elsewhere/")))
        who = "?user_env=WHO&password_env=WORD"
        self.assertIn("InvalidAccessKeyId", check(TABLE + who, WHO="natbox", WORD="wrong"))
        self.assertIn("rows may be inserted", check(TABLE + who, WHO="natbox", WORD="sesame"))
        for user, code, told in (("reader", "ProjectForbidden", "readonly mode"), ("elsewhere", "Unauthorized", "Access denied"),
                                 ("few", "WriteQuotaExceed", "Quota")):
            said = check(TABLE + who, WHO=user, WORD="sesame")
            self.assertIn(code + ": ", said)
            self.assertIn(told, said)
        self.clickhouse.ask("CREATE TABLE nat.other (nat_ip String, instance String) ENGINE = Memory")
        self.assertIn("has no column vpc_id", check(TABLE.replace("sessions", "other")))
        self.assertEqual(self.clickhouse.ask("SELECT count() FROM nat.sessions"), "0\n")
        self.assertIn("LogStoreNotExist", self.store("top", status=3, url=TABLE + "2"))
        self.assertIn("does not ask a store", self.store("status", status=2))

    @unittest.skipIf(ClickHouse.is_present, "it knows no users")
    def test_who_may_not_write_is_seen_as_its_code_and_delivery_goes_on_when_it_may(self):
        daemon = self.begin("?linger=200ms&user_env=WHO&password_env=WORD&suspend=2s", environment={"WHO": "natbox", "WORD": "sesame"})
        self.make_ended_sessions(20000, 5)
        self.wait_for_all()
        for place, (more, code) in enumerate((({"profile": "readonly"}, "ProjectForbidden"), ({"password": "other"}, "InvalidAccessKeyId"),
                                              ({"databases": ["other"]}, "Unauthorized"))):
            with self.subTest(code=code):
                self.clickhouse.change_user("natbox", **more)
                self.client.burst("tcp", SERVER4, 7000, 21000 + 100 * place, 5)
                self.lab.delete_flows("-p", "tcp")
                seen = wait_until(lambda: ctl.sink(self.control, "clickhouse") if code in str(ctl.sink(self.control, "clickhouse"))  # noqa: B023
                                  else None, lambda: f"{code}: {ctl.sink(self.control, 'clickhouse')}")  # noqa: B023
                self.assertEqual(seen["state"], "Failed")
                self.assertIn("DB::Exception", seen["message"])
                self.clickhouse.change_user("natbox")
                self.client.burst("tcp", SERVER4, 7000, 21050 + 100 * place, 5)  # a test wants new data
                self.lab.delete_flows("-p", "tcp")
                self.wait_for_all()
        daemon.stop()
        self.assertNotIn("sesame", daemon.message_text())


if ClickHouse.is_present:  # the old one knows no tokens; lab.clickhouse_replicas has it remember batches

    class TokenTest(ClickHouseCase):
        def test_a_batch_whose_answer_is_lost_is_stored_once_also_over_a_kill(self):
            door = HttpDoor(self.lab, self.folder, PORT)

            def begin():
                return self.start(self.lab, "--ledger", self.ledger, "--control", self.control, "--sink",
                                  TABLE.replace(str(PORT), str(DOOR_PORT)) + "?linger=200ms")

            def lost():
                return [post for post in door.posts() if post["lost"] and "INSERT" in post["path"]]
            daemon = begin()
            door.lose(True)
            self.make_ended_sessions(20000, 20)
            wait_until(lambda: len(lost()) >= 3, "a batch was stored, and comes again")
            daemon.stop(signal.SIGKILL, status=-signal.SIGKILL)
            before = len(lost())
            daemon = begin()
            wait_until(lambda: len(lost()) > before, "the next run sends it again")
            self.assertEqual(len({post["body"] for post in lost()}), 1, "the same to the byte")
            door.lose(False)
            self.make_ended_sessions(21000, 5)
            self.wait_for_all()
            daemon.stop()
            self.wait_for_all()
            told = self.clickhouse.ask("SELECT count(), uniq(session_id, seq, end_time) FROM nat.sessions").split()
            self.assertEqual(told[0], told[1])


if __name__ == "__main__":
    main()
