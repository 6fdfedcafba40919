"""Restless: many short sessions and a few that live for some seconds, and of these the moments at which they lived."""

import contextlib
import random
import threading
import time
from dataclasses import dataclass

from netlab import CLIENT4, CLIENT6, OUTER4, SERVER4, SERVER6
from traffic import Host

FIRST_LONG_PORT = 50_000  # a port is used once, so masquerading keeps it
PROTOCOLS = {"tcp": 6, "udp": 17}
LONG_SECONDS = (4, 12)  # longer than any fault: none begins and ends in one
KNOWN_SECONDS = 0.1  # in which a daemon that runs has received what the kernel told of a beginning


@dataclass(frozen=True)
class Moment:
    """At which a session certainly was: a packet of it had just been answered. In seconds of the machine's clock."""
    protocol: int
    nat_ip: str
    nat_port: int
    at: float


class Restless(threading.Thread):
    """Goes on until it is told to stop."""

    def __init__(self, lab, seed):
        super().__init__(daemon=True)
        self._host = Host(lab, lab.client, [CLIENT4, CLIENT6])
        self._chance = random.Random(seed)
        self._over = threading.Event()
        self._turn = threading.Lock()
        self._alive = {}  # {name: (protocol, port, first exchange, until)}
        self._count = 0
        self.moments = []

    def run(self):
        while not self._over.is_set():
            with self._turn:
                self._go_on()
            self._over.wait(self._chance.uniform(0.05, 0.3))
        with self._turn:
            self._forget()
        self._host.close()

    def _go_on(self):
        first_port = 10000 + self._count * 40 % 30000
        self._try(self._host.burst, "udp", self._server(), 7000, first_port, 20, seed=self._count)
        self._try(self._host.burst, "tcp", self._server(), 7000, first_port + 20, 10, seed=self._count)
        if len(self._alive) < 10:
            self._begin_long()
        for name in list(self._alive):
            protocol, port, began, until = self._alive[name]
            if time.monotonic() > until or not self._try(self._host.exchange, name, 100, 100):
                self._end_long(name)
            elif (now := time.time()) > began + KNOWN_SECONDS:
                self.moments.append(Moment(PROTOCOLS[protocol], OUTER4, port, now))
        self._count += 1

    def _begin_long(self):
        protocol, port = self._chance.choice(("tcp", "udp")), FIRST_LONG_PORT + self._count % 10000
        name = f"long {self._count}"
        if self._try(self._host.open, name, protocol, SERVER4, 7000, port):
            if self._try(self._host.exchange, name, 100, 100):
                self._alive[name] = protocol, port, time.time(), time.monotonic() + self._chance.uniform(*LONG_SECONDS)
            else:
                self._try(self._host.shut, name, "rst")

    def _end_long(self, name):
        self._try(self._host.shut, name, "rst")
        del self._alive[name]

    def _forget(self):
        for name in list(self._alive):
            self._end_long(name)

    def _server(self):
        return self._chance.choice((SERVER4, SERVER6))

    def _try(self, call, *arguments, **how):
        """A connection that is flushed from the table may never be answered again."""
        try:
            call(*arguments, **how)
            return True
        except AssertionError:
            return False

    @contextlib.contextmanager
    def paused(self):
        """Between two packets; sessions stay open."""
        with self._turn:
            yield

    @contextlib.contextmanager
    def ended(self):
        """Nothing lives, and nothing begins."""
        with self._turn:
            self._forget()
            yield

    def finish(self):
        self._over.set()
        self.join(60)
        assert not self.is_alive(), "the traffic does not end"
