"""Sessions by the hundred thousand: the programs that make them, and what the log says of them.

Flood makes them through ctnetlink, as fast as the kernel takes them. send_datagrams() makes them with real packets.
A log of that size is read as it grows, and only for what the tests ask.
"""

import json
import os
import re
import subprocess
import time
from collections import Counter
from ipaddress import IPv4Address

from daemon import parse
from netlab import missing, run, wait_until

# Of tests/bench/flood.cc and udp_sessions.cc.
PORTS_PER_HOST, FIRST_PORT = 50_000, 1024
FLOOD_PRI, FLOOD_NAT = IPv4Address("10.0.0.2"), IPv4Address("203.0.113.1")
DATAGRAM_BYTES = 60  # IPv4, UDP and 32 bytes


def tool(variable):
    """The path of a traffic program, from the environment."""
    path = os.environ.get(variable)
    if not path or not os.access(path, os.X_OK):
        missing(f"{variable} must hold the path of a program of tests/bench, not {path!r}")
    return os.path.abspath(path)


def from_environment(variable, otherwise):
    return int(os.environ.get(variable) or otherwise)


class Flood:
    """Makes and deletes sessions in the NAT box of a lab. `made` counts them."""

    def __init__(self, lab):
        self._lab = lab
        self._program = tool("NATSESSION_FLOOD")
        self._background = None
        self.made = 0

    def _command(self, *arguments):
        return [*self._lab.enter(self._lab.nat), self._program, *map(str, arguments)]

    def insert(self, count):
        """Makes `count` sessions; returns how many the kernel refused, because the table is full."""
        done = subprocess.run(self._command("insert", count), capture_output=True, text=True)
        return count - self._count_made(done.stdout, done.stderr)

    def _count_made(self, out, told):
        made = re.match(r"inserted (\d+) ", out)
        assert made, f"flood insert: {out} {told}"
        self.made += int(made[1])
        return int(made[1])

    def begin_insert(self, count):
        """Goes on by itself until finish_insert()."""
        self._background = subprocess.Popen(self._command("insert", count), stdout=subprocess.PIPE,
                                            stderr=subprocess.PIPE, text=True)
        self._lab.adopt(self)

    def finish_insert(self):
        """Returns how many sessions were made."""
        return self._count_made(*self._background.communicate())

    def again(self, count):
        """One session, made and deleted so many times, several in each millisecond."""
        run(*self._command("again", count))

    def flush(self):
        """Deletes the whole table: every session in it ends."""
        run(*self._command("flush"))

    def close(self):
        if self._background.poll() is None:
            self._background.kill()
            self._background.communicate()


