"""A CSV file is read by its first line: whatever is done to the file, what stands below is of these columns."""

import csv
import glob
import os
import shutil

from case import LabCase, main
from netlab import SERVER4, wait_until


class CsvTest(LabCase):
    def setUp(self):
        super().setUp()
        self.make_hosts("masquerade")
        self.log = self.path("log.csv")

    def begin(self, options=""):
        return self.start(self.lab, "--sink", f"file:{self.log}?format=csv{options}")

    def log_session(self, port):
        """One that is in the file when it returns."""
        self.client.session("udp", SERVER4, 7000, source_port=port)
        self.lab.delete_flows("-p", "udp")
        wait_until(lambda: str(port) in self.ports_in(self.log), f"the session of port {port}")

    @staticmethod
    def rows(path):
        with open(path, encoding="utf-8", newline="") as file:
            assert "\0" not in file.read(), f"{path} has a hole"
            file.seek(0)
            return list(csv.reader(file))

    def ports_in(self, path):
        """By its own header; of the sessions, a gap record has none."""
        header, *rows = self.rows(path) or [[]]
        if "pri_port" not in header:
            return []
        self.assertEqual({len(row) for row in rows} - {len(header)}, set(), f"{path}: rows of other columns: {rows}")
        return [row[header.index("pri_port")] for row in rows if row[header.index("pri_port")]]

    def test_after_copytruncate_the_file_begins_with_its_header_again(self):
        daemon = self.begin()
        self.log_session(20000)
        shutil.copy(self.log, self.log + ".1")
        os.truncate(self.log, 0)
        self.log_session(20001)
        self.log_session(20002)
        daemon.stop()
        self.assertEqual(self.ports_in(self.log + ".1"), ["20000"])
        self.assertEqual(self.ports_in(self.log), ["20001", "20002"])
        self.assertEqual(self.rows(self.log)[0], self.rows(self.log + ".1")[0])

    def test_after_copytruncate_while_nothing_runs_likewise(self):
        self.begin().stop()
        os.truncate(self.log, 0)
        daemon = self.begin()
        self.log_session(20000)
        daemon.stop()
        self.assertEqual(self.ports_in(self.log), ["20000"])

    def test_a_file_of_fewer_columns_is_put_aside_and_not_appended_to(self):
        daemon = self.begin("&fields=cloud")
        self.log_session(20000)
        daemon.stop()
        daemon = self.begin()
        self.log_session(20001)
        daemon.stop()
        (aside,) = glob.glob(self.log + ".?*")
        self.assertIn(aside, daemon.message_text())
        self.assertEqual((self.ports_in(aside), self.ports_in(self.log)), (["20000"], ["20001"]))
        self.assertLess(len(self.rows(aside)[0]), len(self.rows(self.log)[0]))


if __name__ == "__main__":
    main()
