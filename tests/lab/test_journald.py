"""The journald sink, against a real systemd-journald."""

import os

from case import LabCase, main
from compare import CLOUD_FIELDS
from daemon import MISSING, RUNTIME_FAILURE, USAGE, run_to_end
from journal import JOURNALD, Journal
from netlab import missing

EXTRA_FIELDS = ["event", "session_id", "seq", "session_start", "tcp_state", "reason"]


def as_fields(record):
    """A record as the journal should have it: NATSESSION_PRI_IP=…, and no field where there is no value."""
    return {"NATSESSION_" + name.upper(): str(record[name]) for name in CLOUD_FIELDS + EXTRA_FIELDS
            if record[name] not in (None, "")}


class JournaldTest(LabCase):
    needs = ("journalctl",)

    def setUp(self):
        super().setUp()
        if not os.path.exists(JOURNALD) or not os.path.exists("/etc/machine-id"):
            missing(f"needs {JOURNALD} and /etc/machine-id, of the package systemd")

    def begin(self):
        self.make_watched_hosts()
        self.journal = Journal(self.lab)
        return self.start(self.lab, "--sink", "journald", "--sink", "file:" + self.path("log.json"),
                          enter=self.journal.enter(self.lab))

    def test_the_journal_has_the_records_of_the_file(self):
        daemon = self.begin()
        self.make_sessions(20000, pings=20)
        flows = self.witness.flows()
        daemon.stop()
        records = self.file_records()
        self.assert_agrees(records, flows)
        entries = self.journal.entries()
        self.assertEqual(len(entries), len(records))
        shown = {(e["NATSESSION_SESSION_ID"], int(e["NATSESSION_SEQ"])): e for e in entries}
        for record in records:
            entry = shown[record["session_id"], record["seq"]]
            fields = as_fields(record)
            self.assertEqual({name: entry.get(name) for name in fields}, fields)
            self.assertIn(f"pri_ip={record['pri_ip']} pri_port={record['pri_port']} ", entry["MESSAGE"])

    def test_a_stuck_journal_holds_up_neither_the_file_nor_the_end(self):
        daemon = self.begin()
        self.journal.freeze()
        for round_ in range(5):
            self.make_sessions(20000 + 200 * round_, pings=20)
        flows = self.witness.flows()
        # It gives the journal a while, then says what it leaves behind.
        daemon.stop(status=RUNTIME_FAILURE)
        self.assertIn("records were not delivered", daemon.message_text())
        self.assert_agrees(self.file_records(), flows)

    def test_a_journal_that_goes_on_gets_what_waited(self):
        daemon = self.begin()
        self.journal.freeze()
        for round_ in range(5):
            self.make_sessions(20000 + 200 * round_, pings=20)
        flows = self.witness.flows()
        self.journal.thaw()
        daemon.stop()
        self.assertEqual(len(self.journal.entries()), len(flows))

    def test_an_absent_journal_is_an_error_that_says_so(self):
        lab = self.make_lab()
        journal = Journal(lab, started=False)
        status, out, told = run_to_end(lab, self.folder, "--sink", "file:" + self.path("log.json"),
                                       "--sink", "journald", enter=journal.enter(lab))
        self.assertIn(status, (USAGE, MISSING))
        self.assertIn("journal", told)
        self.assertEqual(out, "")
        self.assertFalse(os.path.exists(self.path("log.json")), "nothing is started half")


if __name__ == "__main__":
    main()
