"""A sink's place in the ledger is lost: that sink says so and how to go on, and the others never notice."""

import os
import time

import ctl
from case import LabCase, main
from netlab import SERVER4, wait_until

PROMPT_SECONDS = 5


class CursorsTest(LabCase):
    def setUp(self):
        super().setUp()
        self.make_hosts("masquerade", udp_timeout=60, udp_timeout_stream=60)
        self.ledger, self.control = self.path("ledger"), self.path("control.sock")
        self.ports = iter(range(20000, 30000))

    def begin(self, *names):
        return self.start(self.lab, "--ledger", self.ledger, "--sync", "20ms", "--control", self.control,
                          *(word for name in names or ("a", "b") for word in ("--sink", "file:" + self.path(name))))

    def state(self, name):
        return ctl.sink(self.control, "file:" + self.path(name))

    def session(self):
        """A whole one. Returns its port."""
        port = next(self.ports)
        self.client.session("udp", SERVER4, 7000, source_port=port)
        self.lab.delete_flows("-p", "udp")
        return port

    def ports_in(self, name):
        return [record["pri_port"] for record in self.file_records(name) if record["event"] == "end"]

    def wait_for(self, name, port):
        wait_until(lambda: port in self.ports_in(name), f"the session of port {port} in {name}")

    def cursor_of_a(self):
        """The file, whose name is made of the sink's; whole, as a stop left it."""
        self.begin().stop()
        folder = os.path.join(self.ledger, "cursors")
        (name,) = [name for name in os.listdir(folder) if name.rsplit("-", 1)[0].endswith("a")]
        return os.path.join(folder, name)

    def damage_in_each_way(self, path):
        """Yields the name of each, when it is done."""
        with open(path, "rb") as file:
            whole = file.read()
        ways = {
            "other bytes": lambda: self.write_bytes(path, os.urandom(len(whole))),
            "zeros": lambda: self.write_bytes(path, bytes(len(whole))),
            "half of a slot": lambda: self.write_bytes(path, whole[:256]),
            "another's file": lambda: os.symlink("/etc/passwd", path),
            "a link to nowhere": lambda: os.symlink("/nowhere/cursor", path),
            "what never ends": lambda: os.symlink("/dev/zero", path),
            "a pipe": lambda: os.mkfifo(path),
            "a folder": lambda: os.mkdir(path),
        }
        for name, damage in ways.items():
            remove(path)
            damage()
            yield name
        remove(path)

    @staticmethod
    def write_bytes(path, data):
        with open(path, "wb") as file:
            file.write(data)

    def assert_that_only_a_fails(self, path):
        daemon = self.begin()
        try:
            self.wait_for("b", self.session())
            state = self.state("a")
            self.assertEqual((state["state"], self.state("b")["state"]), ("Failed", "Success"), state)
            self.assertIn(path, state["message"])
            asked = time.monotonic()
            daemon.stop()
            self.assertLess(time.monotonic() - asked, PROMPT_SECONDS)
        finally:
            daemon.close()

    def test_whatever_has_become_of_it_the_sink_fails_the_rest_goes_on_and_its_removal_mends_it(self):
        path = self.cursor_of_a()
        for way in self.damage_in_each_way(path):
            with self.subTest(way):
                self.assert_that_only_a_fails(path)
        self.assertEqual(self.ports_in("a"), [])
        daemon = self.begin()
        port = self.session()
        for name in ("a", "b"):
            self.wait_for(name, port)
        daemon.stop()

    def test_an_empty_one_as_a_power_cut_may_leave_it_loses_no_record_without_a_word(self):
        path = self.cursor_of_a()
        daemon = self.begin("b")
        waiting = self.session()
        self.wait_for("b", waiting)
        daemon.stop()
        self.write_bytes(path, b"")
        daemon = self.begin()
        wait_until(lambda: path in daemon.message_text() or waiting in self.ports_in("a"),
                   "the sink has what waited for it, or it is told that its cursor is empty")
        daemon.stop()


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        os.rmdir(path)
    elif os.path.lexists(path):
        os.remove(path)


if __name__ == "__main__":
    main()
