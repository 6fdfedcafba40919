"""What every lab test starts from: a test case with a temporary folder and a lab, and a main() for ctest."""

import os
import sys
import tempfile
import unittest

from compare import compare
from daemon import Daemon
from netlab import Lab, require

SKIPPED = 77  # ctest's SKIP_RETURN_CODE


class LabCase(unittest.TestCase):
    needs = ()  # commands beyond those of every lab

    def setUp(self):
        require(*self.needs)
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="natlab-"))

    def make_lab(self, *rules, **sysctls):
        return self.enterContext(Lab(rules or ("masquerade", "masquerade6"), **sysctls))

    def start(self, lab, *arguments, **how):
        return Daemon(lab, self.folder, *arguments, **how)

    def path(self, name):
        return os.path.join(self.folder, name)

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
