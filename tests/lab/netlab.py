"""Lab: a client, a NAT box and a server in network namespaces, joined by veth pairs, IPv4 and IPv6.

    client              NAT box                                       server
    10.64.0.2  -------- inner 10.64.0.1    outer 203.0.113.1 -------- 203.0.113.80
    fd64::2             fd64::1            2001:db8:113::1            2001:db8:113::80

Needs root. Everything is removed when the `with` block ends; what a killed run left, when the next begins.
"""

import itertools
import os
import shutil
import signal
import subprocess
import time
import unittest

CLIENT4, CLIENT6 = "10.64.0.2", "fd64::2"
INNER4, INNER6 = "10.64.0.1", "fd64::1"
OUTER4, OUTER6 = "203.0.113.1", "2001:db8:113::1"
SERVER4, SERVER6 = "203.0.113.80", "2001:db8:113::80"
POOL4 = ["203.0.113.5", "203.0.113.6", "203.0.113.7"]  # more addresses of the NAT box, for SNAT to a range

PREFIX = "natlab-"
_numbers = itertools.count()

# Short enough that sessions end within a test, long enough that no packet of a session comes after its end.
QUICK_TIMEOUTS = {
    "udp_timeout": 1, "udp_timeout_stream": 1, "icmp_timeout": 1, "icmpv6_timeout": 1, "generic_timeout": 1,
    "tcp_timeout_time_wait": 1, "tcp_timeout_close": 1, "tcp_timeout_close_wait": 2,
    "tcp_timeout_last_ack": 2, "tcp_timeout_fin_wait": 2,
}

# nftables rules by name. A chain is named by its hook; the lines of one chain from several names are joined.
RULES = {
    "masquerade": {"ip postrouting": ["oifname outer masquerade"]},
    "masquerade6": {"ip6 postrouting": ["oifname outer masquerade"]},
    "random": {"ip postrouting": ["oifname outer masquerade fully-random"]},
    "random6": {"ip6 postrouting": ["oifname outer masquerade fully-random"]},
    "snat-range": {"ip postrouting": [f"oifname outer snat to {POOL4[0]}-{POOL4[-1]}"]},
    # Asked for: the NAT box's own address. Reached: the server's port 7000.
    "dnat-out": {"ip prerouting": [f"iifname inner ip daddr {INNER4} tcp dport 8000 dnat to {SERVER4}:7000"]},
    # From the server's side: the public address and port 8080 lead to the client's port 7000.
    "dnat-in": {"ip prerouting": [f"iifname outer ip daddr {OUTER4} tcp dport 8080 dnat to {CLIENT4}:7000"]},
    "zone": {"inet raw": ["ct zone set 7"]},
    "mark": {"inet mangle": ["ct mark set 0x2a"]},
}
HOOKS = {
    "prerouting": "type nat hook prerouting priority dstnat",
    "postrouting": "type nat hook postrouting priority srcnat",
    "raw": "type filter hook prerouting priority raw",
    "mangle": "type filter hook prerouting priority mangle",
    "track": "type filter hook forward priority filter",
}


def missing(what):
    """The test cannot run here. It is skipped and says why; in CI (CI=true) that is a failure."""
    if os.environ.get("CI") == "true":
        raise AssertionError(f"in CI nothing is skipped: {what}")
    raise unittest.SkipTest(what)


def require(*commands):
    """What every lab needs, and `commands`."""
    if os.geteuid() != 0:
        missing("the network lab needs root: namespaces, nftables and conntrack are the kernel's")
    for command in ("ip", "nft", "conntrack", "nsenter", "unshare", *commands):
        if not shutil.which(command):
            missing(f"the network lab needs the command '{command}': ./packaging/install-deps.sh --tests")
    if subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode != 0:
        missing("the network lab may not make network namespaces here (CAP_SYS_ADMIN)")


