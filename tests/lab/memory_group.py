"""MemoryGroup: a control group of its own, in which memory can run out, of version 2 or 1."""

import os
import signal
import tempfile

from netlab import missing, run, wait_until

# root: how much may be taken, how much is, in which file the kernel counts whom it has ended, and how no limit is written.
KINDS = {
    "/sys/fs/cgroup": ("memory.max", "memory.current", "memory.events", "max"),
    "/sys/fs/cgroup/memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.oom_control", "-1"),
}
JOIN = 'echo $$ >"$0/cgroup.procs" && exec "$@"'
JOIN_AS_FIRST_TO_GO = "echo 1000 >/proc/self/oom_score_adj && " + JOIN
# It is the next to go, where a dying process still has its memory.
HOG = ("dd", "status=none", "if=/dev/zero", "of=/dev/null", "bs=2M", "count=1")


class MemoryGroup:
    """enter: a command that runs another in it, which is who goes when memory runs out."""

    def __enter__(self):
        for root, names in KINDS.items():
            self._limit, self._taken, self._events, self._unlimited = names
            try:
                self.path = tempfile.mkdtemp(prefix="natlab-", dir=root)
            except OSError:
                continue
            if os.path.exists(self._file(self._limit)):
                self.enter = ("sh", "-c", JOIN_AS_FIRST_TO_GO, self.path)
                return self
            os.rmdir(self.path)
        missing("a control group that limits memory cannot be made here")

    def _file(self, name):
        return os.path.join(self.path, name)

    def _read(self, name):
        with open(self._file(name), encoding="ascii") as file:
            return file.read()

    def _write(self, name, text):
        with open(self._file(name), "w", encoding="ascii") as file:
            file.write(text)

    def _leave_no_room(self):
        try:
            self._write(self._limit, self._read(self._taken))
        except OSError:  # more has been taken meanwhile
            return False
        return True

    def kills(self):
        """How many the kernel has ended in it because memory ran out."""
        return int(dict(line.split() for line in self._read(self._events).splitlines())["oom_kill"])

    def run_out(self):
        """Another takes more than there is, so that the kernel ends who was run in it."""
        wait_until(self._leave_no_room, "no more may be taken than is")
        run("sh", "-c", JOIN, self.path, *HOG, check=False)
        self._write(self._limit, self._unlimited)

    def _is_removed(self):
        try:
            os.rmdir(self.path)
        except OSError:  # who was in it is not quite gone
            return False
        return True

    def __exit__(self, *unused):
        for pid in self._read("cgroup.procs").split():
            os.kill(int(pid), signal.SIGKILL)
        wait_until(self._is_removed, f"{self.path} can be removed")
