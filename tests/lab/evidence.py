"""What a ledger has to say of each session that the kernel says there was: its records, or that they may be missing."""

import struct
from collections import defaultdict

import ctl
from daemon import parse

SLACK_MS = 1000  # without a stamp a record says when an event was received


def life_of(flow):
    """From when to when, in ms."""
    return flow.start_ns // 1_000_000, flow.stop_ns // 1_000_000


def ms(time_of_record):
    return int(time_of_record * 1000)


def is_of(record, life):
    start = record["session_start"]
    if start is not None:
        return abs(ms(start) - life[0]) <= SLACK_MS
    return ms(record["start_time"]) <= life[1] + SLACK_MS and life[0] - SLACK_MS <= ms(record["end_time"])


class Evidence:
    """As the ledger is now. Its records and gaps, and [(from, until)] of which it claims to have all; times in ms."""

    def __init__(self, ledger):
        self._records = defaultdict(list)
        self.gaps = []
        for record in map(parse, ctl.ledger_lines(ledger)):
            if record["event"] == "gap":
                self.gaps.append((ms(record["start_time"]), ms(record["end_time"])))
            else:
                self._records[record["protocol"], record["pri_ip"], record["pri_port"], record["nat_ip"],
                              record["nat_port"]].append(record)
        self.covered = read_coverage(ledger)

    def has(self, flow, life=None):
        records = self._records[flow.protocol, flow.original.source, flow.original.source_port, flow.reply.destination,
                                flow.reply.destination_port]
        return any(is_of(record, life or life_of(flow)) for record in records)

    def is_uncertain(self, since, until):
        """Whether it says that a session of that time may be missing."""
        return (not any(begin <= since and until <= end for begin, end in self.covered)
                or any(begin <= until and since <= end for begin, end in self.gaps))

    def look_for(self, flows):
        """(how many are in the log, how many may be missing as it says, those that are lost without a word)."""
        found, told, lost = 0, 0, []
        for flow in flows:
            life = life_of(flow)
            if self.has(flow):
                found += 1
            elif self.is_uncertain(*life):
                told += 1
            else:
                lost.append(f"{flow.original} lived from {life[0]} to {life[1]}")
        return found, told, lost

    def told_of(self, lost, flows):
        """For a failure's message."""
        return (f"{len(lost)} of {len(flows)} lost untold; gaps: {self.gaps}; covered: {self.covered}; the first: "
                + "\n".join(lost[:5]))


def read_coverage(ledger):
    """[(from, until)] of the file `coverage`, as lib/ledger/FORMAT.md has it: the newer slot of each span."""
    with open(ledger + "/coverage", "rb") as file:
        data = file.read()
    spans = []
    for at in range(0, len(data), 1024):
        slots = [data[at + half:at + half + 512] for half in (0, 512)]
        whole = [s for s in slots if s[:8] == b"NSLCOV\r\n"]
        if whole:
            newest = max(whole, key=lambda s: struct.unpack_from("<Q", s, 16)[0])
            spans.append(struct.unpack_from("<qq", newest, 32))
    return spans
