"""Probe: source_probe of tests/identity_sources, which follows sources and prints what they tell; and Assignments, what
somebody makes of that who keeps them."""

import ipaddress
import json
import os
import subprocess

from netlab import wait_until


class Probe:
    """Follows when the constructor returns, in the NAT box's namespace."""

    def __init__(self, lab, folder, *urls):
        self._out = os.path.join(folder, f"probe{len(os.listdir(folder))}.jsonl")
        with open(self._out, "wb") as out:
            self._process = subprocess.Popen([*lab.enter(lab.nat), os.environ["NATSESSION_SOURCE_PROBE"], *urls],
                                             stdin=subprocess.PIPE, stdout=out, stderr=subprocess.PIPE, text=True,
                                             start_new_session=True)
        lab.adopt(self)
        self._urls = urls
        wait_until(lambda: self.lines() or self._process.poll() is not None, "the probe tells something")
        assert self._process.poll() is None, self._process.stderr.read()

    def lines(self):
        with open(self._out, encoding="utf-8") as file:
            text = file.read()
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def events(self, *kinds):
        return [line for line in self.lines() if line["event"] in kinds]

    def wait_for(self, what, condition):
        return wait_until(lambda: condition(self.lines()), lambda: f"{what}; told was {self.events('seen', 'ended', 'ended_between', 'lost', 'refused')[-5:]}")

    def wait_until_followed(self, moment):
        """Until it says of each source that nothing before that is missing."""
        def met(lines):
            until = {}
            for line in lines:
                if line["event"] == "followed":
                    until[line["source"]] = line["at"] / 1000
            return len(until) == len(self._urls) and min(until.values()) >= moment
        self.wait_for("it has followed up to now", met)

    def stop(self):
        """Returns all that it told."""
        self.close()
        return self.lines()

    def close(self):
        if self._process.poll() is None:
            self._process.stdin.close()
            self._process.wait(20)
        self._process.stderr.close()


def plain(prefix):
    """An address without its length."""
    network = ipaddress.ip_network(prefix)
    return str(network.network_address) if network.num_addresses == 1 else str(network)


class Assignments:
    """Who had which prefix from when to when, of one source's story. Times in seconds."""

    def __init__(self, lines=()):
        self.ended = {}  # prefix: [(from, until, who)]
        self.open = {}   # prefix: [from, who, expires]
        self._whole = None
        self._followed = 0  # what was open then ended later
        for line in lines:
            self.take(line)

    def _end(self, prefix, at):
        begun, who, expires = self.open.pop(prefix)
        self.ended.setdefault(prefix, []).append((begun, max(begun, min(at, expires or at)), who))

    def take(self, line):
        event, at = line["event"], line.get("at", 0) / 1000
        if event == "followed":
            self._followed = max(self._followed, at)
        elif event == "begin":
            self._whole = set()
        elif event == "end":
            for prefix in set(self.open) - (self._whole or set()):
                self._end(prefix, at)
            self._whole = None
        elif event in ("ended", "ended_between"):
            prefix = plain(line["prefix"])
            if prefix in self.open and at >= self.open[prefix][0]:
                self._end(prefix, at if event == "ended" else min(max(at, self._followed), line["latest"] / 1000))
        elif event == "seen":
            prefix, who = plain(line["prefix"]), line["subscriber"]
            begun = line.get("since", line["at"]) / 1000
            expires = line["expires"] / 1000 if "expires" in line else None
            if self._whole is not None:
                self._whole.add(prefix)
            there = self.open.get(prefix)
            if there and there[2] and there[2] < begun:
                self._end(prefix, there[2])
                there = None
            if there and there[1] == who:
                there[2] = expires if at >= there[0] else there[2]
            elif there and begun < there[0]:
                pass  # older than what is known
            else:
                if there:
                    self._end(prefix, begun)
                self.open[prefix] = [begun, who, expires]

    def all(self):
        """[(from, until, who)] by prefix; until is None where it is open."""
        found = {prefix: list(spans) for prefix, spans in self.ended.items()}
        for prefix, (begun, who, expires) in self.open.items():
            found.setdefault(prefix, []).append((begun, expires, who))
        return found

    def who(self, prefix, at):
        names = {who for begun, until, who in self.all().get(prefix, ()) if begun <= at and (until is None or at < until)}
        assert len(names) <= 1, f"{prefix} at {at}: {names}"
        return names.pop() if names else None


def of_history(history):
    """Likewise, of a server's own words: (time, "add" or "del", prefix, who)."""
    spans = {}
    for at, event, prefix, who in sorted(history, key=lambda row: row[0]):
        of_prefix = spans.setdefault(prefix, [])
        is_open = bool(of_prefix) and of_prefix[-1][1] is None
        if event == "del" and is_open:
            of_prefix[-1] = (of_prefix[-1][0], at, of_prefix[-1][2])
        elif event == "add" and not (is_open and of_prefix[-1][2] == who):
            if is_open:
                of_prefix[-1] = (of_prefix[-1][0], at, of_prefix[-1][2])
            of_prefix.append((at, None, who))
    return spans
