"""natsessionctl flow-log: what it writes is what the next start of the daemon does."""

import json
import os
import signal
import subprocess

import ctl
import json_manual
from case import LabCase, main
from daemon import program
from netlab import QUICK_TIMEOUTS, SERVER4, wait_until


class FlowLogCommandTest(LabCase):
    def setUp(self):
        super().setUp()
        self.make_hosts(**QUICK_TIMEOUTS)
        self.control = self.path("control.sock")
        self.config = self.write("natsessiond.toml", f'control = "{self.control}"\nsink = ["stdout"]\n')

    def flow_log(self, *words, status=0):
        return ctl.ask("--control", self.control, "flow-log", *words, "--config", self.config, status=status)

    def flow_log_json(self, *words):
        return json.loads(self.flow_log("--json", *words))

    def refusal(self, *words):
        done = subprocess.run([ctl.program(), "--control", self.control, "flow-log", *words, "--config", self.config],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 2, done)
        return done.stderr

    def create(self, name="edge", **more):
        options = {"resource": "inner", "record": "aws", "window": "2s", "destination": "file:" + self.path(name + ".log"), **more}
        return self.flow_log("create", name, *(word for key, value in options.items() for word in ("--" + key, value)))

    def begin(self):
        return self.start(self.lab, "--config", self.config)

    def entries(self, name="edge"):
        if not os.path.exists(self.path(name + ".log")):
            return []
        with open(self.path(name + ".log"), encoding="utf-8") as file:
            return [line for line in file.read().splitlines() if line.endswith(" OK")]

    def test_a_log_that_is_created_has_entries_after_a_restart(self):
        daemon = self.begin()
        self.assertIn("systemctl restart natsessiond", self.create())
        self.assertEqual([False], [log["running"] for log in self.flow_log_json("list")])
        self.assertIn("on, after a restart", self.flow_log("list"))
        daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: any("a change of flow_log needs a restart" in m for m in daemon.messages), "the reload's outcome")
        daemon.stop()
        daemon = self.begin()
        self.client.session("udp", SERVER4, 7000)
        wait_until(lambda: len(self.entries()) >= 2, "two entries of the session")
        told = self.flow_log_json("show", "edge")
        self.assertEqual((told["running"], told["delivery"], told["editable"]), (True, "Success", True))
        self.assertIn("has it", self.flow_log("show", "edge"))
        # What the manual says of the answers.
        listed = json_manual.section("flow-log list")
        self.assertEqual(json_manual.differences(self.flow_log_json("list"), listed), [])
        changed = json_manual.section("flow-log create")
        self.assertEqual(json_manual.differences(self.flow_log_json("stop", "edge"), changed), [])
        self.assertIn("off, after a restart", self.flow_log("list"))
        daemon.stop()
        before = len(self.entries())
        daemon = self.begin()
        self.assertEqual([], [s for s in ctl.status(self.control)["sinks"] if s["name"].startswith("flow_log")])
        self.client.session("udp", SERVER4, 7000)
        daemon.wait_for_ends(1)
        daemon.stop()
        self.assertEqual(len(self.entries()), before, "what was written stays, and nothing comes")

    def test_what_was_deleted_is_told_until_the_restart(self):
        self.create()
        daemon = self.begin()
        self.flow_log("delete", "edge")
        self.assertIn("the daemon has a flow log edge until its next start", self.flow_log("list"))
        daemon.stop()
        daemon = self.begin()
        self.assertIn("there is no flow log\n", self.flow_log("list"))
        daemon.stop()

    def test_what_cannot_be_edited_is_refused_whatever_the_word(self):
        self.create()
        for action in ("tag", "rename", "start", "set"):
            self.assertIn("cannot be edited: delete the log and make another", self.refusal(action, "edge", "--window", "1m"))
        self.assertEqual(self.flow_log_json("show", "edge")["window"], "2s")

    def test_who_may_not_write_there_is_told_who_may(self):
        os.chmod(self.folder, 0o755)
        self.create()
        before = os.listdir(self.path("conf.d"))
        done = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", ctl.program(), "flow-log", "delete", "edge",
                               "--config", self.config], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 3, done)
        self.assertIn("who may write there: root, or the folder's owner: Permission denied", done.stderr)
        self.assertEqual(os.listdir(self.path("conf.d")), before)

    def test_a_daemon_of_another_user_reads_what_was_written(self):
        os.chmod(self.folder, 0o755)
        os.chmod(self.config, 0o640)
        os.chown(self.config, 0, 65534)
        self.create()
        done = subprocess.run(["setpriv", "--reuid", "65533", "--regid", "65534", "--clear-groups", program(), "--config",
                               self.config, "--print-config"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('name = "edge"', done.stdout)


if __name__ == "__main__":
    main()
