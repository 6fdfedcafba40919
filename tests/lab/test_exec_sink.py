"""The exec sink: real commands, that read, end, are killed, or never were."""

import os
import signal
import stat
import subprocess
import threading

from case import LabCase, main
from daemon import RUNTIME_FAILURE
from netlab import SERVER4, wait_until


class ExecSinkTest(LabCase):
    def begin(self, command):
        self.make_watched_hosts()
        return self.start(self.lab, "--sink", f"file:{self.path('log.json')}", "--sink", "exec:" + command)

    def script(self, text):
        path = self.write("command", "#!/bin/sh\n" + text)
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
        return path

    def kill_command(self):
        with open(self.path("pid"), encoding="utf-8") as file:
            pid = int(file.read() or "0")
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
        with open(self.path("pid"), encoding="utf-8") as file:
            self.assertFalse(os.path.exists("/proc/" + file.read().strip()))
        subprocess.run(["gzip", "-d", self.path("out.json.gz")], check=True)
        self.assert_agrees(self.file_records(), flows)
        self.assertEqual(self.arrived(), self.file_records())

    def test_a_command_that_is_killed_again_and_again_misses_no_record(self):
        # What a killed command had read is lost with it; so this one keeps each line at once.
        command = self.script(f'echo $$ >{self.path("pid")}\n'
                              f'while IFS= read -r line; do printf "%s\\n" "$line" >>{self.path("out.json")}; done\n')
        daemon = self.begin(command)
        traffic = threading.Thread(target=self.client.burst, args=("udp", SERVER4, 7000, 10000, 3000))
        traffic.start()
        for round_ in range(5):
            wait_until(lambda: self.lab.conntrack("-L") is not None and len(self.arrived()) > 300 * round_,
                       "records come")  # the list makes the kernel look for flows that have ended
            self.kill_command()
        traffic.join()
        self.witness.flows()
        def keys(records):
            return {(r["session_id"], r["seq"]) for r in records}
        wait_until(lambda: len(self.file_records()) == 3000, "the records in the file")
        wait_until(lambda: len(keys(self.file_records()) - keys(self.arrived())) <= 5, "the records at the command")
        daemon.stop()
        # A line that was read and not yet written dies with the command: at most one for each kill.
        self.assertLessEqual(len(keys(self.file_records()) - keys(self.arrived())), 5)

    def test_a_command_that_reads_nothing_holds_up_neither_the_file_nor_the_end(self):
        daemon = self.begin("exec sleep 1000?timeout=1s")
        for round_ in range(5):
            self.make_sessions(20000 + 200 * round_)
        flows = self.witness.flows()
        daemon.wait_for_message("reads nothing")
        daemon.stop(status=RUNTIME_FAILURE)
        self.assertIn("records were not delivered", daemon.message_text())
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
