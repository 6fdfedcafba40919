"""--user: started as root, it goes on as a user of its own, and all that it writes is still writable."""

import os
import pwd
import signal

import ctl
from case import LabCase, main
from daemon import MISSING, USAGE, run_to_end, status_of
from netlab import SERVER4, run, wait_until

USER = pwd.getpwnam("nobody")  # whom every machine has
CAP_NET_ADMIN = 1 << 12


class UserTest(LabCase):
    def setUp(self):
        super().setUp()
        os.chmod(self.folder, 0o755)
        self.ledger, self.control = self.path("ledger"), self.path("run/control.sock")

    def begin(self, *arguments):
        # Outside of the lab, whose NAT box it would keep if it ran in it.
        return self.start(self.lab, "--user", USER.pw_name, "--ledger", self.ledger, "--sync", "100ms", "--control",
                          self.control, "--netns", self.lab.nat, *arguments, enter=())

    def folder_of_user(self, name):
        os.mkdir(self.path(name))
        os.chown(self.path(name), USER.pw_uid, USER.pw_gid)
        return self.path(name)

    def session(self):
        self.client.session("udp", SERVER4, 7000)
        self.lab.delete_flows("-p", "udp")

    def refused(self, *arguments, status=MISSING):
        lab = self.make_lab()
        ended, out, told = run_to_end(lab, self.folder, "--user", USER.pw_name, *arguments)
        self.assertEqual(ended, status, told)
        self.assertNotIn("ready:", told)
        self.assertEqual(out, "")
        return told

    def test_it_and_its_processes_are_that_user_and_have_what_they_need(self):
        self.make_hosts()
        daemon = self.begin("--sink", "stdout")
        for pid in (daemon.pid, *daemon.children().values()):
            status = status_of(pid)
            self.assertEqual(status["Uid"].split(), [str(USER.pw_uid)] * 4)
            self.assertEqual(status["Gid"].split(), [str(USER.pw_gid)] * 4)
            self.assertEqual({int(group) for group in status["Groups"].split()}, {USER.pw_gid})
        self.assertEqual(int(status_of(daemon.pid)["CapPrm"], 16), CAP_NET_ADMIN)
        self.assertEqual(int(status_of(daemon.pid)["CapEff"], 16), CAP_NET_ADMIN)
        self.session()
        daemon.wait_for_ends(1)
        self.lab.remove_nat()
        wait_until(self.lab.nat_is_freed, "the namespace is let go")
        self.lab.add_nat()
        daemon.wait_for_message("there is one again")
        self.lab.join_nat()
        wait_until(lambda: ctl.collector(self.control)["ready"], "the new one is known")
        self.session()
        daemon.wait_for_ends(2)
        daemon.stop()

    def test_it_and_its_processes_refuse_themselves_what_they_have_no_use_for(self):
        self.make_hosts()
        daemon = self.begin("--sink", "stdout")
        filtered = "2"  # /proc/PID/status: 0 none, 1 strict
        threads = os.listdir(f"/proc/{daemon.pid}/task")
        self.assertGreater(len(threads), 3)
        for pid in (*threads, *daemon.children().values()):
            wait_until(lambda: status_of(pid)["Seccomp"] == filtered, f"a filter of process {pid}")
        self.session()
        daemon.wait_for_ends(1)
        daemon.stop()
        self.assertNotIn("not refused", daemon.message_text())

    def test_what_it_writes_it_can_reopen_rotate_and_go_on_with(self):
        self.make_hosts()
        logs = self.folder_of_user("logs")
        log = os.path.join(logs, "log.json")
        sinks = ("--sink", f"file:{log}?rotate_size=64K", "--sink", "exec:cat >/dev/null")
        first = self.begin(*sinks)
        self.session()
        wait_until(lambda: ctl.sink(self.control, "file:")["delivered"] >= 1, "a record in the file")
        os.rename(log, log + ".moved")
        first.send_signal(signal.SIGHUP)
        self.session()
        wait_until(lambda: os.path.exists(log) and os.path.getsize(log), "the file is there again")
        first.stop()
        self.assertFalse(os.path.exists(self.control))
        second = self.begin(*sinks)
        self.session()
        wait_until(lambda: ctl.sink(self.control, "file:")["delivered"] >= 1, "a record in the file")
        second.stop()
        for folder in (self.ledger, logs, os.path.dirname(self.control)):
            for name in (folder, *(os.path.join(folder, entry) for entry in os.listdir(folder))):
                self.assertEqual(os.stat(name).st_uid, USER.pw_uid, name)

    def test_a_ledger_of_another_is_refused_with_the_way_out_and_stays_as_it_is(self):
        self.make_hosts()
        self.start(self.lab, "--user", "root", "--ledger", self.ledger).stop()
        before = sorted(os.listdir(self.ledger))
        self.assertEqual(os.stat(self.ledger).st_uid, 0)
        told = self.refused("--ledger", self.ledger)
        self.assertIn(f"{self.ledger}: user {USER.pw_name} may not write there: chown -R {USER.pw_name}: {self.ledger}", told)
        os.chown(self.ledger, USER.pw_uid, USER.pw_gid)
        self.assertIn(f"chown -R {USER.pw_name}: {self.ledger}", self.refused("--ledger", self.ledger))
        self.assertEqual(sorted(os.listdir(self.ledger)), before)
        status, said, told = run_to_end(self.lab, self.folder, "--check", "--user", USER.pw_name, "--ledger", self.ledger)
        self.assertEqual(status, MISSING, said + told)
        self.assertIn(f"chown -R {USER.pw_name}: {self.ledger}", said + told)
        run("chown", "-R", f"{USER.pw_name}:", self.ledger)
        self.begin().stop()

    def test_a_sink_that_it_could_not_write_or_rotate_is_refused(self):
        told = self.refused("--sink", "file:" + self.path("log.json"))
        self.assertIn(self.path("log.json"), told)
        self.assertIn(f"goes on as user {USER.pw_name}: chown {USER.pw_name}: ", told)
        self.write("log.json", "")
        os.chown(self.path("log.json"), USER.pw_uid, USER.pw_gid)
        told = self.refused("--sink", "file:" + self.path("log.json") + "?rotate_size=64K")
        self.assertIn(f"rotate {self.path('log.json')} in {self.folder}: ", told)

    def test_a_user_that_there_is_not_is_refused(self):
        lab = self.make_lab()
        status, _, told = run_to_end(lab, self.folder, "--user", "natlab-nobody")
        self.assertEqual(status, USAGE, told)
        self.assertIn("there is no user natlab-nobody", told)


if __name__ == "__main__":
    main()
