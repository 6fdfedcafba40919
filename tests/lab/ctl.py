"""natsessionctl, asked beside a lab."""

import contextlib
import datetime
import http.client
import json
import os
import socket
import subprocess


def program():
    return os.path.join(os.path.dirname(os.path.abspath(os.environ["NATSESSION"])), "natsessionctl")


def run(*arguments):
    """The output of natsessionctl, however it ends."""
    return subprocess.run([program(), *map(str, arguments)], capture_output=True, text=True, timeout=60).stdout


def ask(*arguments, status=0):
    """The output of natsessionctl; it must end with `status`."""
    done = subprocess.run([program(), *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == status, f"{arguments}: status {done.returncode}: {done.stdout[-500:]} {done.stderr[-1000:]}"
    return done.stdout


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def request(control, method, target):
    """(status, body) of a request to the control socket, without natsessionctl."""
    with contextlib.closing(_UnixConnection(control)) as connection:
        connection.request(method, target)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def status(control):
    return json.loads(ask("--control", control, "--json", "status"))


def collector(control):
    """What the status says of the first collector."""
    return status(control)["collectors"][0]


def verdict(ledger, control, nat, at):
    """Of a trace of who had `nat` at exactly this moment."""
    return json.loads(run("--ledger", ledger, "--control", control, "--json", "trace", "--nat", nat, "--at", f"{at:.3f}",
                          "--slack", "0s"))["verdict"]


def unix_time(text):
    """Of a time as JSON has it."""
    return datetime.datetime.fromisoformat(text).timestamp()


def sink(control, name):
    """What the status says of the sink whose name begins with `name`."""
    found = [s for s in status(control)["sinks"] if s["name"].startswith(name)]
    assert len(found) == 1, f"sinks called {name}: {found}"
    return found[0]


def ledger_lines(directory):
    """All records of a ledger, as lines of JSON."""
    return ask("--ledger", directory, "tail", "-n", 1_000_000_000).splitlines()
