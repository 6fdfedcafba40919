"""The clickhouse sink and --store with a table that real replicas share, by Debian's ClickHouse and ZooKeeper."""

import json
import signal
import subprocess
import time

import ctl
from case import LabCase, main
from clickhouse_server import ClickHouse
from http_door import PORT as DOOR_PORT
from http_door import HttpDoor
from netlab import run, wait_until
from zookeeper import PORT as ZOOKEEPER_PORT
from zookeeper import ZooKeeper

NAMES = "/nat/sessions"
UNIQUE = "SELECT count(), uniqExact(session_id, seq, end_time) FROM nat.sessions"


class ReplicasTest(LabCase):
    needs = (*ClickHouse.needs, *ZooKeeper.needs)

    def setUp(self):
        super().setUp()
        self.make_hosts()
        self.zookeeper = ZooKeeper(self.lab, self.folder)
        self.a, self.b = (ClickHouse(self.lab, self.folder, name, place, ZOOKEEPER_PORT) for place, name in enumerate("ab"))
        for server in (self.a, self.b):
            server.run_script(ctl.ask("clickhouse-schema", "--database", "nat", "--table", "sessions", "--replicated",
                                      "--server-version", ClickHouse.version))
        self.ledger, self.control = self.path("ledger"), self.path("control.sock")

    def begin(self, port, options="", who="", **how):
        return self.start(self.lab, "--ledger", self.ledger, "--control", self.control, "--sink",
                          f"clickhouse://127.0.0.1:{port}{NAMES}?linger=200ms&coverage=200ms{who}{options}", **how)

    def make_ended_sessions(self, first_port, count=20):
        before = self.logged()
        self.make_sessions(first_port, count)
        run(*self.lab.enter(self.lab.nat), "conntrack", "-F")
        wait_until(lambda: self.logged() >= before + 2 * count, "the sessions are in the ledger")

    def logged(self):
        return len(ctl.ledger_lines(self.ledger))

    def seen(self):
        return ctl.sink(self.control, "clickhouse")

    def wait_for_all(self, server):
        """Each of the ledger's records is there once."""
        def there():
            return server.ask(UNIQUE, check=False).split()
        wait_until(lambda: there() == [str(self.logged())] * 2, lambda: f"{there()} of {self.logged()} records are in the table")

    def verdict(self, server, at, options=""):
        """Of a trace of an address that nobody had; and all of the answer, in JSON."""
        done = subprocess.run([*self.lab.enter(self.lab.nat), ctl.program(), "--store",
                               f"clickhouse://127.0.0.1:{server.port}{NAMES}{options}", "--json", "trace", "--nat", "192.0.2.1:9",
                               "--at", f"{at:.3f}", "--slack", "0s"], capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout)["verdict"], done.stdout

    def top(self, server):
        done = subprocess.run([*self.lab.enter(self.lab.nat), ctl.program(), "--store", f"clickhouse://127.0.0.1:{server.port}{NAMES}",
                               "--json", "top", "--by", "pri_ip", "--since", "-1h", "--until", str(int(time.time()) + 3600)],
                              capture_output=True, text=True, timeout=60)
        return {row["pri_ip"]: row["sessions"] for row in json.loads(done.stdout)["rows"]}

    def test_a_batch_whose_answer_is_lost_is_stored_once_also_over_a_kill(self):
        door = HttpDoor(self.lab, self.folder, self.a.port)
        daemon = self.begin(DOOR_PORT)
        self.make_ended_sessions(20000)
        self.wait_for_all(self.a)
        door.lose(True)
        self.make_ended_sessions(21000)
        wait_until(lambda: len([post for post in door.posts() if post["lost"] and "_coverage" not in post["path"]]) >= 3,
                   "a batch was stored, and comes again")
        again = [post["body"] for post in door.posts() if post["lost"] and "_coverage" not in post["path"]]
        self.assertEqual(len(set(again)), 1, "the same to the byte")
        daemon.stop(signal.SIGKILL, status=-signal.SIGKILL)
        daemon = self.begin(DOOR_PORT)
        wait_until(lambda: len([post for post in door.posts() if post["lost"] and "_coverage" not in post["path"]]) > len(again),
                   "the next run sends it again")
        door.lose(False)
        self.make_ended_sessions(22000)
        for server in (self.a, self.b):
            self.wait_for_all(server)
        daemon.stop()
        self.assertEqual(self.top(self.a), self.top(self.b))

    def test_what_no_replica_can_take_waits_and_arrives_once(self):
        daemon = self.begin(self.a.port)
        self.make_ended_sessions(20000)
        self.wait_for_all(self.b)
        self.zookeeper.stop()  # the table is read-only now
        self.make_ended_sessions(21000)
        wait_until(lambda: self.seen()["state"] == "Failed", lambda: f"it is told: {self.seen()}")
        self.assertIn("DB::Exception", self.seen()["message"])
        self.assertNotIn("ProjectForbidden", str(self.seen()))
        self.zookeeper.start()
        for server in (self.a, self.b):
            self.wait_for_all(server)
        wait_until(lambda: self.seen()["state"] == "Success", lambda: f"all is well: {self.seen()}")
        daemon.stop()

    def test_an_insert_that_two_replicas_must_have_waits_for_the_one_that_is_away_and_is_there_once(self):
        daemon = self.begin(self.a.port, who="&user_env=WHO&password_env=WORD", environment={"WHO": "both", "WORD": "sesame"})
        self.make_ended_sessions(20000)
        self.wait_for_all(self.a)
        self.b.stop()
        self.make_ended_sessions(21000)
        wait_until(lambda: self.seen()["state"] == "Failed", lambda: f"it is told: {self.seen()}")
        self.b.start()
        for server in (self.a, self.b):
            self.wait_for_all(server)
        wait_until(lambda: self.seen()["state"] == "Success", lambda: f"all is well: {self.seen()}")
        daemon.stop()

    def test_a_replica_that_has_not_got_all_denies_no_session(self):
        daemon = self.begin(self.a.port)
        self.make_ended_sessions(20000)
        middle = time.time()
        self.make_ended_sessions(20100)
        daemon.stop()
        daemon = self.begin(self.a.port)  # tells what the stop proved
        for server in (self.a, self.b):
            wait_until(lambda: self.verdict(server, middle)[0] == "no session",  # noqa: B023
                       lambda: self.verdict(server, middle)[1])  # noqa: B023
        self.b.stop()
        self.make_ended_sessions(21000)
        later = time.time()
        self.make_ended_sessions(21100)
        daemon.stop()
        daemon = self.begin(self.a.port)
        wait_until(lambda: self.verdict(self.a, later)[0] == "no session", lambda: self.verdict(self.a, later)[1])
        daemon.stop()
        self.a.stop()
        self.b.start()  # it knows what it lacks, and can get it nowhere
        for at in (middle, later):
            verdict, answer = self.verdict(self.b, at)
            self.assertEqual(verdict, "not covered", answer)
        self.a.start()
        self.wait_for_all(self.b)
        wait_until(lambda: self.verdict(self.b, later)[0] == "no session", lambda: self.verdict(self.b, later)[1])


if __name__ == "__main__":
    main()
