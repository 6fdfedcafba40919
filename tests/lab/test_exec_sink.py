"""The exec sink: real commands, that read, end, are killed, or never were."""

import os
import pwd
import signal
import subprocess
import threading

from case import LabCase, main
from daemon import RUNTIME_FAILURE, USAGE, parse, run_to_end
from netlab import SERVER4, wait_until

USER = "daemon"  # whom every machine has, and no command runs as but where it is named
SECRET = "a-secret"


class ExecSinkTest(LabCase):
    needs = ("setpriv",)

    def setUp(self):
        super().setUp()
        os.chmod(self.folder, 0o777)  # a command runs as a user of its own

    def begin(self, command):
        self.make_watched_hosts()
        return self.start(self.lab, "--sink", f"file:{self.path('log.json')}", "--sink", "exec:" + command)

    def lab_session(self):
        self.client.session("udp", SERVER4, 7000)
        self.lab.conntrack("-D", "-p", "udp")

    def script(self, text):
        path = self.write("command", "#!/bin/sh\n" + text)
        os.chmod(path, 0o755)
        return path

    def command_pid(self):
        """0: it has not begun."""
        if not os.path.exists(self.path("pid")):
            return 0
        with open(self.path("pid"), encoding="utf-8") as file:
            return int(file.read() or "0")

    def kill_command(self):
        pid = self.command_pid()
        try:
            if pid:
                os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            pass  # the next one is about to begin

    def arrived(self):
        return self.file_records("out.json")

    def test_a_command_gets_the_records_of_the_file_and_ends_with_the_daemon(self):
        daemon = self.begin(f"echo $$ >{self.path('pid')}; gzip >{self.path('out.json.gz')}")
        self.make_sessions(20000)
        flows = self.witness.flows()
        daemon.stop()
        self.assertFalse(os.path.exists(f"/proc/{self.command_pid()}"))
        subprocess.run(["gzip", "-d", self.path("out.json.gz")], check=True)
        self.assert_agrees(self.file_records(), flows)
        self.assertEqual(self.arrived(), self.file_records())

    def test_a_command_that_is_killed_again_and_again_misses_no_record(self):
        # What a killed command had read is lost with it; so this one keeps each line at once. A signal that kills ends
        # a write between two pages: so each line begins on a new one, behind what a killed command has left of its.
        command = self.script(f'echo $$ >{self.path("pid")}\n'
                              f'while IFS= read -r line; do printf "\\n%s\\n" "$line" >>{self.path("out.json")}; done\n')

        def kept():
            if not os.path.exists(self.path("out.json")):
                return []
            with open(self.path("out.json"), encoding="utf-8") as file:
                return [parse(line) for line in file.read().splitlines() if line.startswith("{") and line.endswith("}")]
        daemon = self.begin(command)
        traffic = threading.Thread(target=self.client.burst, args=("udp", SERVER4, 7000, 10000, 3000))
        traffic.start()
        for round_ in range(5):
            wait_until(lambda: self.lab.conntrack("-L") is not None and len(kept()) > 300 * round_,
                       "records come")  # the list makes the kernel look for flows that have ended
            self.kill_command()
        traffic.join()
        flows = self.witness.flows()
        def keys(records):
            return {(r["session_id"], r["seq"]) for r in records}
        wait_until(lambda: len(self.file_records()) >= len(flows), "the records in the file")
        wait_until(lambda: len(keys(self.file_records()) - keys(kept())) <= 5, "the records at the command")
        daemon.stop()
        self.assert_agrees(self.file_records(), flows)
        # A line that was read and not yet written dies with the command: at most one for each kill.
        self.assertLessEqual(len(keys(self.file_records()) - keys(kept())), 5)

    def test_a_command_that_reads_nothing_holds_up_neither_the_file_nor_the_end(self):
        daemon = self.begin("exec sleep 1000?timeout=1s")
        for round_ in range(5):
            self.make_sessions(20000 + 200 * round_)
        flows = self.witness.flows()
        daemon.wait_for_message("reads nothing")
        daemon.stop(status=RUNTIME_FAILURE)
        self.assertIn("records were not delivered", daemon.message_text())
        self.assert_agrees(self.file_records(), flows)

    def test_a_command_does_not_outlive_a_daemon_that_was_killed(self):
        command = self.script(f"trap '' TERM\necho $$ >{self.path('pid')}\nwhile :; do sleep 1; done\n")
        daemon = self.begin(command)
        self.lab_session()
        wait_until(self.command_pid, "the command runs")
        pid = self.command_pid()
        daemon.stop(signal.SIGKILL, -signal.SIGKILL)
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "its end")

    def test_without_a_command_nothing_waits_for_one_when_the_daemon_is_killed(self):
        daemon = self.begin("exec sleep 1000")
        runner = daemon.child("natsess-exec")
        daemon.stop(signal.SIGKILL, -signal.SIGKILL)
        wait_until(lambda: not os.path.exists(f"/proc/{runner}"), "its end", seconds=4)

    def what_a_command_sees(self, *arguments, **how):
        """Its own status, by key, and all that it finds in its environment and those of the daemon's processes."""
        self.make_hosts()
        seen = self.path("seen")
        look = self.script(f"""{{
            cat /proc/self/status
            daemon=$PPID
            until [ $(cat /proc/$daemon/comm) = natsessiond ]; do
                daemon=$(awk '/^PPid/ {{ print $2 }}' /proc/$daemon/status)
            done
            for pid in $daemon $(cat /proc/$daemon/task/$daemon/children); do tr '\\0' '\\n' </proc/$pid/environ; done
            env
        }} >{seen}.new 2>{self.path("refused")}
        mv {seen}.new {seen}
        exec cat >/dev/null
        """)
        self.start(self.lab, "--ledger", self.path("ledger"), "--sink", "exec:" + look, *arguments,
                   environment={"OF_ANOTHER_SINK": SECRET}, **how)
        self.lab_session()
        wait_until(lambda: os.path.exists(seen), "what the command saw")
        with open(seen, encoding="utf-8") as file:
            text = file.read()
        with open(self.path("refused"), encoding="utf-8") as file:
            refused = file.read()
        self.assertEqual(refused.count("Permission denied"), 3, refused)  # the daemon, its guard, its own parent
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line), text

    def test_a_command_is_another_user_and_sees_no_secret(self):
        status, text = self.what_a_command_sees("--user", USER)
        nobody = pwd.getpwnam("nobody")
        self.assertEqual(status["Uid"].split(), [str(nobody.pw_uid)] * 4)
        self.assertEqual(status["Gid"].split(), [str(nobody.pw_gid)] * 4)
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[kind], 16), 0, kind)
        self.assertEqual(status["NoNewPrivs"].strip(), "1")
        self.assertNotIn(SECRET, text)

    def test_a_command_of_a_daemon_that_is_not_root_is_its_user_and_sees_no_secret(self):
        user = pwd.getpwnam(USER)
        status, text = self.what_a_command_sees(before=(
            "setpriv", "--reuid", USER, "--regid", str(user.pw_gid), "--clear-groups", "--inh-caps=-all,+net_admin",
            "--ambient-caps=-all,+net_admin"))
        self.assertEqual(status["Uid"].split(), [str(user.pw_uid)] * 4)
        for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            self.assertEqual(int(status[kind], 16), 0, kind)
        self.assertNotIn(SECRET, text)

    def test_a_command_runs_as_whom_its_sink_names(self):
        self.make_hosts()
        self.start(self.lab, "--sink", f"exec:{self.script('id -un >' + self.path('name') + '; cat >/dev/null')}"
                                       "?run_as=daemon")
        self.lab_session()
        wait_until(lambda: os.path.exists(self.path("name")) and os.path.getsize(self.path("name")), "its name")
        with open(self.path("name"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "daemon\n")
        status, _, told = run_to_end(self.make_lab(), self.folder, "--sink", "exec:cat?run_as=natlab-nobody")
        self.assertEqual(status, USAGE, told)
        self.assertIn("sink exec:cat: run_as: there is no user natlab-nobody", told)

    def test_when_the_process_that_starts_commands_is_killed_the_rest_goes_on(self):
        daemon = self.begin("cat >/dev/null")
        self.make_sessions(20000)
        daemon.end_child("natsess-exec")
        self.make_sessions(21000)
        daemon.wait_for_message("natsess-exec, which starts it: killed by signal 9 (Killed); a restart brings it back")
        flows = self.witness.flows()
        daemon.stop(status=RUNTIME_FAILURE)
        self.assert_agrees(self.file_records(), flows)

    def test_a_command_that_does_not_exist_is_told(self):
        daemon = self.begin("/no/such/command 2>/dev/null")
        self.make_sessions(20000, 10)
        flows = self.witness.flows()
        daemon.wait_for_message("ended with status 127")
        daemon.stop(status=RUNTIME_FAILURE)
        self.assert_agrees(self.file_records(), flows)


if __name__ == "__main__":
    main()
