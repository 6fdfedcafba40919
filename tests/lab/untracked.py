"""What the daemon says to a server beside it, in the NAT box, is no traffic of the lab."""

RULES = """
table inet beside {
 chain out {
  type filter hook output priority raw
  oifname lo notrack
 }
 chain in {
  type filter hook prerouting priority raw
  iifname lo notrack
 }
}
"""


def leave_untracked(lab):
    """Connections over the NAT box's loopback interface that begin from now on are not in its table."""
    lab.nft(RULES)
