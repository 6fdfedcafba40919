"""What is refused at the start: with which status and words, and that nothing is started half."""

import os

from case import LabCase, main
from daemon import MISSING, USAGE, run_to_end

DROP_NET_ADMIN = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")


class ErrorsTest(LabCase):
    needs = ("setpriv",)

    def setUp(self):
        super().setUp()
        self.lab = self.make_lab()
        self.log = self.path("log.json")

    def assert_refused(self, statuses, words, *arguments, **how):
        """Before it ends the program would have opened a file sink, were it not refused."""
        before = os.listdir(self.folder)
        status, out, told = run_to_end(self.lab, self.folder, "--sink", "file:" + self.log, *arguments, **how)
        self.assertIn(status, statuses, told)
        for word in words:
            self.assertIn(word, told)
        self.assertNotIn("ready:", told)
        self.assertEqual(out, "")
        self.assertEqual(os.listdir(self.folder), before, "nothing is started half: no file is left")

    def test_unknown_option(self):
        self.assert_refused((USAGE,), ["--windw"], "--windw", "5m")

    def test_bad_values(self):
        for option, value in (("--window", "5x"), ("--window", "100ms"), ("--window", "25h"),
                              ("--nat", "both"), ("--records", "all"), ("--format", "xml"),
                              ("--time-format", "iso"), ("--events", "new,old"), ("--rcvbuf", "lots"),
                              ("--sink", "carrier-pigeon:coop"), ("--vpc-id", "10.0.0.0/33=x")):
            with self.subTest(option=option, value=value):
                self.assert_refused((USAGE,), [option.lstrip("-"), value.split(",")[-1]], option, value)

    def test_unknown_key(self):
        path = self.write("lab.toml", 'instance = "x"\nwindw = "5m"\n')
        self.assert_refused((USAGE,), [path + ":2", "windw"], "--config", path)

    def test_bad_value_in_a_file(self):
        path = self.write("lab.toml", 'window = "5m"\nrecords = "all"\n')
        self.assert_refused((USAGE,), [path + ":2", "records", "all"], "--config", path)

    def test_bad_value_in_a_drop_in(self):
        path = self.write("lab.toml", 'window = "5m"\n')
        os.mkdir(self.path("conf.d"))
        drop_in = self.write("conf.d/10-bad.toml", "nat = 3\n")
        self.assert_refused((USAGE,), [drop_in + ":1", "nat"], "--config", path)

    def test_no_such_configuration_file(self):
        self.assert_refused((USAGE, MISSING), [self.path("none.toml")], "--config", self.path("none.toml"))

    def test_folders_of_ledger_and_control_socket_are_made_where_they_are_missing(self):
        """As README's first command needs on a fresh machine."""
        ledger, control = self.path("var/lib/natsessiond/ledger"), self.path("run/natsessiond/control.sock")
        daemon = self.start(self.lab, "--ledger", ledger, "--control", control)
        self.assertTrue(os.path.exists(control))
        daemon.stop()
        self.assertTrue(os.path.exists(os.path.join(ledger, "LOCK")))
        self.assertEqual([os.stat(os.path.dirname(ledger)).st_mode & 0o777, os.stat(ledger).st_mode & 0o777], [0o755, 0o750])

    def test_a_folder_that_cannot_be_made_is_named(self):
        path = self.write("file", "")
        self.assert_refused((USAGE, MISSING, 1), [path], "--ledger", os.path.join(path, "ledger"))

    def test_a_sink_that_cannot_be_opened(self):
        missing = self.path("no/such/folder/log.json")
        self.assert_refused((USAGE, MISSING), [missing], "--sink", "file:" + missing)

    def test_without_cap_net_admin(self):
        self.assert_refused((MISSING,), ["CAP_NET_ADMIN"], before=DROP_NET_ADMIN)

    def test_a_network_namespace_that_does_not_exist(self):
        self.assert_refused((USAGE, MISSING), ["natlab-nowhere"], "--netns", "natlab-nowhere")


if __name__ == "__main__":
    main()
