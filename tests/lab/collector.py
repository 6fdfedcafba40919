"""Collector: the test's side of collector_agent.py, a log server in the NAT box's namespace."""

import os
import re
import subprocess
import sys

from daemon import parse
from netlab import run, wait_until

AGENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "collector_agent.py")
HTTP_PORT, SYSLOG_PORT = 10080, 10514


class Collector:
    def __init__(self, lab, folder, kind, port):
        self._lab, self._kind, self._port = lab, kind, port
        self.path = os.path.join(folder, kind + ".out")
        self._mode = os.path.join(folder, kind + ".mode")
        self._process = None
        self.behave("ok")
        run(*lab.enter(lab.nat), "ip", "link", "set", "lo", "up")
        lab.adopt(self)
        self.start()

    def start(self):
        self._process = subprocess.Popen(
            [*self._lab.enter(self._lab.nat), sys.executable, "-B", AGENT, self._kind, str(self._port), self.path,
             self._mode], stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self._process.stdout.readline() == "ready\n", "the collector does not start"

    def stop(self):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    close = stop

    def behave(self, mode):
        with open(self._mode + ".new", "w", encoding="utf-8") as file:
            file.write(mode)
        os.replace(self._mode + ".new", self._mode)

    @property
    def url(self):
        return f"http://127.0.0.1:{self._port}/log" if self._kind == "http" else f"syslog+tcp://127.0.0.1:{self._port}"

    def lines(self):
        if not os.path.exists(self.path):
            return []
        with open(self.path, encoding="utf-8") as file:
            return file.read().splitlines()

    def records(self):
        """http only."""
        return [parse(line) for line in self.lines()]

    def names(self):
        """(session_id, seq) of every record, in the order of their arrival; gap records have none."""
        found = []
        for line in self.lines():
            name = re.search(r'session_id(?:="|":")([0-9a-f]{16})".*?[ ,"]seq(?:="|":)(\d+)', line)
            if name:
                found.append((name[1], int(name[2])))
        return found

    def wait_for(self, condition, what, seconds=30):
        wait_until(lambda: condition(self), lambda: f"{what}; the last lines: {self.lines()[-3:]}", seconds)
