"""A journald of the test's own, in a mount namespace with a fresh /run. No running systemd is needed."""

import json
import os
import signal
import subprocess

from netlab import run, wait_until

JOURNALD = "/lib/systemd/systemd-journald"
SETUP = r"""
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal /run/systemd/journald.conf.d
printf '[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nRateLimitIntervalSec=0\nRateLimitBurst=0\n' \
  >/run/systemd/journald.conf.d/lab.conf
"""


class Journal:
    """started=False: the fresh /run only, in which nobody listens."""

    def __init__(self, lab, started=True):
        run_it = f"exec {JOURNALD}" if started else "exec sleep infinity"
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-e", "-c",
             SETUP + "touch /run/ready\n" + run_it],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lab.adopt(self)
        ready = f"/proc/{self._process.pid}/root/run/" + ("systemd/journal/socket" if started else "ready")
        wait_until(lambda: os.path.exists(ready), "journald listens")

    def _enter(self):
        """The root is named because in a chroot it is not the mount namespace's."""
        return ["nsenter", f"--target={self._process.pid}", "--mount", "--root", "--wd"]

    def enter(self, lab):
        """For Daemon(enter=…): this /run, and the lab's NAT box."""
        return [*self._enter(), f"--net=/run/netns/{lab.nat}"]

    def _journalctl(self, *arguments):
        return run(*self._enter(), "journalctl", *arguments)

    def entries(self):
        """What natsessiond wrote, as dicts of fields."""
        self._journalctl("--sync")
        return [json.loads(line) for line in self._journalctl("-o", "json", "--all").splitlines()
                if "NATSESSION_SESSION_ID" in line]

    def freeze(self):
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self._process.send_signal(signal.SIGCONT)

    def close(self):
        self._process.kill()
        self._process.wait()