def run(*argv, text_in=None, check=True):
    """Runs a command to its end and returns its output."""
    done = subprocess.run([str(a) for a in argv], input=text_in, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, argv))}: status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def wait_until(condition, what, seconds=30.0):
    """Returns the first true value of condition(). `what` says in the failure what did not come to pass."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what() if callable(what) else what}")
        time.sleep(0.01)


def next_moment():
    """Until it is another millisecond than now: the resolution of the log."""
    until = time.time() + 0.002
    wait_until(lambda: time.time() > until, "the next millisecond")


class Lab:
    """rules: names from RULES. sysctls: nf_conntrack_* of the NAT box, set before any traffic."""

    def __init__(self, rules=("masquerade", "masquerade6"), **sysctls):
        self._rules = rules
        self._sysctls = {"acct": 1, "timestamp": 1, "events": 1, **QUICK_TIMEOUTS, **sysctls}
        number = next(_numbers)
        stem = f"{PREFIX}{os.getpid()}-" + (f"{number}-" if number else "")
        self.client, self.nat, self.server = (stem + role for role in ("client", "nat", "server"))
        self._agents = []

    def __enter__(self):
        remove_leftovers()
        try:
            self._make()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *unused):
        self.remove()

    def _make(self):
        for namespace in (self.client, self.nat, self.server):
            run("ip", "netns", "add", namespace)
        self.join_nat()

    def remove_nat(self):
        """Deletes the name of the NAT box; it goes itself when nobody holds it any more."""
        run("ip", "netns", "del", self.nat)

    def nat_is_freed(self):
        """With a namespace go its ends of the cables, and with these the other ends."""
        return not any("eth0" in run("ip", "-n", namespace, "-o", "link") for namespace in (self.client, self.server))

    def add_nat(self):
        """Another one under its name, without anything in it."""
        run("ip", "netns", "add", self.nat)

    def join_nat(self):
        """Gives the NAT box its cables, rules and sysctls."""
        for near, far, far_ns in (("inner", "eth0", self.client), ("outer", "eth0", self.server)):
            run("ip", "-n", self.nat, "link", "add", near, "type", "veth",
                "peer", "name", far, "netns", far_ns)
        self._interface(self.client, "eth0", [f"{CLIENT4}/24", f"{CLIENT6}/64"])
        self._interface(self.nat, "inner", [f"{INNER4}/24", f"{INNER6}/64"])
        self._interface(self.nat, "outer", [f"{OUTER4}/24", f"{OUTER6}/64"] + [f"{a}/32" for a in POOL4])
        self._interface(self.server, "eth0", [f"{SERVER4}/24", f"{SERVER6}/64"])
        run("ip", "-n", self.client, "route", "add", "default", "via", INNER4)
        run("ip", "-n", self.client, "route", "add", "default", "via", INNER6)
        # Without a link-local address the NAT box asks for no neighbour on another's behalf: one that it had not heard of for
        # some seconds was lost for good.
        for interface, address, namespace in (("inner", CLIENT6, self.client), ("outer", SERVER6, self.server)):
            told = run("ip", "-n", namespace, "-o", "link", "show", "eth0").split()
            run("ip", "-n", self.nat, "neigh", "replace", address, "lladdr", told[told.index("link/ether") + 1],
                "dev", interface, "nud", "permanent")
        settings = ["net/ipv4/ip_forward=1", "net/ipv6/conf/all/forwarding=1"]
        # The first rule that needs it makes connection tracking, and so its sysctls, appear in the namespace.
        self.nft(self._ruleset())
        settings += [f"net/netfilter/nf_conntrack_{name}={value}" for name, value in self._sysctls.items()]
        run(*self.enter(self.nat), "sh", "-c",
            'for s; do echo "${s#*=}" >"/proc/sys/${s%=*}" || exit 1; done', "sh", *settings)

    @staticmethod
    def _interface(namespace, name, addresses):
        ip = ["ip", "-n", namespace]
        run(*ip, "link", "set", "lo", "up")
        # One packet on the wire is one packet everywhere: a capture and the kernel's counters see the same.
        run(*ip, "link", "set", name, "gso_max_segs", "1")
        # No link-local address: nothing but the test's own packets.
        run(*ip, "link", "set", name, "addrgenmode", "none")
        run(*ip, "link", "set", name, "up")
        for address in addresses:
            run(*ip, "addr", "add", address, "dev", name, *(["nodad"] if ":" in address else []))

    def _ruleset(self):
        chains = {}
        for rule in self._rules:
            for chain, lines in RULES[rule].items():
                chains.setdefault(chain, []).extend(lines)
        # In every lab, so that connections are tracked in all of them.
        chains["inet track"] = ["ct state new accept"]
        text = ""
        for chain, lines in chains.items():
            family, hook = chain.split()
            body = "\n  ".join([HOOKS[hook], *lines])
            text += f"table {family} {hook} {{\n chain rules {{\n  {body}\n }}\n}}\n"
        return text

    def nft(self, text):
        run(*self.enter(self.nat), "nft", "-f", "-", text_in=text)

    @staticmethod
    def enter(namespace):
        """What to put before a command to run it in a namespace."""
        return ["nsenter", f"--net=/run/netns/{namespace}"]

    def conntrack(self, *arguments, check=True):
        return run(*self.enter(self.nat), "conntrack", *arguments, check=check)

    def delete_flows(self, *which):
        """Those that conntrack -D finds, until it finds none: one that times out while it reads the table makes it give up,
        and one whose neighbour goes meanwhile may be passed over."""
        command = [*self.enter(self.nat), "conntrack", "-D", *map(str, which)]
        for time in range(100):
            done = subprocess.run(command, capture_output=True, text=True)
            if time > 0 and " 0 flow entries" in done.stderr:
                return
            if done.returncode != 0 and "Operation failed: such conntrack doesn't exist" not in done.stderr:
                raise AssertionError(f"{' '.join(command)}: status {done.returncode}: {done.stderr.strip()}")
        raise AssertionError(f"{' '.join(command)}: it finds more each time")

    def sysctl(self, name, value):
        run(*self.enter(self.nat), "sh", "-c", f'echo {value} >"/proc/sys/net/netfilter/nf_conntrack_{name}"')

    def flow_count(self):
        return int(run(*self.enter(self.nat), "cat", "/proc/sys/net/netfilter/nf_conntrack_count"))

    def wait_for_expiry(self, left=0, seconds=30.0):
        """Until at most `left` flows are in the table. The kernel looks for timed-out flows now and then,
        once a minute when there are few; listing the table makes it do so at once."""
        def few():
            self.conntrack("-L")
            return self.flow_count() <= left
        wait_until(few, lambda: f"flows left in the table: {self.conntrack('-L')}", seconds)

    def adopt(self, agent):
        """`agent` has close(); it is called before the namespaces go."""
        self._agents.append(agent)
        return agent

    def remove(self):
        while self._agents:
            self._agents.pop().close()
        for namespace in (self.client, self.nat, self.server):
            remove_namespace(namespace)


def remove_namespace(namespace):
    if not os.path.exists(f"/run/netns/{namespace}"):
        return
    # Only what lives in this namespace of our own making.
    for pid in run("ip", "netns", "pids", namespace, check=False).split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass
    run("ip", "netns", "del", namespace, check=False)


def remove_leftovers():
    """Namespaces of labs whose process is gone (killed, so that it could not clean up)."""
    names = os.listdir("/run/netns") if os.path.isdir("/run/netns") else []
    for name in names:
        if name.startswith(PREFIX) and not os.path.exists("/proc/" + name[len(PREFIX):].split("-")[0]):
            remove_namespace(name)
