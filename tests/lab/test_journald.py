"""The journald sink, against a real systemd-journald."""

import os

from case import LabCase, main
from compare import CLOUD_FIELDS
from daemon import MISSING, RUNTIME_FAILURE, USAGE, read_records, run_to_end
from journal import JOURNALD, Journal
from netlab import SERVER4, SERVER6, missing
from traffic import client_and_server
from witness import Witness

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
        self.lab = self.make_lab()

    def begin(self):
        self.client, _ = client_and_server(self.lab)
        self.witness = Witness(self.lab, self.folder)
        self.journal = Journal(self.lab)
        return self.start(self.lab, "--sink", "journald", "--sink", "file:" + self.path("log.json"),
                          enter=self.journal.enter(self.lab))

    def make_sessions(self, first_port):
        self.client.burst("tcp", SERVER4, 7000, first_port, 100)
        self.client.burst("udp", SERVER6, 7000, first_port, 100)
        self.client.ping_burst(SERVER4, first_port, 20)

    def test_the_journal_has_the_records_of_the_file(self):
        daemon = self.begin()
        self.make_sessions(20000)
        flows = self.witness.flows()
        daemon.stop()
        records = read_records(self.path("log.json"))
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
            self.make_sessions(20000 + 200 * round_)
        flows = self.witness.flows()
        # It gives the journal a while, then says what it leaves behind.
        daemon.stop(status=RUNTIME_FAILURE)
        self.assertIn("records were not delivered", daemon.message_text())
        self.assert_agrees(read_records(self.path("log.json")), flows)

    def test_a_journal_that_goes_on_gets_what_waited(self):
        daemon = self.begin()
        self.journal.freeze()
        for round_ in range(5):
            self.make_sessions(20000 + 200 * round_)
        flows = self.witness.flows()
        self.journal.thaw()
        daemon.stop()
        self.assertEqual(len(self.journal.entries()), len(flows))

    def test_an_absent_journal_is_an_error_that_says_so(self):
        journal = Journal(self.lab, started=False)
        status, out, told = run_to_end(self.lab, self.folder, "--sink", "file:" + self.path("log.json"),
                                       "--sink", "journald", enter=journal.enter(self.lab))
        self.assertIn(status, (USAGE, MISSING))
        self.assertIn("journal", told)
        self.assertEqual(out, "")
        self.assertFalse(os.path.exists(self.path("log.json")), "nothing is started half")


if __name__ == "__main__":
    main()
