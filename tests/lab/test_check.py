"""--check: what it says of a configuration, of a kernel and of the rules, and that its remedies work as they are printed."""

import json
import os
import pwd
import socket
import subprocess

import ctl
from case import LabCase, main
from daemon import MISSING, STOPPED_ON_REQUEST, run_to_end
from http_server import HttpServer
from netlab import SERVER4, run, wait_until
from newer_ledger import make_newer

USER = pwd.getpwnam("nobody")  # whom every machine has
HERE = ()  # not in the lab's namespace


class CheckTest(LabCase):
    def setUp(self):
        super().setUp()
        os.chmod(self.folder, 0o755)

    def check(self, *arguments, status=STOPPED_ON_REQUEST, **how):
        """The findings: {name: (level, value, lines below)}. Nothing is left in the folder."""
        before = sorted(os.listdir(self.folder))
        ended, out, told = run_to_end(self.lab, self.folder, "--check", *arguments, **how)
        self.assertEqual(ended, status, out + told)
        self.assertEqual(sorted(os.listdir(self.folder)), before, "a check leaves no trace")
        findings = {}
        for line in out.splitlines():
            if line.startswith("         "):
                findings[name][2].append(line.strip())
            else:
                level, rest = line.split(maxsplit=1)
                name, value = rest.split(" = ", 1)
                findings[name] = (level, value, [])
        return findings

    @staticmethod
    def remedies(finding):
        return [line.removeprefix("=> ") for line in finding[2] if line.startswith("=> ")]

    def assert_level(self, findings, name, level, words=""):
        self.assertIn(name, findings)
        self.assertEqual(findings[name][0], level, findings[name])
        self.assertIn(words, " ".join([findings[name][1], *findings[name][2]]))

    # Flow logs

    def test_the_rule_that_a_flow_log_lacks_is_one_that_logs(self):
        self.make_hosts()
        config = self.write("flows.toml", f"""sink = ["stdout"]
reject_group = ["100"]
[[flow_log]]
name = "edge"
resource = "inner"
record = "aws"
destination = "file:{self.path('flow.log')}"
[[flow_log]]
name = "none"
resource = "eth77"
record = "aws"
destination = "file:{self.path('none.log')}"
""")
        found = self.check("--config", config, status=MISSING)
        self.assert_level(found, "flow log edge", "ok", "interface inner")
        self.assert_level(found, "flow log none", "WARNING", "there is no interface eth77")
        self.assert_level(found, "NFLOG group 100", "WARNING", "no rule logs to it")
        self.assertNotIn("routes", found)
        rule = self.remedies(found["NFLOG group 100"])[0].rpartition(": ")[2]
        self.lab.nft(f"table inet refuse {{\n chain in {{\n type filter hook forward priority 0\n  udp dport 9 {rule}\n }}\n}}\n")
        run("ip", "-n", self.lab.nat, "rule", "add", "ipproto", "17", "dport", "53", "table", "77")
        found = self.check("--config", config, status=MISSING)
        self.assert_level(found, "NFLOG group 100", "ok", "1 rule logs to it")
        self.assert_level(found, "routes", "WARNING", "entries of flow logs may name another interface")
        daemon = self.start(self.lab, "--config", config)
        self.assert_level(self.check("--config", config, status=MISSING), "NFLOG group 100", "ok")
        daemon.stop()

    # The configuration

    def test_a_configuration_that_is_all_well(self):
        self.make_hosts()
        HttpServer(self.lab, self.folder)
        found = self.check("--ledger", self.path("var/ledger"), "--control", self.path("run/c.sock"), "--metrics", "127.0.0.1:9420",
                           "--sink", "file:" + self.path("log.json"), "--sink", "exec:cat >/dev/null",
                           "--sink", "http://127.0.0.1:8181/in", "--sink", "exec:(cat)")
        self.assert_level(found, "ledger " + self.path("var/ledger"), "ok", "made at the start")
        self.assert_level(found, "control socket " + self.path("run/c.sock"), "ok", "free")
        self.assert_level(found, "metrics at 127.0.0.1:9420", "ok", "free")
        self.assert_level(found, "sink file:" + self.path("log.json"), "ok")
        self.assert_level(found, "sink http://127.0.0.1:8181/in", "ok", "connected")
        self.assert_level(found, "sink exec:cat >/dev/null", "ok", "there is a command 'cat'")
        self.assert_level(found, "sink exec:(cat)", "unknown", "not looked at")

    def test_what_a_start_would_refuse_is_a_failure(self):
        self.lab = self.make_lab()
        held = self.write("held", "")
        found = self.check("--ledger", held + "/ledger", "--control", held, "--sink", "file:" + self.path("no/log.json"),
                           "--sink", "syslog+tls://127.0.0.1?ca=" + self.path("none.pem"), status=MISSING)
        self.assert_level(found, f"ledger {held}/ledger", "FAILURE", held)
        self.assert_level(found, "control socket " + held, "FAILURE", "something else than a socket")
        self.assert_level(found, "sink file:" + self.path("no/log.json"), "FAILURE", "no/log.json")
        self.assert_level(found, "sink syslog+tls://127.0.0.1", "FAILURE", "none.pem")

    def test_destinations_that_do_not_answer_are_told_with_the_cause(self):
        self.lab = self.make_lab()
        run(*self.lab.enter(self.lab.nat), "ip", "link", "set", "lo", "up")
        sinks = {"syslog+tcp://127.0.0.1": "refused", "http://127.0.0.1:8081/in": "connect", "exec:natlab-no-such": "no command",
                 "syslog:" + self.path("none.sock"): "none.sock"}
        found = self.check(*(word for sink in sinks for word in ("--sink", sink)), "--sink", "syslog+udp://127.0.0.1", status=MISSING)
        for sink, words in sinks.items():
            self.assert_level(found, "sink " + sink, "WARNING", words)
        self.assert_level(found, "sink syslog+udp://127.0.0.1", "unknown", "UDP does not tell")

    def test_what_a_running_daemon_holds_is_told_so(self):
        self.lab = self.make_lab()
        run(*self.lab.enter(self.lab.nat), "ip", "link", "set", "lo", "up")
        arguments = ("--ledger", self.path("ledger"), "--control", self.path("c.sock"), "--metrics", "127.0.0.1:9420")
        daemon = self.start(self.lab, *arguments)
        found = self.check(*arguments, enter=self.lab.enter(self.lab.nat))
        held = f"held by natsessiond, process {daemon.pid}"
        for name in ("ledger " + self.path("ledger"), "control socket " + self.path("c.sock"), "metrics at 127.0.0.1:9420"):
            self.assert_level(found, name, "ok", held)
        self.assert_level(found, "other listeners for ends of flows", "ok", f"natsessiond, process {daemon.pid}")
        daemon.stop()
        # Another program is not what should be there.
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.path("c.sock"))
            other.listen()
            found = self.check(*arguments, status=MISSING)
        self.assert_level(found, "control socket " + self.path("c.sock"), "FAILURE", f"process {os.getpid()}")
        self.assert_level(found, "ledger " + self.path("ledger"), "ok", "records in")

    def test_a_ledger_of_another_user_and_its_remedy(self):
        self.lab = self.make_lab()
        self.start(self.lab, "--user", "root", "--ledger", self.path("ledger")).stop()
        arguments = ("--user", USER.pw_name, "--ledger", self.path("ledger"))
        name = "ledger " + self.path("ledger")
        found = self.check(*arguments, status=MISSING)
        self.assert_level(found, name, "FAILURE")
        (remedy,) = self.remedies(found[name])
        run("sh", "-c", remedy)
        self.assert_level(self.check(*arguments), name, "ok")

    def test_a_ledger_of_a_newer_version_is_told(self):
        self.lab = self.make_lab()
        self.start(self.lab, "--ledger", self.path("ledger")).stop()
        (segment,) = os.listdir(self.path("ledger/segments"))
        make_newer(self.path("ledger/segments/" + segment))
        found = self.check("--ledger", self.path("ledger"), status=MISSING)
        self.assert_level(found, "ledger " + self.path("ledger"), "FAILURE", "a newer program wrote it")

    def test_secrets_that_all_can_read_and_the_remedy(self):
        self.make_hosts()
        HttpServer(self.lab, self.folder)
        secret = self.write("credentials", "lab:secret\n")
        os.chmod(secret, 0o644)
        sink = ("--sink", f"http://127.0.0.1:8181/in?credentials_file={secret}")
        found = self.check(*sink, status=MISSING)
        self.assert_level(found, "secret " + secret, "WARNING", "0644")
        (remedy,) = self.remedies(found["secret " + secret])
        run("sh", "-c", remedy)
        self.assert_level(self.check(*sink), "secret " + secret, "ok")
        os.remove(secret)
        self.assert_level(self.check(*sink, status=MISSING), "sink http://127.0.0.1:8181/in", "FAILURE", secret)

    # The kernel, and what is in it

    def test_remedies_of_sysctls_work_as_printed_for_a_namespace_that_is_named(self):
        self.lab = self.make_lab(acct=0, timestamp=0, events=2)
        names = [f"net.netfilter.nf_conntrack_{name}" for name in ("acct", "timestamp", "events")]
        found = self.check("--netns", self.lab.nat, enter=HERE, status=MISSING)
        for name in names:
            self.assert_level(found, name, "WARNING")
            for remedy in self.remedies(found[name]):
                self.assertTrue(remedy.startswith(f"ip netns exec {self.lab.nat} sysctl -w "), remedy)
                run("sh", "-c", remedy)
        found = self.check("--netns", self.lab.nat, enter=HERE)
        for name in names:
            self.assert_level(found, name, "ok")

    def test_natsessionctl_says_the_same(self):
        self.lab = self.make_lab(acct=0)
        told = json.loads(ctl.ask("--json", "check", "--netns", self.lab.nat, status=MISSING))
        by_name = {finding["name"]: finding for finding in told}
        self.assertEqual(by_name["net.netfilter.nf_conntrack_acct"]["level"], "warning")
        self.assertEqual(by_name["net.netfilter.nf_conntrack_acct"]["remedy"],
                         f"ip netns exec {self.lab.nat} sysctl -w net.netfilter.nf_conntrack_acct=1")
        self.assertEqual(by_name["rules of source NAT"]["level"], "ok")

    def test_a_machine_without_rules_of_nat(self):
        self.lab = self.make_lab("zone")
        self.assert_level(self.check(status=MISSING), "rules of source NAT", "WARNING", "none in nftables")
        self.lab.nft("table ip n { chain c { type nat hook prerouting priority dstnat; tcp dport 1 dnat to 10.0.0.2; }; }")
        found = self.check(status=MISSING)
        self.assert_level(found, "rules of source NAT", "WARNING", "--nat any")
        self.assert_level(self.check("--nat", "any"), "rules of NAT", "ok", "1 in nftables")

    def test_a_helper_whose_sessions_are_not_logged(self):
        self.lab = self.make_lab()
        self.lab.nft('table ip h { ct helper f { type "ftp" protocol tcp; }; chain c { type filter hook prerouting '
                     'priority 0; tcp dport 21 ct helper set "f"; }; }')
        self.assert_level(self.check(status=MISSING), "conntrack helpers", "WARNING", "--nat any")
        self.assert_level(self.check("--nat", "any"), "conntrack helpers", "ok")

    def with_nft(self, script):
        """A command nft of the test's own before that of the machine."""
        os.makedirs(self.path("bin"), exist_ok=True)
        path = self.write("bin/nft", "#!/bin/sh\n" + script)
        os.chmod(path, 0o755)
        return {"environment": {"PATH": self.path("bin") + ":" + os.environ["PATH"]}}

    def test_flowtables_without_counter(self):
        """Not every kernel has them: what nft prints is its own (src/rule.c of nftables)."""
        self.lab = self.make_lab()
        rules = "echo 'table inet t {'; echo ' flowtable f {'; echo '  devices = { a }'; {}; echo ' }'; echo ' chain c {';" \
                "echo '  masquerade'; echo ' }'; echo '}'"
        found = self.check(status=MISSING, **self.with_nft(rules.replace("{};", "", 1)))
        self.assert_level(found, "flowtables without counter", "WARNING", "inet t f")
        found = self.check(**self.with_nft(rules.replace("{};", "echo '  counter';", 1)))
        self.assert_level(found, "flowtables without counter", "ok")

    def test_what_was_not_looked_at_is_not_claimed(self):
        self.lab = self.make_lab("zone")
        found = self.check(**self.with_nft("echo 'nft: Operation not permitted' >&2; exit 1"))
        self.assert_level(found, "rules of NAT, flowtables, helpers", "unknown", "not looked at: nft list ruleset: nft: Operation")

    def test_another_listener(self):
        self.lab = self.make_lab()
        other = subprocess.Popen([*self.lab.enter(self.lab.nat), "conntrack", "-E"], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)

        def listens():
            table = run(*self.lab.enter(self.lab.nat), "cat", "/proc/net/netlink")
            return any(int(line.split()[3], 16) & 4 for line in table.splitlines()[1:] if line.split()[1] == "12")
        wait_until(listens, "conntrack listens")
        name = "other listeners for ends of flows"
        self.assert_level(self.check(status=MISSING), name, "WARNING", f"conntrack, process {other.pid}")
        self.assert_level(self.check("--reliable", "off"), name, "ok", f"conntrack, process {other.pid}")

    def test_hidden_sysctls_keep_no_logger_from_starting(self):
        self.make_hosts()
        hide = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc/sys/net && exec "$0" "$@"')
        found = self.check(status=MISSING, before=hide)
        self.assert_level(found, "nf_conntrack", "WARNING", "hidden")
        self.assert_level(found, "net.netfilter.nf_conntrack_acct", "unknown", "hidden")
        daemon = self.start(self.lab, before=hide)
        self.client.session("udp", SERVER4, 7000)
        self.lab.conntrack("-D", "-p", "udp")
        daemon.wait_for_ends(1)
        daemon.stop()


if __name__ == "__main__":
    main()
