"""What a ledger has to say of each session that the kernel says there was: its records, or that they may be missing."""

import struct
from collections import defaultdict

import ctl
from daemon import parse

SLACK_MS = 1000  # without a stamp a record says when an event was received


def life_of(flow):
    """From when to when, in ms: as the kernel stamped it, or as its events were received."""
    return (flow.start_ns or flow.new_ns) // 1_000_000, (flow.stop_ns or flow.destroy_ns) // 1_000_000


def ms(time_of_record):
    return int(time_of_record * 1000)


def is_of(record, life, slack_ms):
    since, until = life
    start = record["session_start"]
    if start is not None:
        return abs(ms(start) - since) <= slack_ms
    return ms(record["start_time"]) <= until + slack_ms and since - slack_ms <= ms(record["end_time"])


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

    def has(self, flow, lives, slack_ms=SLACK_MS):
        """A record of it, whose life the log's clock showed as any of `lives`."""
        records = self._records[flow.protocol, flow.original.source, flow.original.source_port, flow.reply.destination,
                                flow.reply.destination_port]
        return any(is_of(record, life, slack_ms) for record in records for life in lives)

    def is_uncertain(self, since, until):
        """Whether it says that a session of that time may be missing."""
        return (not any(begin <= since and until <= end for begin, end in self.covered)
                or any(begin <= until and since <= end for begin, end in self.gaps))

    def look_for(self, flows, lives_of=lambda flow: [life_of(flow)], slack_ms=SLACK_MS):
        """(how many are in the log, how many may be missing as it says, those that are lost without a word)."""
        found, told, lost = 0, 0, []
        for flow in flows:
            lives = lives_of(flow)
            if self.has(flow, lives, slack_ms):
                found += 1
            elif any(self.is_uncertain(*life) for life in lives):
                told += 1
            else:
                lost.append(f"{flow.original} lived {lives}")
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
