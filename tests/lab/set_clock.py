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
        self._ahead = 0
        self.environment = {"LD_PRELOAD": tool("NATSESSION_SHIFTED_CLOCK"), "SHIFTED_CLOCK": path}

    def set_ahead(self, seconds):
        """By so much of the machine's; behind it where that is negative."""
        self._ahead = int(seconds)
        os.pwrite(self._file, struct.pack("=q", self._ahead), 0)

    def now(self):
        return time.time() + self._ahead

    @property
    def ahead(self):
        return self._ahead

    def close(self):
        os.close(self._file)
