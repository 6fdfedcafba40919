"""What is told is true: refused records and where they are, how a stop went, statuses of the same mistake, plain ASCII."""

import json
import os
import pwd
import subprocess

import ctl
from case import LabCase, main
from daemon import MISSING, RUNTIME_FAILURE, USAGE, run_to_end
from http_server import PORT, HttpServer
from netlab import SERVER4, run, wait_until

USER = pwd.getpwnam("nobody")  # whom every machine has


class ToldTest(LabCase):
    def setUp(self):
        super().setUp()
        os.chmod(self.folder, 0o755)
        self.control = self.path("c.sock")

    def session(self):
        self.client.session("udp", SERVER4, 7000)
        self.lab.conntrack("-D", "-p", "udp")

    def test_refused_records_are_kept_shown_and_taken_out_to_be_sent_again(self):
        self.make_hosts()
        server = HttpServer(self.lab, self.folder, plan=["400", "400"])
        url = f"http://127.0.0.1:{PORT}/in"
        ledger = self.path("ledger")
        daemon = self.start(self.lab, "--ledger", ledger, "--sync", "50ms", "--control", self.control, "--linger", "0s", "--sink", url)
        self.assertEqual(ctl.sink(self.control, url)["state"], "Modifying")
        self.assertIn("nothing was offered to it yet", ctl.ask("--control", self.control, "status"))
        self.assertIn("no sink has refused", ctl.ask("--ledger", ledger, "dead-letters"))

        self.session()
        wait_until(lambda: ctl.sink(self.control, url)["dead_lettered"] == 1, "it is refused")
        self.assertEqual(ctl.sink(self.control, url)["state"], "Failed")
        shown = ctl.ask("--control", self.control, "status")
        self.assertIn("status 400", shown)
        self.assertIn("1 refused records are kept; natsessionctl dead-letters shows them", shown)
        (listed,) = json.loads(ctl.ask("--json", "--ledger", ledger, "dead-letters"))
        self.assertEqual((listed["sink"], listed["letters"]), (url, 1))
        self.assertIn("status 400", listed["why"])
        (record,) = ctl.ask("--ledger", ledger, "dead-letters", url).splitlines()
        self.assertEqual(json.loads(record), json.loads(ctl.ledger_lines(ledger)[-1]))

        again = self.path("again.json")
        ctl.ask("--ledger", ledger, "dead-letters", url, "--take", "-o", again)
        with open(again, encoding="utf-8") as file:
            self.assertEqual(file.read(), record + "\n")
        self.assertIn("no sink has refused", ctl.ask("--ledger", ledger, "dead-letters"))
        ctl.ask("--ledger", ledger, "dead-letters", url, "--take", "-o", again, status=USAGE)

        # The daemon has not been told, and goes on.
        self.session()
        wait_until(lambda: ctl.sink(self.control, url)["dead_lettered"] == 2, "the next is refused")
        self.assertEqual(len(ctl.ask("--ledger", ledger, "dead-letters", url).splitlines()), 1)
        ctl.ask("--ledger", ledger, "dead-letters", url, "--take", "-o", again, status=USAGE)  # is there already
        self.assertEqual(len(ctl.ask("--ledger", ledger, "dead-letters", url).splitlines()), 1)
        run(*self.lab.enter(self.lab.nat), "curl", "--fail", "--silent", "--data-binary", "@" + again, url)
        with open(server.lines_path, encoding="utf-8") as file:
            self.assertEqual(file.read(), record + "\n")
        daemon.stop()

    def test_a_stop_does_not_say_that_all_was_written_when_it_was_not(self):
        self.make_hosts()
        HttpServer(self.lab, self.folder, plan=["403"] * 20)
        daemon = self.start(self.lab, "--linger", "0s", "--sink", f"http://127.0.0.1:{PORT}/in", "--control", self.control)
        self.session()
        wait_until(lambda: ctl.sink(self.control, "http")["state"] == "Failed", "it is refused")
        daemon.stop(status=RUNTIME_FAILURE)
        told = daemon.message_text()
        self.assertIn("records were not delivered", told)
        self.assertIn("records were logged, and not all of them delivered", told)
        self.assertNotIn("records written", told)

    def test_the_same_mistake_has_the_same_status(self):
        self.lab = self.make_lab(acct=0)
        held, secret = self.write("held", ""), self.write("secret", "")
        os.chmod(secret, 0o600)
        os.mkdir(self.path("private"), 0o700)
        self.start(self.lab, "--ledger", self.path("private/ledger")).stop()
        as_user = ("setpriv", f"--reuid={USER.pw_uid}", "--clear-groups")
        for status, daemon, asked, before in (
                (USAGE, ["--no-such-option"], ["tail", "--no-such-option"], ()),
                (USAGE, ["--format", "xml"], ["--ledger", self.path("private/ledger"), "tail", "--format", "xml"], ()),
                (USAGE, ["--check", "--netns", "natlab-nowhere"], ["check", "--netns", "natlab-nowhere"], ()),
                (USAGE, ["--netns", "natlab-nowhere"], ["check", "--netns", "natlab-nowhere"], ()),
                (USAGE, ["--config", self.path("none")], ["trace", "--file", self.path("none")], ()),
                (MISSING, ["--ledger", held + "/ledger"], ["--ledger", held + "/ledger", "verify"], ()),
                (MISSING, ["--check", "--ledger", held + "/ledger"], ["--ledger", held + "/ledger", "dead-letters"], ()),
                (MISSING, ["--check", "--ledger", self.path("private/ledger")],
                 ["--ledger", self.path("private/ledger"), "tail"], as_user),
                (MISSING, ["--ledger", self.path("private/ledger")], ["--ledger", self.path("private/ledger"), "verify"], as_user),
                (MISSING, ["--config", secret], ["--control", self.path("private/c.sock"), "status"], as_user),
                (MISSING, ["--check"], ["check"], ())):
            with self.subTest(daemon=daemon, asked=asked):
                ended, _, told = run_to_end(self.lab, self.folder, *daemon, before=before)
                done = subprocess.run([*self.lab.enter(self.lab.nat), *before, ctl.program(), *asked], cwd=self.folder,
                                      capture_output=True, text=True, timeout=60)
                self.assertEqual((ended, done.returncode), (status, status), told + done.stderr)

    def test_where_the_locale_is_ascii_so_is_what_people_read(self):
        self.make_hosts()
        ledger = self.path("ledger")
        daemon = self.start(self.lab, "--vpc-id", "10.0.0.0/8=grün", "--ledger", ledger, "--sync", "50ms",
                            "--control", self.control, "--sink", "file:" + self.path("größe.json"))
        self.session()
        wait_until(lambda: ctl.ledger_lines(ledger), "a record")
        commands = [line.split()[0] for line in ctl.ask("--list-options").splitlines() if not line.startswith("-")]
        for words in (["--help"], *(["help", command] for command in commands), ["status"], ["sessions"], ["top", "--by", "vpc_id"],
                      ["timeline", "--by", "vpc_id"], ["ports"], ["trace", "203.0.113.1:7", "now"],
                      ["sql", "SELECT vpc_id FROM log"]):
            with self.subTest(words=words):
                asked = [] if "help" in words[0] else ["--control", self.control]
                done = subprocess.run([ctl.program(), *asked, *words], capture_output=True, timeout=60,
                                      env={**os.environ, "LC_ALL": "C"})
                self.assertTrue(done.stdout.isascii() and done.stderr.isascii(), done.stdout + done.stderr)
                self.assertTrue(done.stdout)
        self.assertIn("größe", ctl.ask("--control", self.control, "status"))
        daemon.stop()


if __name__ == "__main__":
    main()
