"""natsessionctl flow-log: what it writes is what the next start of the daemon does."""

import grp
import json
import os
import shutil
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

    def ports(self, name):
        """Of the sessions that it has entries of."""
        return {int(line.split(" ")[place]) for line in self.entries(name) for place in (5, 6)} - {7000}

    def test_of_the_time_that_it_was_off_nothing_is_told(self):
        """Another flow log has the ledger keep what then crossed."""
        self.config = self.write("natsessiond.toml", f'control = "{self.control}"\nsink = ["stdout"]\n'
                                 f'ledger = "{self.path("ledger")}"\nhandover = "{self.path("handover.sock")}"\n')
        self.create("edge")
        self.create("other")
        ports = []
        for change in ("stop", "start", None):
            daemon = self.begin()
            ports.append(self.client.session("udp", SERVER4, 7000))
            self.lab.wait_for_expiry()
            wait_until(lambda: ports[-1] in self.ports("other"), "its entries in the other")
            if change != "start":
                wait_until(lambda: ports[-1] in self.ports("edge"), "its entries")
            if change:
                self.flow_log(change, "edge")
            daemon.stop()
        self.assertEqual(self.ports("other"), set(ports))
        self.assertEqual(self.ports("edge"), {ports[0], ports[2]})
        # The same by a log that is deleted, and made again.
        self.flow_log("delete", "edge")
        daemon = self.begin()
        ports.append(self.client.session("udp", SERVER4, 7000))
        self.lab.wait_for_expiry()
        wait_until(lambda: ports[-1] in self.ports("other"), "its entries in the other")
        daemon.stop()
        self.create("edge")
        daemon = self.begin()
        ports.append(self.client.session("udp", SERVER4, 7000))
        self.lab.wait_for_expiry()
        wait_until(lambda: ports[-1] in self.ports("edge"), "its entries")
        daemon.stop()
        self.assertEqual(self.ports("edge"), {ports[0], ports[2], ports[4]})

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

    def ask_as_stranger(self, *words, groups=()):
        """(status, stdout, stderr) of one who is neither root nor the daemon's user."""
        done = subprocess.run([shutil.copy(ctl.program(), self.path("natsessionctl")), "--control", self.control, "flow-log", *words],
                              capture_output=True, text=True, timeout=60, user=12345, group=12345,
                              extra_groups=[grp.getgrnam(name).gr_gid for name in groups])
        return done.returncode, done.stdout, done.stderr

    def test_who_may_steer_the_daemon_has_it_change_flow_logs(self):
        os.chmod(self.folder, 0o755)
        daemon = self.start(self.lab, "--config", self.config, "--control-group", "users", "--steer-group", "staff")
        who = {"groups": ("users", "staff")}

        def steer(*words, groups=("users", "staff")):
            status, out, told = self.ask_as_stranger(*words, groups=groups)
            self.assertEqual(status, 0, told)
            return out
        create = ("create", "edge", "--resource", "inner", "--record", "aws", "--window", "2s", "--destination",
                  "file:" + self.path("edge.log"))
        for groups, why in (((), "permission denied: it is for root and members of the group users"),
                            (("users",), "changes are for root, the daemon's own user and members of its --steer-group")):
            status, _, told = self.ask_as_stranger(*create, groups=groups)
            self.assertEqual(status, 3, told)
            self.assertIn(why, told)
        self.assertIn("there is no flow log", steer("list", groups=("users",)))
        self.assertIn("flow log edge: created", steer(*create))
        daemon.wait_for_message("control socket: flow log edge: created")
        self.assertIn("on, after a restart", steer("list", groups=("users",)))
        self.assertIn("inner", steer("show", "edge"))
        steer("stop", "edge")
        self.assertEqual("off", self.flow_log_json("show", "edge")["state"])
        steer("start", "edge")
        steer("tag", "edge", "team=net", "tier=1")
        steer("tag", "edge", "--remove", "tier")
        steer("rename", "edge", "border")
        self.assertEqual([("border", ["team=net"])], [(log["name"], log["tags"]) for log in self.flow_log_json("list")])
        for words, why in ((("create", "x", "--resource", "inner", "--record", "aws", "--destination", "exec:/bin/cat"),
                            "a flow log whose destination starts a program is made by root"),
                           (("delete", "bordr"), "did you mean border?"),
                           (("create", "border", "--resource", "nat", "--record", "aws", "--destination", "stdout"),
                            "there is a flow log border already")):
            status, _, told = self.ask_as_stranger(*words, **who)
            self.assertIn(status, (2, 3), told)
            self.assertIn(why, told)
        daemon.stop()
        daemon = self.begin()
        self.assertEqual([True], [log["running"] for log in self.flow_log_json("list")])
        daemon.stop()
        self.flow_log("delete", "border")
        self.assertIn("there is no flow log", self.flow_log("list"))

    def test_a_daemon_that_may_not_write_there_says_so_and_one_with_a_folder_of_its_own_may(self):
        os.chmod(self.folder, 0o755)
        self.config = self.write("natsessiond.toml", f'control = "{self.control}"\nsink = ["stdout"]\nuser = "nobody"\n'
                                 'control_group = "users"\nsteer_group = "staff"\n')
        os.chmod(self.config, 0o644)
        who = {"groups": ("users", "staff")}
        create = ("create", "edge", "--resource", "inner", "--record", "aws", "--window", "2s", "--destination",
                  "file:" + self.path("edge.log"))
        daemon = self.start(self.lab, "--config", self.config)
        status, _, told = self.ask_as_stranger(*create, **who)
        self.assertEqual(status, 3, told)
        self.assertIn("conf.d: it is not there, and cannot be made", told)
        os.mkdir(self.path("flow-logs.d"), 0o755)
        os.chown(self.path("flow-logs.d"), 65534, 65534)
        status, _, told = self.ask_as_stranger(*create, **who)
        self.assertEqual(status, 0, told)
        self.assertEqual(["edge"], [log["name"] for log in self.flow_log_json("list")])
        # Root goes on where it is, and leaves it to the one whose it is.
        self.flow_log("stop", "edge")
        self.assertEqual(os.stat(self.path("flow-logs.d/flow-edge.toml")).st_uid, 65534)
        status, _, told = self.ask_as_stranger("delete", "edge", **who)
        self.assertEqual(status, 0, told)
        daemon.stop()

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
