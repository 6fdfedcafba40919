"""A flow log of a network namespace that is made anew under its name: routes, interfaces and copies of refused packets are those of
the new one, and nothing keeps the old one."""

import json

import ctl
from case import LabCase, main
from netlab import CLIENT4, QUICK_TIMEOUTS, SERVER4, run, wait_until

HERE = ()  # the daemon runs outside of the lab
RULE = ("table inet refuse {\n chain rules {\n  type filter hook forward priority 0\n"
        "  udp dport 9 counter log group 100 drop\n }\n}\n")


class FlowLogNamespacesTest(LabCase):
    def begin(self):
        self.make_hosts("masquerade", **QUICK_TIMEOUTS)
        self.lab.nft(RULE)
        self.control = self.path("control.sock")
        text = (f'netns = ["{self.lab.nat}"]\nreject_group = ["100"]\ncontrol = "{self.control}"\nsink = ["stdout"]\n'
                '[[flow_log]]\nname = "all"\nresource = "0.0.0.0/0"\nwindow = "2s"\nformat = "json"\n'
                'record = "interface,flow-direction,srcaddr,dstaddr,dstport,packets,start,end,action,log-status"\n'
                f'destination = "file:{self.path("all.json")}"\n')
        self.daemon = self.start(self.lab, "--config", self.write("natsessiond.toml", text), enter=HERE)

    def entries(self):
        try:
            with open(self.path("all.json"), encoding="utf-8") as file:
                return [json.loads(line) for line in file.read().splitlines() if line.endswith("}")]
        except FileNotFoundError:
            return []

    def traffic(self, begin=0):
        return [e for e in self.entries()[begin:] if e["log-status"] == "OK"]

    def interfaces(self, action, begin=0):
        return {(e["interface"], e["flow-direction"]) for e in self.traffic(begin) if e["action"] == action}

    def windows(self, status, begin):
        return {e["end"] for e in self.entries()[begin:] if e["log-status"] == status}

    def refused(self, begin=0):
        return sum(e["packets"] for e in self.traffic(begin) if e["action"] == "REJECT")

    def make_anew(self):
        """Where the client was at `inner`, it is at `inside`, with another address of the box."""
        self.lab.add_nat()
        self.lab.join_nat()
        ip = ["ip", "-n", self.lab.nat]
        run(*ip, "link", "set", "inner", "down", "name", "inside")
        run(*ip, "link", "set", "inside", "up")
        run(*ip, "route", "replace", CLIENT4 + "/32", "dev", "inside")
        self.lab.nft(RULE)

    def test_entries_are_of_the_interfaces_of_the_one_that_is_there(self):
        self.begin()
        wait_until(lambda: any(e["log-status"] == "NODATA" for e in self.entries()), "a window that is over")
        self.client.session("udp", SERVER4, 7000)
        self.client.flood(SERVER4, 9, 20000, 20, 50)
        self.lab.wait_for_expiry()
        wait_until(lambda: len(self.traffic()) >= 4 + 20, "the first one's entries")
        self.assertEqual(self.interfaces("ACCEPT"),
                         {(name, direction) for name in ("inner", "outer") for direction in ("ingress", "egress")})
        self.assertEqual(self.interfaces("REJECT"), {("inner", "ingress")})

        # Added up in a window that is not over: they are told by the names of where they were.
        self.client.flood(SERVER4, 9, 30000, 7, 50)
        self.lab.remove_nat()
        self.daemon.wait_for_message(f"netns {self.lab.nat}: the network namespace of this name is gone")
        wait_until(self.lab.nat_is_freed, "nobody holds the old namespace any more")
        wait_until(lambda: self.refused() == 27, "what was refused before it went")
        self.assertEqual(self.interfaces("REJECT"), {("inner", "ingress")})
        gone = len(self.entries())
        self.make_anew()
        self.daemon.wait_for_message(f"netns {self.lab.nat}: there is one again")
        wait_until(lambda: ctl.collector(self.control)["ready"], "its table is known")
        self.client.session("udp", SERVER4, 7000)
        self.client.flood(SERVER4, 9, 40000, 11, 50)
        self.lab.wait_for_expiry()
        wait_until(lambda: self.refused(gone) == 11 and len(self.interfaces("ACCEPT", gone)) == 4, lambda: self.entries()[gone:])
        self.assertEqual(self.interfaces("ACCEPT", gone),
                         {(name, direction) for name in ("inside", "outer") for direction in ("ingress", "egress")})
        self.assertEqual(self.interfaces("REJECT", gone), {("inside", "ingress")})
        collector = ctl.collector(self.control)
        self.assertEqual((collector["refused_packets"], collector["refused_lost"], collector["interfaces_unknown"]), (38, 0, 0))
        wait_until(lambda: self.windows("SKIPDATA", gone), "what is missing of the time between")
        wait_until(lambda: self.windows("NODATA", gone) - self.windows("SKIPDATA", gone), "a window behind it that is whole")
        self.daemon.stop()


if __name__ == "__main__":
    main()
