"""Daemon: natsessiond, started beside a lab, its records and messages, its signals and its end."""

import contextlib
import json
import os
import select
import signal
import subprocess
import threading
import time
from decimal import Decimal

from netlab import wait_until

STOPPED_ON_REQUEST, RUNTIME_FAILURE, USAGE, MISSING = 0, 1, 2, 3
INSTANCE, VPC = "lab-gateway", "vpc-lab"


def program():
    path = os.environ.get("NATSESSION")
    assert path, "NATSESSION must hold the path of natsessiond"
    return os.path.abspath(path)


def parse(line):
    """Times are decimals, so that a millisecond is compared as it stands."""
    return json.loads(line, parse_float=Decimal)


def read_records(path, starts=False):
    """The whole lines of a file of JSON records; a line under way is left for the next look."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        text = file.read()
    records = [parse(line) for line in text[:text.rfind("\n") + 1].splitlines()]
    # That nothing is known of the time before a start without a ledger is a test's subject only where it asks.
    return records if starts else [r for r in records if r.get("reason") != "started"]


class Daemon:
    """Started and ready when the constructor returns. Its stdout is a file, records() reads it.

    NATSESSION_EVENTS: which --events, where the test itself does not say.
    before: a command that runs it, such as setpriv. enter: how it comes into the NAT box's namespace. pass_fds: what
    it is to inherit.
    """

    def __init__(self, lab, folder, *arguments, before=(), enter=None, environment=None, pass_fds=(), instance=INSTANCE):
        self._lab = lab
        self._stdout_path = os.path.join(folder, "stdout.jsonl")
        self.messages = []
        enter = lab.enter(lab.nat) if enter is None else enter
        events = os.environ.get("NATSESSION_EVENTS")
        if events and "--events" not in arguments:
            arguments = (*arguments, "--events", events)
        with open(self._stdout_path, "ab") as stdout:
            self._process = subprocess.Popen(
                [*enter, *before, program(), "--instance", instance, "--vpc-id", VPC, *map(str, arguments)],
                stdout=stdout, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=folder,
                env={**os.environ, **(environment or {})}, text=True, errors="backslashreplace",
                start_new_session=True, pass_fds=pass_fds)
        lab.adopt(self)
        self._reader = threading.Thread(target=self._read_messages, daemon=True)
        self._reader.start()
        wait_until(self._is_ready, lambda: "the daemon is not ready: " + self.message_text())

    @property
    def pid(self):
        return self._process.pid

    def _read_messages(self):
        for line in self._process.stderr:
            self.messages.append(line.rstrip("\n"))

    def _is_ready(self):
        if self._process.poll() is not None:
            self._reader.join(5)
            status = self._process.returncode
            raise AssertionError(f"the daemon ended with status {status}: {self.message_text()}")
        return any("ready:" in line for line in list(self.messages))

    def is_running(self):
        return self._process.poll() is None

    def message_text(self):
        return "\n".join(self.messages)

    def wait_for_message(self, text):
        wait_until(lambda: any(text in line for line in list(self.messages)),
                   lambda: f"a message with {text!r}; there is: {self.message_text()}")

    def output(self):
        with open(self._stdout_path, encoding="utf-8") as file:
            return file.read()

    def records(self):
        return read_records(self._stdout_path)

    def wait_for_records(self, condition, what):
        """Until condition(records) is true. Returns the records."""
        def met():
            records = self.records()
            return records if condition(records) else None
        return wait_until(met, lambda: f"{what}; the records are: {self.records()[-5:]}")

    def wait_for_ends(self, count):
        """The kernel looks for timed-out flows once a minute when there are few: that is longer than is waited here. Listing
        the table makes it do so at once."""
        listed_at = 0.0

        def enough(records):
            nonlocal listed_at
            if len(ends(records)) >= count:
                return True
            if time.monotonic() - listed_at > 0.2:
                self._lab.conntrack("-L", check=False)
                listed_at = time.monotonic()
            return False
        return self.wait_for_records(enough, f"{count} end records")

    def send_signal(self, number):
        self._process.send_signal(number)

    def children(self):
        """The processes that it has made of itself: {name: pid}."""
        with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as file:
            pids = [int(pid) for pid in file.read().split()]
        names = {}
        for pid in pids:
            # One that ends meanwhile is none any more.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                names[file.read().rstrip("\n")] = pid
        return names

    def child(self, name):
        """It has its name a moment after it was made."""
        return wait_until(lambda: self.children().get(name), f"a child {name}")

    def end_child(self, name):
        """Kills one, and waits until the daemon has taken note of it."""
        os.kill(self.child(name), signal.SIGKILL)
        wait_until(lambda: name not in self.children(), f"{name} is gone")

    def stop(self, number=signal.SIGTERM, status=STOPPED_ON_REQUEST):
        """Asks it to stop. Returns the records when it has ended, with the status that is expected."""
        self.send_signal(number)
        return self.wait_for_end(status)

    def wait_for_end(self, status=STOPPED_ON_REQUEST):
        """Likewise, of one that stops already, or will by itself."""
        try:
            ended = self._process.wait(60)
        except subprocess.TimeoutExpired:
            raise AssertionError("the daemon did not stop: " + self.message_text()) from None
        self._reader.join(5)
        assert ended == status, f"the daemon ended with status {ended}: {self.message_text()}"
        return self.records()

    def close(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)
        self._process.stderr.close()


def ends(records):
    return [r for r in records if r["event"] == "end"]


def has_ended(pidfd):
    return bool(select.select([pidfd], [], [], 0)[0])


def status_of(pid):
    """What the kernel says of a process, by key."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return {key: value.strip() for key, _, value in (line.partition(":") for line in file)}


def run_to_end(lab, folder, *arguments, before=(), enter=None, environment=None):
    """For starts that are refused, and for --check and the like: (status, stdout, stderr)."""
    enter = lab.enter(lab.nat) if enter is None else enter
    done = subprocess.run(
        [*enter, *before, program(), *map(str, arguments)], cwd=folder,
        env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        errors="backslashreplace", timeout=30)
    return done.returncode, done.stdout, done.stderr
