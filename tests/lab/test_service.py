"""How it starts, says what it does, and stops."""

import os
import signal
import socket
import time

from case import LabCase, main
from daemon import STOPPED_ON_REQUEST, run_to_end
from netlab import SERVER4, SERVER6, wait_until
from threads import stopped_thread
from traffic import client_and_server
from witness import Witness


class ServiceTest(LabCase):
    def notified(self):
        """The socket of a service manager, and what a daemon finds in its environment of it."""
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.bind(self.path("notify"))
        manager.settimeout(20)
        return manager, {"NOTIFY_SOCKET": self.path("notify"), "WATCHDOG_USEC": "600000"}

    def test_the_service_manager_hears_of_start_life_reload_and_stop(self):
        lab = self.make_lab()
        manager, environment = self.notified()

        def wait_for(line):
            while line not in (told := manager.recv(4096).decode().split("\n")) and \
                    not any(each.startswith(line + "=") for each in told):
                pass
            return dict(each.split("=", 1) for each in told)

        daemon = self.start(lab, "--config", self.write("lab.toml", 'window = "1m"\n'), environment=environment)
        wait_for("READY=1")
        wait_for("WATCHDOG=1")
        self.assertRegex(wait_for("STATUS")["STATUS"], r"^logging: 0 open sessions, 0 records/s; stdout ")
        self.write("lab.toml", 'window = "5m"\n')
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        daemon.send_signal(signal.SIGHUP)
        self.assertGreater(int(wait_for("RELOADING=1")["MONOTONIC_USEC"]), before)
        wait_for("READY=1")
        self.assertRegex(wait_for("STATUS")["STATUS"], "; configuration: a change of window needs a restart$")
        self.write("lab.toml", 'window = "5m"\nlog_level = "debug"\n')
        daemon.send_signal(signal.SIGHUP)
        wait_for("READY=1")
        self.assertRegex(wait_for("STATUS")["STATUS"],
                         "; configuration: log_level has changed, and a change of window needs a restart$")
        # What asks it to stop is no fault of it: it goes on saying that it lives.
        daemon.stop()
        wait_for("STOPPING=1")

    def test_a_collector_that_hangs_is_no_life(self):
        lab = self.make_lab()
        manager, environment = self.notified()
        daemon = self.start(lab, environment=environment)
        with stopped_thread(daemon.pid, "collector"):
            manager.settimeout(3)  # five times the interval
            with self.assertRaises(socket.timeout):
                while True:
                    manager.recv(4096)
        manager.settimeout(20)
        while manager.recv(4096) != b"WATCHDOG=1":
            pass
        daemon.stop()

    def test_it_is_ready_once_and_sigint_stops_it_too(self):
        lab = self.make_lab()
        daemon = self.start(lab)
        daemon.stop(signal.SIGINT)
        self.assertEqual(sum("ready:" in line for line in daemon.messages), 1)

    def test_debug_tells_of_dumps_sinks_and_a_reload(self):
        lab = self.make_lab()
        daemon = self.start(lab, "--config", self.write("lab.toml", 'log_level = "debug"\n'))
        daemon.wait_for_message("debug: receive buffer ")
        daemon.wait_for_message("debug: sink stdout: opened; batches of at most 1000 records or 1M after 0s")
        daemon.wait_for_message("debug: dump 1 of the conntrack table begins: ")
        wait_until(daemon.output, "the record of the start")  # a busy machine may have it behind the first dump
        daemon.send_signal(signal.SIGUSR1)
        daemon.wait_for_message(" records delivered, 0 waiting, 0 tries beyond the first")
        daemon.send_signal(signal.SIGHUP)
        daemon.wait_for_message("configuration: nothing has changed")
        self.write("lab.toml", 'log_level = "debug"\nguard = "70%"\n')
        daemon.send_signal(signal.SIGHUP)
        daemon.wait_for_message('debug: configuration: guard = "70%"')
        daemon.stop()

    def watch_namespace(self, name_of):
        """From outside the namespace."""
        lab = self.make_watched_hosts()
        daemon = self.start(lab, "--netns", name_of(lab), enter=())
        self.make_sessions(20000, 20)
        flows = self.witness.flows()
        daemon.wait_for_ends(40)
        self.assert_agrees(daemon.stop(), flows)

    def test_a_network_namespace_by_name(self):
        self.watch_namespace(lambda lab: lab.nat)

    def test_a_network_namespace_by_path(self):
        self.watch_namespace(lambda lab: "/run/netns/" + lab.nat)

    def test_several_network_namespaces_at_once(self):
        labs = [self.make_lab(), self.make_lab()]
        witnesses = []
        for number, lab in enumerate(labs):
            os.mkdir(self.path(str(number)))
            witnesses.append(Witness(lab, self.path(str(number))))
        daemon = self.start(labs[0], "--netns", labs[0].nat, "--netns", labs[1].nat, enter=())
        for lab in labs:
            client, _ = client_and_server(lab)
            client.burst("tcp", SERVER4, 7000, 20000, 20)
            client.burst("udp", SERVER6, 7000, 20000, 20)
        flows = [witness.flows() for witness in witnesses]
        told = sum(len(seen) for seen in flows)
        self.assertGreaterEqual(told, 80)
        daemon.wait_for_ends(told)
        records = daemon.stop()
        for lab, seen in zip(labs, flows):
            self.assert_agrees([r for r in records if r["netns"] == lab.nat], seen)
        self.assertEqual(len(records), told)

    def test_check_names_each_setting_that_is_wrong_and_tune_mends_it(self):
        lab = self.make_lab(acct=0, timestamp=0, events=2)
        _, out, told = run_to_end(lab, self.folder, "--check")
        for name in ("nf_conntrack_acct", "nf_conntrack_timestamp", "nf_conntrack_events"):
            self.assertIn(name, out + told)
        client, _ = client_and_server(lab)
        witness = Witness(lab, self.folder)
        daemon = self.start(lab, "--tune")
        client.burst("tcp", SERVER4, 7000, 20000, 5)
        flows = witness.flows()
        daemon.wait_for_ends(5)
        self.assert_agrees(daemon.stop(), flows)
        # The witness listens as well, which --check warns of in reliable mode.
        status, out, told = run_to_end(lab, self.folder, "--check", "--reliable", "off")
        self.assertEqual(status, STOPPED_ON_REQUEST, out + told)

    def test_print_config_is_a_configuration(self):
        lab = self.make_lab()
        status, out, _ = run_to_end(lab, self.folder, "--window", "5m", "--nat", "any", "--print-config")
        self.assertEqual(status, 0)
        printed = self.write("printed.toml", out)
        status, again, told = run_to_end(lab, self.folder, "--config", printed, "--print-config")
        self.assertEqual(status, 0, told)
        settings = [[line.split("#")[0].strip() for line in text.splitlines()] for text in (out, again)]
        self.assertEqual([line for line in settings[0] if line], [line for line in settings[1] if line])
        self.assertIn('window = "5m"', settings[0])

    def test_help_and_version(self):
        lab = self.make_lab()
        for flag, word in (("--help", "--sink"), ("--version", "natsessiond")):
            status, out, _ = run_to_end(lab, self.folder, flag)
            self.assertEqual(status, 0)
            self.assertIn(word, out)


if __name__ == "__main__":
    main()
