"""TableLimits: nf_conntrack_max for a while. It is the whole machine's: one test at a time, and always put back."""

import fcntl
import os
import subprocess

from netlab import missing, wait_until

MAX = "/proc/sys/net/netfilter/nf_conntrack_max"
BUCKETS = "/proc/sys/net/netfilter/nf_conntrack_buckets"
LOCK = "/run/natlab-table-limits.lock"
FLOWS_PER_BUCKET = 4  # longer chains slow the kernel down, and it refuses flows for those of about 60

# Puts the old values back when its stdin ends: also when the test was killed.
KEEPER = r"""trap '' INT TERM HUP
cat >/dev/null
for s; do echo "${s#*=}" >"${s%=*}"; done"""


def read_number(path):
    with open(path, encoding="ascii") as file:
        return int(file.read())


class TableLimits:
    """flows: what nf_conntrack_max is to be. room_for: how many flows must have room, at the least."""

    def __init__(self, flows=None, room_for=0):
        self._flows = flows
        self._room_for = room_for
        self._keeper = None

    def __enter__(self):
        if not os.path.exists(MAX):
            missing(f"the limits of the conntrack table: no {MAX}")
        self._lock = open(LOCK, "w", encoding="ascii")
        try:
            wait_until(self._locked, "another test still holds the limits of the conntrack table", 240)
            self._set()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _locked(self):
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _set(self):
        before = {path: read_number(path) for path in (MAX, BUCKETS)}
        flows = self._flows or max(before[MAX], self._room_for)
        wanted = {MAX: flows, BUCKETS: max(before[BUCKETS], self._room_for // FLOWS_PER_BUCKET)}
        changed = {path: value for path, value in wanted.items() if value != before[path]}
        if not changed:
            return
        self._keeper = subprocess.Popen(
            ["sh", "-c", KEEPER, "sh", *(f"{path}={before[path]}" for path in changed)],
            stdin=subprocess.PIPE, start_new_session=True, pass_fds=[self._lock.fileno()])  # locked till then
        for path, value in changed.items():
            try:
                with open(path, "w", encoding="ascii") as file:
                    file.write(str(value))
            except OSError as problem:
                missing(f"the limits of the conntrack table are not ours to set here: {problem}")

    def __exit__(self, *unused):
        if self._keeper:
            self._keeper.stdin.close()
            self._keeper.wait()
        self._lock.close()