def flood_sessions(count):
    """What `flood insert count` makes: {(pri_ip, pri_port, pub_ip): (nat_ip, nat_port)}."""
    sessions = {}
    for host in range(-(-count // PORTS_PER_HOST)):
        pri, nat = str(FLOOD_PRI + host), str(FLOOD_NAT + host)
        for port in range(FIRST_PORT, FIRST_PORT + min(PORTS_PER_HOST, count - host * PORTS_PER_HOST)):
            sessions[pri, port, "198.51.100.7"] = nat, port
    return sessions


def send_datagrams(lab, source, destination, count, rate):
    """One datagram from each of `count` ports of `source` to UDP port 5353 of `destination`, `rate` a second."""
    assert count <= PORTS_PER_HOST
    run(*lab.enter(lab.client), tool("NATSESSION_UDP_SESSIONS"), source, destination, count, rate)


def listed_sessions(lab):
    """What `conntrack -L` shows of source-NATed UDP flows, in the form of flood_sessions()."""
    sessions = {}
    for line in lab.conntrack("-L", "-p", "udp", "-n").splitlines():
        src, dst, sport, _, _, reply_dst, _, reply_dport = re.findall(r"\b(?:src|dst|sport|dport)=(\S+)", line)
        sessions[src, int(sport), dst] = reply_dst, int(reply_dport)
    return sessions


class Tally:
    """What the records of a log amount to."""

    def __init__(self):
        self.ends = []      # the end records' sessions, as the keys and values of flood_sessions() put them
        self.reasons = Counter()  # of the end records
        self.counters = Counter()  # (bytes_from_vpc, pkts_from_vpc, bytes_from_pub, pkts_from_pub) of the end records
        self.ended = Counter()  # session ids of the end records
        self.started = set()    # of the start records
        self.unfinished = []    # records of sessions that live
        self.gaps = []

    def add(self, record):
        event = record["event"]
        if event == "gap" and record["reason"] == "started":
            return
        if event == "gap":
            self.gaps.append(record)
        elif event == "start":
            self.started.add(record["session_id"])
        elif event == "interim":
            self.unfinished.append(record)
        else:
            self.ends.append(((record["pri_ip"], record["pri_port"], record["pub_ip"]),
                              (record["nat_ip"], record["nat_port"])))
            self.reasons[record["reason"]] += 1
            self.counters[record["bytes_from_vpc"], record["pkts_from_vpc"], record["bytes_from_pub"],
                          record["pkts_from_pub"]] += 1
            self.ended[record["session_id"]] += 1

    @property
    def events_lost(self):
        """Of all gap records; each must know it."""
        return sum(gap["events_lost"] for gap in self.gaps)

    def ends_of_flood(self):
        """How many end records are of sessions that Flood made."""
        return sum(pri.startswith("10.0.0.") for (pri, _, _), _ in self.ends)

    def twice(self):
        return {session: times for session, times in self.ended.items() if times > 1}


class Log:
    """A file of JSON records that grows. `choose`: which records count; all, if not given."""

    def __init__(self, path, choose=None):
        self.path = path
        self._choose = choose or (lambda record: True)
        self._offset = 0
        self._rest = b""
        self._tally = Tally()

    def tally(self):
        """As of now."""
        if not os.path.exists(self.path):
            return self._tally
        with open(self.path, "rb") as file:
            file.seek(self._offset)
            while chunk := file.read(1 << 24):
                self._offset += len(chunk)
                *lines, self._rest = (self._rest + chunk).split(b"\n")
                for line in lines:
                    # The times of a gap are compared; decimals cost too much for all.
                    record = parse(line) if b'"gap"' in line else json.loads(line)
                    if self._choose(record):
                        self._tally.add(record)
        return self._tally

    def wait_until(self, condition, what, seconds=60.0):
        """Until condition(tally) is true. Returns the tally."""
        def told():
            tally = self.tally()
            return (f"{what}; there are {len(tally.ends)} ends ({dict(tally.reasons)}), {len(tally.started)} starts, "
                    f"{len(tally.unfinished)} interims, gaps: {tally.gaps}")
        wait_until(lambda: condition(self.tally()), told, seconds)
        return self._tally

    def wait_for_ends(self, count, seconds=60.0):
        return self.wait_until(lambda tally: len(tally.ends) >= count, f"{count} end records", seconds)


def differences(tally, sessions):
    """What is wrong with a log that should have one end record of each of `sessions`, as lines of text."""
    wrong = [f"{times} end records of session {session}" for session, times in tally.twice().items()]
    missing_ones = dict(sessions)
    for key, nat in tally.ends:
        expected = missing_ones.pop(key, None)
        if expected is None:
            wrong.append(f"an end record too many: {key}")
        elif nat != expected:
            wrong.append(f"{key}: the log has NAT to {nat}, the kernel {expected}")
    wrong += [f"no end record: {key}" for key in missing_ones]
    return wrong


def first(lines, count=10):
    """For messages."""
    return f"{len(lines)} differences, the first:\n" + "\n".join(lines[:count])


def at_monotonic(moment):
    """Waits for a moment of time.monotonic(): where the passing of time itself is the point."""
    wait_until(lambda: time.monotonic() >= moment, "time passes", seconds=moment - time.monotonic() + 10)
