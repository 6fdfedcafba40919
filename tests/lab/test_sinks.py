"""File sinks: two at once, reopened, rotated, and what is written at the end."""

import glob
import gzip
import os
import signal
import subprocess
import threading

from case import LabCase, main
from compare import by_session
from daemon import parse, read_records
from netlab import SERVER4, run, wait_until
from traffic import IP4_UDP


class SinksTest(LabCase):
    needs = ("zstd",)

    def begin(self, *arguments, **sysctls):
        self.daemon = self.start(self.make_watched_hosts(**sysctls), *arguments)

    def test_two_sinks_and_stdout_get_the_same_records(self):
        self.begin("--sink", "stdout", "--sink", "file:" + self.path("a.json"),
                   "--sink", "file:" + self.path("b.json"))
        self.make_sessions(20000)
        flows = self.witness.flows()
        self.daemon.wait_for_ends(200)
        records = self.daemon.stop()
        self.assert_agrees(records, flows)
        self.assertEqual(read_records(self.path("a.json")), records)
        self.assertEqual(read_records(self.path("b.json")), records)

    def test_reopening_after_a_rename_loses_nothing(self):
        self.begin("--sink", "file:" + self.path("log.json"))
        traffic = threading.Thread(target=self.client.burst, args=("udp", SERVER4, 7000, 10000, 20000))
        traffic.start()
        turns = 0
        while traffic.is_alive() or turns == 0:
            wait_until(lambda: os.path.exists(self.path("log.json")), "the file is there again")
            os.rename(self.path("log.json"), self.path(f"log.json.{turns}"))
            self.daemon.send_signal(signal.SIGHUP)
            turns += 1
        traffic.join()
        flows = self.witness.flows()
        self.assertGreaterEqual(len(flows), 20000)
        self.daemon.stop()
        names = [f"log.json.{turn}" for turn in range(turns)] + ["log.json"]
        records = [record for name in names for record in read_records(self.path(name))]
        self.assert_agrees(records, flows)
        self.assertGreater(turns, 1)

    def rotate(self, compression, read):
        self.begin("--sink", f"file:{self.path('log.json')}?rotate_size=64K&compress={compression}&keep=1000")
        self.client.burst("udp", SERVER4, 7000, 20000, 2000)
        flows = self.witness.flows()
        self.daemon.stop()
        records = read_records(self.path("log.json"))
        self.assertLess(os.path.getsize(self.path("log.json")), 80 << 10)
        old = [name for name in glob.glob(self.path("log.json?*"))]
        self.assertGreater(len(old), 5)
        for name in old:
            records += [parse(line) for line in read(name).splitlines()]
        self.assert_agrees(records, flows)

    def test_rotation_with_gzip_loses_nothing(self):
        def read(name):
            with gzip.open(name, "rt", encoding="utf-8") as file:
                return file.read()
        self.rotate("gzip", read)

    def test_rotation_with_zstd_loses_nothing(self):
        self.rotate("zstd", lambda name: run("zstd", "-dcq", name))

    def stop_with_open_sessions(self, mode):
        self.begin("--records", mode, udp_timeout=30, udp_timeout_stream=30)
        for port in range(21000, 21010):
            self.client.open(str(port), "udp", SERVER4, 7000, port)
            self.client.exchange(str(port), 100, 1000)
        records = self.daemon.stop()
        self.assertEqual([r["event"] for r in records], ["interim"] * 10)
        self.assertEqual(len(by_session(records)), 10)
        for record in records:
            self.assertEqual(record["bytes_from_vpc"], IP4_UDP + 100)
            self.assertEqual(record["bytes_from_pub"], IP4_UDP + 1000)
            self.assertIsNone(record["reason"])

    def test_sigterm_writes_what_was_seen_and_ends_no_session(self):
        self.stop_with_open_sessions("window")

    def test_sigterm_writes_what_was_seen_also_where_only_ends_are_logged(self):
        self.stop_with_open_sessions("end")

    def test_a_full_disk_delays_the_records_and_loses_none(self):
        # A file system of its own for the daemon, with a few KiB of room.
        room = self.path("small")
        os.mkdir(room)
        run("mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", room)
        self.addCleanup(lambda: subprocess.run(["umount", "-l", room], check=True))
        with open(os.path.join(room, "ballast"), "wb") as file:
            file.write(bytes(100 << 10))
        log = os.path.join(room, "log.json")
        self.begin("--sink", "stdout", "--sink", "file:" + log)
        self.client.burst("udp", SERVER4, 7000, 20000, 200)
        flows = self.witness.flows()
        self.daemon.wait_for_ends(200)
        self.assertLess(len(read_records(log)), 200)
        run("mount", "-o", "remount,size=1m", room)
        wait_until(lambda: len(read_records(log)) >= 200, "the records that waited for room")
        self.assert_agrees(self.daemon.stop(), flows)
        self.assert_agrees(read_records(log), flows)


if __name__ == "__main__":
    main()
