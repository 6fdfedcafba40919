"""SetClock: a wall clock for the programs of a test that can be set, as an administrator or ntpd sets a machine's."""

import os
import struct
import time

from bulk import tool


class SetClock:
    """Right at first. `environment` is for each program that is to go by it. The kernel's own stamps do not: a lab that
    has such a clock has nf_conntrack_timestamp off."""

    def __init__(self, folder):
        path = os.path.join(folder, "shifted_clock")
        with open(path, "wb") as file:
            file.write(bytes(8))
        os.chmod(path, 0o644)
        self._file = os.open(path, os.O_WRONLY)
        self._settings = [(float("-inf"), 0)]  # (since when by the machine's clock, how far ahead)
        self.environment = {"LD_PRELOAD": tool("NATSESSION_SHIFTED_CLOCK"), "SHIFTED_CLOCK": path}

    def set_ahead(self, seconds):
        """By so much of the machine's; behind it where that is negative."""
        os.pwrite(self._file, struct.pack("=q", int(seconds)), 0)
        self._settings.append((time.time(), int(seconds)))

    def now(self):
        return time.time() + self.ahead

    @property
    def ahead(self):
        return self._settings[-1][1]

    def spans_of(self, since, until):
        """What it showed from one moment of the machine's clock to another: a span for each time that it was set."""
        ends = [began for began, _ in self._settings[1:]] + [float("inf")]
        return [(max(since, began) + ahead, min(until, end) + ahead)
                for (began, ahead), end in zip(self._settings, ends) if began <= until and since <= end]

    def close(self):
        os.close(self._file)
