"""What every lab test starts from: a test case with a temporary folder and a lab, and a main() for ctest."""

import os
import sys
import tempfile
import time
import unittest

from compare import compare
from daemon import Daemon, read_records
from netlab import SERVER4, SERVER6, Lab, next_moment, require
from traffic import client_and_server
from witness import Witness

SKIPPED = 77  # ctest's SKIP_RETURN_CODE


class LabCase(unittest.TestCase):
    needs = ()  # commands beyond those of every lab

    def setUp(self):
        require(*self.needs)
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="natlab-"))

    def make_lab(self, *rules, **sysctls):
        return self.enterContext(Lab(rules or ("masquerade", "masquerade6"), **sysctls))

    def make_hosts(self, *rules, **sysctls):
        """self.lab with its two ends, the server answering on port 7000."""
        self.lab = self.make_lab(*rules, **sysctls)
        self.client, self.server = client_and_server(self.lab)
        return self.lab

    def make_watched_hosts(self, *rules, **sysctls):
        """Likewise, and self.witness sees every packet."""
        self.make_hosts(*rules, **sysctls)
        self.witness = Witness(self.lab, self.folder)
        return self.lab

    def make_sessions(self, first_port, count=100, pings=0):
        """As many over TCP and IPv4 as over UDP and IPv6."""
        self.client.burst("tcp", SERVER4, 7000, first_port, count)
        self.client.burst("udp", SERVER6, 7000, first_port, count)
        if pings:
            self.client.ping_burst(SERVER4, first_port, pings)

    def open_session(self, port):
        """One that has been there since before the moment that is returned."""
        self.client.open(str(port), "udp", SERVER4, 7000, port)
        self.client.exchange(str(port), 100, 100)
        next_moment()
        return time.time()

    def start(self, lab, *arguments, **how):
        return Daemon(lab, self.folder, *arguments, **how)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        """A file of the test's folder. Returns its path."""
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def file_records(self, name="log.json"):
        return read_records(self.path(name))

    def assert_agrees(self, records, flows, **how):
        differences = compare(records, flows, **how)
        if differences:
            shown = "\n".join(differences[:20])
            self.fail(f"{len(differences)} differences in {len(flows)} flows, the first:\n{shown}")


def main():
    """unittest.main() with an exit status of its own when nothing could run."""
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    if result.wasSuccessful() and result.testsRun == len(result.skipped):
        sys.exit(SKIPPED)
    sys.exit(0 if result.wasSuccessful() else 1)
