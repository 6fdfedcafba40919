"""Whose a session was: identity who, list and forget; names in traces, lists, sessions, sums and SQL."""

import csv
import io
import json
import os
import pwd
import shutil
import subprocess
import time

import ctl
import json_manual
from bulk import tool
from case import main
from netlab import wait_until
from surge import HOSTS, VICTIM, SurgeCase

LEASES = "dnsmasq:/var/lib/misc/dnsmasq.leases"
NOBODY = "nobody"  # a user of every machine, who is in no group of ours


def ms(moment):
    return str(round(moment * 1000))


class IdentityCommandsTest(SurgeCase):
    def ask(self, *words, status=0):
        return ctl.ask("--ledger", self.ledger, "--control", self.control, *words, status=status)

    def ask_json(self, *words, status=0):
        return json.loads(self.ask("--json", *words, status=status))

    def put(self, *lines):
        subprocess.run([tool("NATSESSION_PUT_IDENTITY"), self.ledger], input="".join(line + "\n" for line in lines), text=True,
                       check=True, timeout=60)

    @staticmethod
    def held(address, subscriber, begun, ended=None, source=LEASES, kind="lease"):
        words = ["put", source, "", address, kind, subscriber, "02:00:00:00:00:01", f"{subscriber}-host", "", ms(begun), ms(begun)]
        return "\t".join(words + ([] if ended is None else [ms(ended), ms(ended)]))

    @staticmethod
    def followed(begun, ended, source=LEASES):
        return "\t".join(("follow", source, ms(begun), ms(ended)))

    def begin_with_sessions(self):
        """Two sessions of HOSTS[0]; their records, and when each began."""
        self.begin()
        records = []
        for _ in range(2):
            self.session(HOSTS[0], VICTIM, 1000)
            self.lab.delete_flows("-p", "tcp")
            done = time.time()
            wait_until(lambda: time.time() - done > 1.5, "some time between the two")
        records = wait_until(lambda: [r for r in self.records() if r["event"] == "end"] if
                             len([r for r in self.records() if r["event"] == "end"]) >= 2 else None, "two sessions in the ledger")
        return sorted(records, key=lambda r: r["session_start"])

    def trace(self, record, *words, status=0):
        return self.ask_json("trace", "--nat", f"{record['nat_ip']}:{record['nat_port']}", "--at", f"{record['end_time']:.3f}",
                             *words, status=status)

    def test_a_session_is_his_who_had_the_address_when_it_began(self):
        first, second = self.begin_with_sessions()
        before = self.trace(first)
        self.assertNotIn("subscriber", before["candidates"][0])
        sessions = self.ask("sessions", "--csv")
        self.assertNotIn("subscriber", sessions)
        self.assertIn("no log of who had an address", self.refusal("identity", "list", status=3))

        # The lease changes between the two sessions, and 0.14 s lie between the end and the new beginning: a
        # millisecond more or less, as times are rounded, is 0.1 s on either side.
        change = (first["session_start"] + second["session_start"]) / 2
        self.put(self.followed(first["session_start"] - 3600, second["session_start"] + 3600),
                 self.held(HOSTS[0], "alice", first["session_start"] - 1000, change - 0.07),
                 self.held(HOSTS[0], "bob", change + 0.07), "seal")
        for record, name in ((first, "alice"), (second, "bob")):
            answer = self.trace(record)
            mine = [c for c in answer["candidates"] if c["session_id"] == record["session_id"]][0]
            told = mine["subscriber"]
            self.assertEqual((told["verdict"], told["subscriber"], len(told["holders"])), ("certain", name, 1))
            self.assertEqual(told["holders"][0]["source"], LEASES)
            text = self.ask("trace", "--nat", f"{record['nat_ip']}:{record['nat_port']}", "--at", f"{record['end_time']:.3f}")
            self.assertIn(f"{name}, certain", text)
        self.assertEqual(self.trace(first)["summary"]["subscriber"] is not None, True)

        # Whoever asks with a clock of his own, at the change, gets both, and why.
        both = self.ask_json("identity", "who", HOSTS[0], f"{change:.3f}")
        self.assertEqual((both["verdict"], [h["subscriber"] for h in both["holders"]]), ("possible", ["bob", "alice"]))
        self.assertEqual(json_manual.differences(both, json_manual.section("identity who")), [])
        self.assertEqual([h["why"] for h in both["holders"]], ["it began 0.1 s later", "it ended 0.1 s before"])
        nobody = self.ask_json("identity", "who", HOSTS[0], f"{change:.3f}", "--slack", "0ms", status=1)
        self.assertEqual(nobody["verdict"], "nobody")
        unknown = self.ask_json("identity", "who", HOSTS[0], f"{first['session_start'] - 3700:.3f}", status=1)
        self.assertEqual((unknown["verdict"], unknown["why_not"]), ("not known", "not all sources were followed then"))
        self.assertIn("alice, possible", self.ask("identity", "who", HOSTS[0], f"{change:.3f}"))

        # A list of questions, and sums.
        questions = self.write("list.csv", "nat_ip,nat_port,time\n" + "".join(
            f"{r['nat_ip']},{r['nat_port']},{r['end_time']:.3f}\n" for r in (first, second)))
        rows = list(csv.DictReader(io.StringIO(self.ask("trace", "--file", questions))))
        self.assertEqual({row["subscriber"] for row in rows}, {"alice", "bob"})
        self.assertEqual({row["subscriber_verdict"] for row in rows}, {"certain"})
        of_all = json.loads(self.ask("--json", "trace", "--file", questions))
        self.assertEqual({c["subscriber"]["subscriber"] for one in of_all for c in one["candidates"]}, {"alice", "bob"})
        top = self.ask_json("top", "--by", "subscriber", "--sum", "sessions", "--since", "-1h")
        self.assertEqual({row["subscriber"]: row["sessions"] for row in top["rows"]}, {"alice": 1, "bob": 1})
        timeline = self.ask_json("timeline", "--by", "subscriber", "--since", "-1h", "--sum", "sessions")
        self.assertEqual({row["subscriber"] for row in timeline["rows"]}, {"alice", "bob"})
        named = self.ask_json("sql", "SELECT subscriber(pri_ip, session_start) AS who, count(*) AS n FROM log "
                                     "WHERE event = 'end' GROUP BY who ORDER BY who")["rows"]
        self.assertEqual(named, [{"who": "alice", "n": 1}, {"who": "bob", "n": 1}])
        table = self.ask_json("sql", "SELECT subscriber, address, kind, end_time FROM identity ORDER BY start_time")["rows"]
        self.assertEqual([(row["subscriber"], row["address"], row["kind"]) for row in table],
                         [("alice", HOSTS[0], "lease"), ("bob", HOSTS[0], "lease")])
        self.assertIsNone(table[1]["end_time"])
        one = self.ask_json("sql", "SELECT count(*) AS n FROM identity WHERE subscriber = 'alice'")["rows"]
        self.assertEqual(one, [{"n": 1}])

        listed = self.ask_json("identity", "list")["rows"]
        self.assertEqual([row["subscriber"] for row in listed], ["alice", "bob"])
        self.assertEqual([row["subscriber"] for row in self.ask_json("identity", "list", "--open")["rows"]], ["bob"])
        self.assertEqual(len(list(csv.DictReader(io.StringIO(self.ask("identity", "list", "--csv", "--subscriber", "bob"))))), 1)

        # Open sessions.
        self.open("long", HOSTS[0], VICTIM)
        self.client.exchange("long", 100, 100)
        live = wait_until(lambda: [s for s in self.ask_json("sessions")["sessions"] if s["pri_ip"] == HOSTS[0]],
                          "the session in the list")
        self.assertEqual((live[0]["subscriber"], live[0]["subscriber_verdict"]), ("bob", "certain"))
        self.assertIn("SUBSCRIBER", self.ask("sessions"))

    def refusal(self, *words, status):
        done = subprocess.run([ctl.program(), "--ledger", self.ledger, "--control", self.control, *words], capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr

    def test_who_is_forgotten_is_in_no_answer_any_more_also_beside_the_one_who_writes(self):
        self.begin()
        now = time.time()
        self.put(self.followed(now - 3600, now), self.held(HOSTS[0], "alice", now - 1000, now - 500),
                 self.held(HOSTS[1], "bob", now - 1000), self.held(HOSTS[2], "alice", now - 100), "seal")
        asked = subprocess.run([ctl.program(), "--ledger", self.ledger, "identity", "forget", "alice"], input="no\n",
                               capture_output=True, text=True, timeout=60)
        self.assertEqual((asked.returncode, "nothing was deleted" in asked.stderr), (1, True))
        self.assertEqual(len(self.ask_json("identity", "list", "--subscriber", "alice")["rows"]), 2)

        writer = subprocess.Popen([tool("NATSESSION_PUT_IDENTITY"), self.ledger], stdin=subprocess.PIPE, text=True)
        writer.stdin.write(self.held(HOSTS[3], "alice", now - 50) + "\nwait\n")
        writer.stdin.flush()
        wait_until(lambda: len(self.ask_json("identity", "list", "--subscriber", "alice")["rows"]) == 3, "the third one")
        told = self.ask_json("identity", "forget", "alice", "--yes")
        self.assertEqual((told["deleted"], told["open"], told["by"]), (3, 2, "daemon"))
        self.assertEqual(json_manual.differences(told, json_manual.section("identity forget")), [])
        self.assertEqual(self.ask_json("identity", "list")["rows"][0]["subscriber"], "bob")
        self.assertEqual(len(self.ask_json("identity", "list")["rows"]), 1)
        writer.stdin.close()
        writer.wait(20)
        gone = self.ask_json("identity", "who", HOSTS[0], f"{now - 700:.3f}", status=1)
        self.assertEqual((gone["verdict"], gone["deleted_on_request"]), ("not known", True))
        told = self.ask("identity", "forget", "bob", "-y")
        self.assertIn("deleted: 1 assignments of bob, of which 1 were open", told)
        self.assertEqual(self.ask_json("identity", "list")["rows"], [])
        for name in os.listdir(f"{self.ledger}/identity"):
            with open(f"{self.ledger}/identity/{name}", "rb") as file:
                self.assertNotIn(b"alice", file.read(), name)

    def test_who_may_read_the_ledger_but_no_names_is_told_so(self):
        first, _ = self.begin_with_sessions()
        self.put(self.followed(first["session_start"] - 60, first["session_start"] + 60),
                 self.held(HOSTS[0], "alice", first["session_start"] - 10))
        user = pwd.getpwnam(NOBODY)
        os.chmod(self.folder, 0o755)
        for folder, _, files in os.walk(self.ledger):
            if os.path.basename(folder) == "identity":
                continue
            os.chmod(folder, 0o755)
            for name in files:
                os.chmod(os.path.join(folder, name), 0o644)

        program = shutil.copy(ctl.program(), self.path("natsessionctl"))  # where it was built nobody may look

        def as_nobody(*words):
            return subprocess.run([program, "--ledger", self.ledger, "--control", self.path("none"), *words], text=True,
                                  capture_output=True, timeout=60, user=user.pw_uid, group=user.pw_gid, extra_groups=[])
        nat = ("--nat", f"{first['nat_ip']}:{first['nat_port']}", "--at", f"{first['end_time']:.3f}")
        answer = as_nobody("--json", "trace", *nat)
        told = json.loads(answer.stdout)["candidates"][0]["subscriber"]
        self.assertEqual((told["verdict"], told["subscriber"]), ("not shown", None))
        self.assertIn("may not be read by this user", as_nobody("trace", *nat).stdout.replace("\n            ", " "))
        for words in (("top", "--by", "subscriber"), ("identity", "list"), ("identity", "who", HOSTS[0])):
            refused = as_nobody(*words)
            self.assertEqual(refused.returncode, 3, words)
            self.assertNotIn("alice", refused.stdout + refused.stderr)


if __name__ == "__main__":
    main()
