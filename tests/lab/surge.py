"""The story of the cloud's document on traffic tracing: of twenty hosts one makes a surge to one public address, whose owner
knows no more than the translated address and the time."""

import json
import time

import ctl
from case import LabCase
from daemon import ends
from netlab import SERVER4, run, wait_until
from traffic import client_and_server

HOSTS = [f"10.64.0.{100 + i}" for i in range(20)]
SURGER = HOSTS[13]
PORT = 7000
VICTIM = "203.0.113.157"
SURGE_SESSIONS, SURGE_BYTES = 40, 20_000


class SurgeCase(LabCase):
    def begin(self, *arguments):
        self.lab = self.make_lab()
        for address in HOSTS:
            run("ip", "-n", self.lab.client, "addr", "add", f"{address}/32", "dev", "eth0")
        run("ip", "-n", self.lab.server, "addr", "add", f"{VICTIM}/32", "dev", "eth0")
        run("ip", "-n", self.lab.nat, "route", "add", f"{VICTIM}/32", "via", SERVER4)
        self.client, self.server = client_and_server(self.lab, PORT)
        self.server.ask("serve", protocol="tcp", address=VICTIM, port=PORT)
        self.ledger, self.control = self.path("ledger"), self.path("control.sock")
        self.daemon = self.start(self.lab, "--ledger", self.ledger, "--control", self.control, "--sync", "100ms",
                                 *arguments)
        self.began = time.time()

    def open(self, name, host, peer):
        return self.client.ask("open", name=name, protocol="tcp", source=host, source_port=0, destination=peer, port=PORT)

    def session(self, host, peer, send):
        self.open("one", host, peer)
        self.client.exchange("one", send, 100)
        self.client.shut("one")

    def records(self):
        return [json.loads(line) for line in ctl.ledger_lines(self.ledger)]

    def make_the_surge(self):
        for host in HOSTS:
            self.session(host, SERVER4, 50_000)
            self.session(host, VICTIM, 400)
        for _ in range(SURGE_SESSIONS):
            self.session(SURGER, VICTIM, SURGE_BYTES)
        self.lab.delete_flows("-p", "tcp")
        made = 2 * len(HOSTS) + SURGE_SESSIONS
        return wait_until(lambda: [r for r in ends(self.records())] if len(ends(self.records())) >= made else None,
                          f"{made} sessions in the ledger")


def damage(ledger):
    """The middle half of each segment of a pathlib.Path: a few bytes may hit what a question does not read."""
    segments = list(ledger.glob("segments/*.open")) + list(ledger.glob("segments/*.sealed"))
    assert segments, f"no segment in {ledger}"
    for segment in segments:
        data = bytearray(segment.read_bytes())
        for place in range(len(data) // 4, len(data) * 3 // 4):
            data[place] ^= 0xFF
        segment.write_bytes(data)
