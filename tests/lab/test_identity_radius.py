"""RADIUS accounting to the daemon itself, by FreeRADIUS's radclient: what a client was answered, the log has."""

import json
import os
import signal
import subprocess
import time

import ctl
from case import LabCase, main
from dhcp import need
from netlab import wait_until
from untracked import leave_untracked

SESSIONS = 40


class IdentityRadiusTest(LabCase):
    def begin(self):
        need("/usr/bin/radclient")
        self.lab = self.make_lab()
        leave_untracked(self.lab)
        self.ledger, self.control = self.path("ledger"), self.path("control.sock")
        secret = self.write("secret", "testing123\n")
        os.chmod(secret, 0o600)
        self.source = f"radius://127.0.0.1:1813?secret={secret}"
        self.start_daemon()

    def start_daemon(self):
        self.daemon = self.start(self.lab, "--ledger", self.ledger, "--control", self.control, "--sink",
                                 "file:" + self.path("log.json"), "--identity", self.source)

    def report(self):
        return json.loads(ctl.run("--json", "--control", self.control, "status"))["identity"]["sources"][0]

    def send(self, *rows, secret="testing123"):
        """All at once, each until it is answered. Returns the status of radclient."""
        text = "".join("\n".join(row) + "\n\n" for row in rows)
        return subprocess.run([*self.lab.enter(self.lab.nat), "radclient", "-p", str(SESSIONS), "-r", "3", "-t", "3",
                               "127.0.0.1:1813", "acct", secret], input=text, capture_output=True, text=True).returncode

    @staticmethod
    def row(status, number, *more):
        return (f"Acct-Status-Type = {status}", f'Acct-Session-Id = "s{number}"', f'User-Name = "user{number}"',
                'NAS-Identifier = "bras1"', *more)

    def who(self, address, moment):
        """The subscribers that are named."""
        done = subprocess.run([ctl.program(), "--json", "--ledger", self.ledger, "--control", self.control, "identity", "who",
                               address, f"{moment:.3f}", "--slack", "0ms"], capture_output=True, text=True, timeout=60)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return done.stdout

    def test_what_a_client_was_answered_outlives_the_daemon(self):
        self.begin()
        starts = [self.row("Start", number, f"Framed-IP-Address = 10.64.2.{number}",
                           f"Delegated-IPv6-Prefix = 2001:db8:{number:x}::/48") for number in range(1, SESSIONS + 1)]
        self.assertEqual(self.send(*starts), 0)
        # Another client begins anew: its sessions end, and nobody else's.
        other = [row for row in self.row("Start", 77, "Framed-IP-Address = 10.64.3.77") if "bras1" not in row]
        self.assertEqual(self.send((*other, 'NAS-Identifier = "bras2"')), 0)
        self.assertEqual(self.report()["open"], 2 * SESSIONS + 1)
        self.assertEqual(self.send(("Acct-Status-Type = Accounting-On", 'NAS-Identifier = "bras2"')), 0)
        self.assertEqual(self.report()["open"], 2 * SESSIONS)
        self.daemon.send_signal(signal.SIGKILL)
        self.daemon.close()
        answered = time.time()
        self.start_daemon()
        wait_until(lambda: self.report()["open"] == 2 * SESSIONS, lambda: f"all are there: {self.report()}")
        # Of a session that began before the restart all ends, though its Stop says no addresses.
        self.assertEqual(self.send(self.row("Stop", 1)), 0)
        stopped = time.time()
        self.assertEqual(self.send(starts[1]), 0)  # as if it had had no answer
        wait_until(lambda: self.report()["followed_until"] and ctl.unix_time(self.report()["followed_until"]) > stopped,
                   "it is followed up to now")
        self.assertIn('"user2"', self.who("10.64.2.2", stopped))
        self.assertIn('"user3"', self.who("2001:db8:3:77::1", stopped))
        self.assertLess(answered, stopped)
        self.assertNotEqual(self.send(self.row("Start", 99, "Framed-IP-Address = 10.64.2.99"), secret="another"), 0)
        report = self.report()
        self.assertEqual(report["open"], 2 * SESSIONS - 2)
        self.assertGreaterEqual(report["refused"], 1)


if __name__ == "__main__":
    main()
