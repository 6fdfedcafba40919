"""Asking the log: who was behind an address and port, and who sent that surge (surge.py)?"""

import csv
import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import ctl
import json_manual
from case import main
from daemon import ends
from netlab import SERVER4, wait_until
from surge import HOSTS, PORT, SURGE_SESSIONS, SURGER, VICTIM, SurgeCase

MANUALS = Path(__file__).parent.parent.parent / "packaging/man"
STATEMENTS = Path(__file__).parent.parent / "query"  # the two of the document, word for word
BY_MINUTE = (STATEMENTS / "surge_by_minute.sql").read_text()
BY_HOST = (STATEMENTS / "surge_by_host.sql").read_text()


class QueryTest(SurgeCase):
    def ask(self, *words, status=0):
        return ctl.ask("--ledger", self.ledger, "--control", self.control, *words, status=status)

    def ask_json(self, *words, status=0):
        return json.loads(self.ask("--json", *words, status=status))

    def test_each_question_names_the_host_that_made_the_surge(self):
        self.begin()
        records = self.make_the_surge()
        to_victim = [r for r in records if r["pub_ip"] == VICTIM]
        sent = {host: sum(r["bytes_from_vpc"] for r in to_victim if r["pri_ip"] == host) for host in HOSTS}

        by_minute = self.ask_json("sql", BY_MINUTE)["rows"]
        self.assertEqual(sum(row["total_bytes"] for row in by_minute), sum(sent.values()))
        by_host = self.ask_json("sql", BY_HOST)["rows"]
        totals = {}
        for row in by_host:
            totals[row["pri_ip"]] = totals.get(row["pri_ip"], 0) + row["total_bytes"]
        self.assertEqual(totals, sent)
        self.assertEqual(max(totals, key=totals.get), SURGER)

        self.assertIn("not all sessions were logged", self.ask_json("top", "--since", "-1h")["missing"])
        ask_top = lambda: self.ask_json("top", "--where", f"pub_ip={VICTIM}", "--since", f"{self.began:.3f}")
        top = wait_until(lambda: ask_top() if ask_top()["complete"] else None, lambda: f"proof: {ask_top()['missing']}")
        self.assertEqual(top["rows"][0]["pri_ip"], SURGER)
        self.assertEqual(top["rows"][0]["bytes_from_vpc"], sent[SURGER])
        self.assertEqual(top["groups"], len(HOSTS))

        timeline = self.ask_json("timeline", "--where", f"pub_ip={VICTIM}", "--by", "pri_ip", "--since", "-1h")
        series = {}
        for row in timeline["rows"]:
            series[row["pri_ip"]] = series.get(row["pri_ip"], 0) + row["bytes_from_vpc"]
        self.assertEqual(max(series, key=series.get), SURGER)
        self.assertEqual(series[SURGER], sent[SURGER])
        chart = self.ask("timeline", "--where", f"pub_ip={VICTIM}", "--by", "pri_ip", "--since", "-1h")
        self.assertIn(SURGER, chart)

        # What the owner of the address can say: an address, a port and a time.
        seen = [r for r in to_victim if r["pri_ip"] == SURGER][SURGE_SESSIONS // 2]
        answer = self.ask_json("trace", "--nat", f"{seen['nat_ip']}:{seen['nat_port']}", "--proto", "tcp",
                               "--pub", f"{VICTIM}:{PORT}", "--at", seen["end_time"])
        self.assertEqual(answer["verdict"], "found")
        best = answer["candidates"][0]
        self.assertEqual((best["pri_ip"], best["pri_port"], best["session_id"]),
                         (SURGER, seen["pri_port"], seen["session_id"]))

    def on_terminal(self, *words, columns=80):
        """The lines of an answer on a terminal of that width."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen([ctl.program(), "--ledger", self.ledger, "--control", self.control, *words],
                                   stdout=slave, stderr=subprocess.DEVNULL, env={**os.environ, "TERM": "dumb"})
        os.close(slave)
        said = b""
        try:
            while part := os.read(master, 65536):
                said += part
        except OSError:  # the other end is closed
            pass
        os.close(master)
        self.assertEqual(process.wait(60), 0, said)
        return said.decode().replace("\r", "").splitlines()

    def test_tables_fit_a_terminal_of_80_columns_and_are_whole_elsewhere(self):
        self.begin()
        record = self.make_the_surge()[0]
        self.open("long", HOSTS[3], VICTIM)
        nat = f"{record['nat_ip']}:{record['nat_port']}"
        questions = (("trace", nat, str(record["end_time"])), ("top", "--by", "pri_ip,pub_ip"), ("timeline", "--by", "pri_ip"),
                     ("ports",), ("sessions",), ("status",), ("sql", "describe"),
                     ("sql", "SELECT * FROM log LIMIT 3"), ("sql", BY_HOST))
        for question in questions:
            lines = self.on_terminal(*question)
            self.assertGreater(len(lines), 1, question)
            self.assertEqual([line for line in lines if len(line) > 80], [], question)
        # Elsewhere a row is a line, as ever.
        self.assertGreater(max(map(len, self.ask("sessions").splitlines())), 80)
        rows = self.ask("sql", "SELECT * FROM log LIMIT 3").splitlines()
        self.assertEqual(len(rows), 4)
        # Nothing is left out.
        narrow = " ".join(self.on_terminal("top", "--by", "pri_ip,pub_ip")).split()
        wide = self.ask("top", "--by", "pri_ip,pub_ip").split()
        self.assertEqual([word for word in wide if word.startswith("10.64.")],
                         [word for word in narrow if word.startswith("10.64.")])

    def test_tail_chooses_and_ends_with_who_reads_it(self):
        self.begin()
        records = self.make_the_surge()
        of_surger = [r["session_id"] for r in self.records() if r["pri_ip"] == SURGER and r["event"] == "end"]
        lines = lambda *words: [json.loads(line)["session_id"] for line in self.ask("tail", *words).splitlines()]
        self.assertEqual(lines("--pri", SURGER, "-n", "1000"), of_surger)
        self.assertEqual(lines("--pri-ip", SURGER, "-n", "5"), of_surger[-5:])
        self.assertEqual(lines("--pri", SURGER), of_surger[-10:])
        self.assertEqual(lines("--pri", SURGER, "--since", "-1h"), of_surger)
        self.assertEqual(lines("--since", "now"), [])
        self.assertEqual(len(lines("--where", f"pri_ip!={SURGER}", "-p", "tcp", "-n", "1000")), len(records) - len(of_surger))
        middle = sorted(r["bytes_from_vpc"] for r in records)[len(records) // 2]
        self.assertEqual(len(lines("-w", f"bytes_from_vpc<{middle}", "-n", "1000")),
                         len([r for r in records if r["bytes_from_vpc"] < middle]))
        table = list(csv.DictReader(io.StringIO(self.ask("tail", "--csv", "--pub", f":{PORT}", "-n", "3"))))
        self.assertEqual([row["pub_port"] for row in table], [str(PORT)] * 3)
        # As "tail -f | head" does: no record comes any more, and the end is seen all the same.
        process = subprocess.Popen([ctl.program(), "--ledger", self.ledger, "tail", "-f"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        process.stdout.readline()
        process.stdout.close()
        self.assertEqual(process.wait(20), -signal.SIGPIPE)
        self.assertEqual(process.stderr.read(), "")
        process.stderr.close()

        # What follows is chosen likewise.
        follower = subprocess.Popen([ctl.program(), "--ledger", self.ledger, "tail", "-f", "-n", "1", "--pri", HOSTS[2]],
                                    stdout=subprocess.PIPE, text=True)
        self.addCleanup(follower.kill)
        before = json.loads(follower.stdout.readline())  # it knows where the ledger ends
        self.assertEqual(before["pri_ip"], HOSTS[2])
        self.session(HOSTS[1], VICTIM, 100)
        self.session(HOSTS[2], VICTIM, 100)
        self.lab.delete_flows("-p", "tcp")
        followed = json.loads(follower.stdout.readline())
        self.assertEqual(followed["pri_ip"], HOSTS[2])
        self.assertNotEqual(followed["session_id"], before["session_id"])
        follower.terminate()
        follower.wait(20)
        follower.stdout.close()

    def test_open_sessions_are_sorted_and_rows_come_as_csv(self):
        self.begin()
        for number, host in enumerate((HOSTS[4], HOSTS[2], HOSTS[3])):
            self.open(f"s{number}", host, VICTIM)
            self.client.exchange(f"s{number}", 1000 * (number + 1), 100)
            opened = time.time()
            wait_until(lambda: time.time() - opened > 0.002, "another millisecond: ages are of milliseconds")
        table = lambda *words: list(csv.DictReader(io.StringIO(self.ask("sessions", "--csv", *words))))
        self.assertEqual([row["pri_ip"] for row in table("--sort", "bytes_from_vpc")], [HOSTS[3], HOSTS[2], HOSTS[4]])
        self.assertEqual([row["pri_ip"] for row in table("--sort", "age")], [HOSTS[4], HOSTS[2], HOSTS[3]])
        self.assertEqual([row["pri_ip"] for row in table("--sort", "pri", "-n", "2")], [HOSTS[2], HOSTS[3]])
        first = self.ask_json("sessions", "--sort", "pri", "-n", "1")
        self.assertEqual(([s["pri_ip"] for s in first["sessions"]], first["more"]), ([HOSTS[2]], True))
        nat = f"{first['sessions'][0]['nat_ip']}:{first['sessions'][0]['nat_port']}"
        answer = list(csv.DictReader(io.StringIO(self.ask("trace", nat, "now", "--csv"))))
        self.assertEqual([(row["verdict"], row["pri_ip"]) for row in answer], [("found", HOSTS[2])])

    def test_json_has_the_members_and_types_that_its_manual_says(self):
        self.begin()
        record = next(r for r in self.make_the_surge() if r["pub_ip"] == VICTIM)
        self.open("long", HOSTS[3], VICTIM)
        # A gap, a file that is damaged: what there is to say of them.
        self.daemon.send_signal(signal.SIGKILL)
        self.daemon.close()
        self.start(self.lab, "--ledger", self.ledger, "--control", self.control, "--sync", "100ms", "--sink", "stdout")
        wait_until(lambda: any(r["event"] == "gap" for r in self.records()), "a gap record")
        nat = f"{record['nat_ip']}:{record['nat_port']}"
        asked = ("trace", "--nat", nat, "--proto", "tcp", "--pub", f"{VICTIM}:{PORT}", "--since", f"{record['start_time']:.3f}")
        questions = self.write("list.csv", f"ticket,nat,time,protocol,pub_ip,pub_port\n"
                               f"1,{nat},{record['end_time']:.3f},tcp,{VICTIM},{PORT}\n2,nowhere,now,,,\n")
        traced = json_manual.section("trace")
        of_all = json_manual.section("all questions")
        shapes = [
            ("status", json_manual.section("status"), 0), ("sessions", json_manual.section("sessions"), 0),
            (asked, traced, 0), (("trace", "--file", questions),
                                 {f"[].{name}": told for name, told in traced.items()} | json_manual.section("trace --file"), 1),
            *(((name, "--since", "-1h"), of_all | json_manual.section(name), 0) for name in ("top", "ports", "gaps")),
            (("timeline", "--by", "pri_ip", "--since", "-1h"), of_all | json_manual.section("timeline"), 0),
            (("sql", "SELECT * FROM log"), of_all | json_manual.section("sql"), 0),
            ("verify", json_manual.section("verify"), 0)]
        for words, told, status in shapes:
            words = (words,) if isinstance(words, str) else words
            self.assertEqual(json_manual.differences(self.ask_json(*words, status=status), told), [], words)
        # Whatever it finds.
        self.assertEqual(json_manual.differences(json.loads(ctl.run("--json", "check")), json_manual.section("check")), [])

    def test_the_commands_of_the_guide_run(self):
        self.begin()
        self.make_the_surge()
        page = (MANUALS / "session-log.5").read_text().replace("\\-", "-")
        commands = [line for example in re.findall(r"\.EX\n(.*?)\.EE", page, re.S) for line in example.splitlines()]
        self.assertGreater(len(commands), 8)
        self.write("questions.csv", "nat,time\n203.0.113.7:40123,2026-11-21 14:57:03\n")
        ask = f'natsessionctl() {{ "{ctl.program()}" --ledger "{self.ledger}" --control "{self.control}" "$@"; }}'
        for command in commands:
            done = subprocess.run(["bash", "-c", f"{ask}\n{command}"], cwd=self.folder, capture_output=True, text=True,
                                  timeout=60)
            # Of that time the log knows nothing.
            self.assertIn(done.returncode, (0, 1) if " trace " in command else (0,), f"{command}: {done.stderr}")

    def test_a_list_of_questions_is_answered_in_csv_line_by_line(self):
        self.begin()
        records = self.make_the_surge()
        asked = self.path("questions.csv")
        with open(asked, "w", encoding="utf-8") as file:
            file.write("ticket,nat_ip,nat_port,time\n")
            for number, r in enumerate(records):
                file.write(f"T{number},{r['nat_ip']},{r['nat_port']},{r['end_time']}\n")
            file.write("odd,nowhere,1,2026-01-01\n")
        answers = list(csv.DictReader(io.StringIO(self.ask("trace", "--file", asked, status=1))))
        best = {a["ticket"]: a for a in answers if a["rank"] in ("", "1")}
        self.assertEqual(best["odd"]["verdict"], "bad question")
        for number, r in enumerate(records):
            hosts = {(a["pri_ip"], int(a["pri_port"])) for a in answers if a["ticket"] == f"T{number}"}
            self.assertIn((r["pri_ip"], r["pri_port"]), hosts)

    def test_a_session_that_is_open_is_known_from_the_daemon_and_without_it_from_its_last_record(self):
        self.begin("--window", "1s")
        self.open("long", HOSTS[3], VICTIM)
        self.client.exchange("long", 1000, 100)
        record = wait_until(lambda: next(iter(self.records()), None), "an interim record")
        end = f"{record['nat_ip']}:{record['nat_port']}"
        answer = self.ask_json("trace", "--nat", end, "--at", "now")
        self.assertEqual(answer["candidates"][0]["pri_ip"], HOSTS[3])
        self.assertTrue(answer["candidates"][0]["open_now"])
        ports = self.ask_json("ports", "--since", "-1m")
        self.assertEqual([row["now"] for row in ports["rows"]][:1], [1])

        self.daemon.stop(signal.SIGTERM)
        answer = self.ask_json("trace", "--nat", end, "--at", "now")
        self.assertEqual(answer["candidates"][0]["pri_ip"], HOSTS[3])
        self.assertFalse(answer["candidates"][0]["open_now"])
        self.assertFalse(answer["candidates"][0]["ended"])

    def test_what_was_not_is_said_clearly_and_a_gap_is_a_warning(self):
        self.begin()
        records = self.make_the_surge()
        used = {r["nat_port"] for r in records}
        free = next(port for port in range(1024, 65535) if port not in used)
        nat_ip = records[0]["nat_ip"]
        self.assertIn("no such session", self.ask("trace", "--nat", f"{nat_ip}:{free}", "--at", "now", status=1))
        long_ago = self.ask_json("trace", "--nat", f"{nat_ip}:{free}", "--at", "2001-01-01", status=1)
        self.assertEqual(long_ago["verdict"], "not covered")
        # A kill leaves a gap: what ended then may be missing.
        self.daemon.send_signal(signal.SIGKILL)
        self.daemon.close()
        self.start(self.lab, "--ledger", self.ledger, "--control", self.control, "--sync", "100ms")
        gap = wait_until(lambda: next((r for r in self.records() if r["event"] == "gap"), None), "a gap record")
        answer = self.ask_json("trace", "--nat", f"{nat_ip}:{free}", "--at", gap["end_time"], status=1)
        self.assertEqual(answer["verdict"], "uncertain")
        self.assertEqual(answer["gaps"][0]["reason"], "stopped")

    def test_a_statement_that_takes_for_ever_ends_at_ctrl_c_and_at_its_time_limit(self):
        self.begin()
        self.make_the_surge()
        endless = ["sql", "SELECT count(*) FROM log a, log b, log c, log d, log e, log f"]
        process = subprocess.Popen([ctl.program(), "--ledger", self.ledger, *endless], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)

        def caught():  # the signals that it handles
            with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
                mask = next(line.split()[1] for line in file if line.startswith("SigCgt"))
            return int(mask, 16) & (1 << (signal.SIGINT - 1))
        wait_until(caught, "it is under way")
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
        self.assertEqual(process.returncode, 130, told)
        self.assertIn("interrupted", told)
        self.ask(*endless, "--time-limit", "300ms", status=3)

    def test_what_is_exported_is_what_the_ledger_has(self):
        self.begin()
        records = self.make_the_surge()
        lines = [json.loads(line) for line in self.ask("export", "--since", "-1h").splitlines()]
        self.assertEqual([r["session_id"] for r in lines], [r["session_id"] for r in self.records()])
        table = list(csv.DictReader(io.StringIO(self.ask("export", "--since", "-1h", "--format", "csv", "--where",
                                                         f"pri_ip={SURGER}"))))
        self.assertEqual(len(table), len([r for r in records if r["pri_ip"] == SURGER]))


if __name__ == "__main__":
    main()
