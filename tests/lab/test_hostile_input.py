"""What others wrote: a configuration that no parser should see, and a server that refuses everything."""

import contextlib
import signal

import ctl
from case import LabCase, main
from daemon import USAGE, run_to_end
from http_server import PORT, HttpServer
from netlab import SERVER4, wait_until

DEEP = 50_000
SIGHUP_IS_DONE = "configuration: "
# By name. Each is refused, and the parser of none may be driven out of its stack or its memory.
HOSTILE = {
    "dots": "." * DEEP,
    "a key of dots": "a." * DEEP + "a = 1\n",
    "a key of dots and blanks": "a" + " . a" * DEEP + " = 1\n",
    "a key of quotes": '"a".' * DEEP + "a = 1\n",
    "a table of dots": "[" + "a." * DEEP + "a]\n",
    "tables of dots": "[[" + "a." * DEEP + "a]]\n",
    "brackets": "a = " + "[" * DEEP + "]" * DEEP + "\n",
    "brackets that stay open": "a = " + "[" * DEEP,
    "braces": "a = " + "{a=" * DEEP + "}" * DEEP + "\n",
    "both": "a = " + "[{b=" * DEEP,
    "tables without end": "".join(f"[a{number}]\n" for number in range(DEEP)),
    "a long text": 'window = "' + "x" * 5_000_000 + '"\n',
    "no text": 'window = "\xff"\n',
    "zeros": "\0" * 1000,
}


class HostileInputTest(LabCase):
    def test_no_file_takes_the_daemon_down_at_sighup_and_the_old_one_stays_in_force(self):
        self.make_hosts("masquerade")
        path = self.write("lab.toml", 'window = "1m"\n')
        daemon = self.start(self.lab, "--config", path, "--sink", "stdout")
        for name, text in HOSTILE.items():
            with self.subTest(name):
                self.write_latin(path, text)
                said = len(daemon.messages)
                daemon.send_signal(signal.SIGHUP)
                wait_until(lambda: not daemon.is_running() or any(SIGHUP_IS_DONE in m for m in daemon.messages[said:]),
                           "it has read the file")
                self.assertTrue(daemon.is_running(), daemon.message_text()[-500:])
                self.assertIn("the old one stays in force", "\n".join(daemon.messages[said:]))
        self.client.session("udp", SERVER4, 7000)
        self.lab.delete_flows("-p", "udp")
        daemon.wait_for_ends(1)
        self.write("lab.toml", 'window = "1m"\n')
        said = len(daemon.messages)
        daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: len(daemon.messages) > said + 1, "it has read the file")
        self.assertNotIn("stays in force", "\n".join(daemon.messages[said:]))
        daemon.stop()

    def test_no_file_takes_down_a_start_or_a_check(self):
        lab = self.make_lab()
        for name, text in HOSTILE.items():
            path = self.write_latin(self.path("lab.toml"), text)
            with self.subTest(name):
                status, _, told = run_to_end(lab, self.folder, "--config", path, "--print-config")
                self.assertEqual(status, USAGE, told[:500])
                self.assertIn(path, told)

    @staticmethod
    def write_latin(path, text):
        """Byte for byte what stands above."""
        with open(path, "w", encoding="latin1") as file:
            file.write(text)
        return path

    def test_a_server_that_refuses_all_is_never_said_to_have_taken_it(self):
        self.make_hosts("masquerade")
        url, control = f"http://127.0.0.1:{PORT}/in", self.path("control.sock")
        for code in ("400", "404", "413", "422"):
            with self.subTest(code), contextlib.closing(HttpServer(self.lab, self.folder, plan=[code] * 100)):
                daemon = self.start(self.lab, "--ledger", self.path(code), "--sync", "20ms", "--control", control,
                                    "--linger", "0s", "--sink", url)
                self.client.session("udp", SERVER4, 7000)
                self.lab.delete_flows("-p", "udp")
                wait_until(lambda: ctl.sink(control, url)["state"] == "Failed", "it says so")
                state = ctl.sink(control, url)
                self.assertEqual(state["delivered"], 0)
                self.assertIn(f"status {code}", state["message"])
                daemon.stop()


if __name__ == "__main__":
    main()
