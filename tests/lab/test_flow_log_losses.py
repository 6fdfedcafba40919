"""What a flow log does not have is counted and told: copies of refused packets that found no room, flows beyond the table, entries
beyond the limit. What it has and what it says it lacks are together what the rules counted."""

import json
import signal

import ctl
from case import LabCase, main
from netlab import QUICK_TIMEOUTS, SERVER4, run, wait_until

RULE = ("table inet refuse {\n chain rules {\n  type filter hook forward priority 0\n"
        "  udp dport 9 counter log group 100 drop\n }\n}\n")


class FlowLogLossesTest(LabCase):
    def begin(self, *arguments, **settings):
        self.make_hosts(**QUICK_TIMEOUTS)
        self.lab.nft(RULE)
        self.control = self.path("control.sock")
        text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in
                       {"reject_group": ["100"], "control": self.control, **settings}.items())
        text += (f'[[flow_log]]\nname = "no"\nresource = "inner"\ntraffic = "reject"\nwindow = "4s"\nformat = "json"\n'
                 f'record = "packets,srcport,start,end,log-status"\ndestination = "file:{self.path("no.json")}"\n')
        self.daemon = self.start(self.lab, "--config", self.write("natsessiond.toml", text), *arguments)
        # The first windows say that nobody took copies before.
        wait_until(lambda: any(e["log-status"] == "NODATA" for e in self.entries()), "a window that is over")
        wait_until(lambda: self.quiet_windows() >= 2, "a window that is whole")

    def entries(self):
        try:
            with open(self.path("no.json"), encoding="utf-8") as file:
                return [json.loads(line) for line in file.read().splitlines() if line.endswith("}")]
        except FileNotFoundError:
            return []

    def quiet_windows(self):
        skipped = {e["end"] for e in self.entries() if e["log-status"] == "SKIPDATA"}
        return len({e["end"] for e in self.entries() if e["log-status"] == "NODATA"} - skipped)

    def refused(self):
        text = run(*self.lab.enter(self.lab.nat), "nft", "-j", "list", "chain", "inet", "refuse", "rules")
        return next(expression["counter"]["packets"] for item in json.loads(text)["nftables"]
                    for expression in item.get("rule", {}).get("expr", []) if "counter" in expression)

    def sink(self):
        return ctl.sink(self.control, "flow_log no")

    def end_of_window(self):
        """The end of the window that is under way once all is told that was refused before: what came is in windows up to it."""
        quiet = self.quiet_windows()
        wait_until(lambda: self.quiet_windows() >= quiet + 1, "a window without traffic behind it")

    def told(self):
        return sum(e["packets"] for e in self.entries() if e["log-status"] == "OK")

    def skipped(self, since):
        return {e["end"] for e in self.entries() if e["log-status"] == "SKIPDATA" and e["start"] >= since}

    def test_what_is_told_and_what_is_lost_by_a_small_buffer_are_what_was_refused(self):
        self.begin(rcvbuf="64K")
        before = max(e["end"] for e in self.entries())
        skipdata = self.sink()["flow_skipdata"]
        self.daemon.send_signal(signal.SIGSTOP)
        self.client.flood(SERVER4, 9, 20000, 10_000, 50)
        self.daemon.send_signal(signal.SIGCONT)
        # How many are lost the next copy's number tells.
        wait_until(lambda: ctl.collector(self.control)["refused_packets"] > 0, "what the buffer had")
        self.client.flood(SERVER4, 9, 40000, 1, 50)
        self.end_of_window()
        collector = ctl.collector(self.control)
        self.assertEqual(self.refused(), 10_001)
        self.assertGreater(collector["refused_lost"], 1000)
        self.assertEqual(self.told() + collector["refused_lost"], 10_001)
        self.assertEqual(self.told(), collector["refused_packets"])
        # An entry ends with its last packet; one that ends with the window, the window before that second is.
        windows = {e["end"] // 4 * 4 + more for e in self.entries() if e["log-status"] == "OK" for more in (0, 4)}
        self.assertTrue(self.skipped(before), "SKIPDATA")
        self.assertLessEqual(self.skipped(before), windows, "in these windows alone")
        self.assertEqual(self.sink()["flow_skipdata"] - skipdata, len(self.skipped(before)))
        self.assertIn("copies of refused packets were lost: flow logs say SKIPDATA",
                      ctl.ask("--control", self.control, "status"))

    def test_what_is_told_and_what_finds_no_room_in_the_table_are_what_was_refused(self):
        self.begin(reject_flows="1000")
        before = max(e["end"] for e in self.entries())
        self.client.flood(SERVER4, 9, 20000, 3_000, 50)
        self.client.flood(SERVER4, 9, 20000, 3_000, 50)
        self.end_of_window()
        collector = ctl.collector(self.control)
        self.assertEqual(self.refused(), 6_000)
        self.assertGreater(collector["refused_left_out"], 0)
        self.assertEqual(self.told() + collector["refused_left_out"], 6_000)
        self.assertTrue(self.skipped(before))

    def test_entries_beyond_the_limit_are_counted_and_the_window_says_so(self):
        self.begin(flow_entries="100")
        before = max(e["end"] for e in self.entries())
        self.client.flood(SERVER4, 9, 20000, 250, 50)
        wait_until(lambda: self.skipped(before), "SKIPDATA")
        wait_until(lambda: self.sink()["flow_left_out"] + self.told() >= 250, "all of them")
        sink = self.sink()
        self.assertLessEqual(self.told(), 200, "at most the limit of each ten minutes that the test is in")
        self.assertEqual(sink["flow_left_out"] + self.told(), 250)
        self.assertIn("entries were beyond flow_entries, and are left out", ctl.ask("--control", self.control, "status"))


if __name__ == "__main__":
    main()
