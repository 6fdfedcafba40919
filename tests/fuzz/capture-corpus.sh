#!/bin/sh
# Captures the decoder's corpus from this machine's kernel: a NAT lab in network namespaces, traffic of every
# protocol, and the conntrack messages that it causes.
# Needs root, iproute2, nftables, conntrack, iputils-ping and python3.
#   capture-corpus.sh CAPTURE_MESSAGES DIR     CAPTURE_MESSAGES is the program of that name in a build folder
set -eu
capture=$1
directory=$2
here=$(dirname "$0")
client=corpus-client-$$ nat=corpus-nat-$$ server=corpus-server-$$
jobs=""

clean_up() {
  for job in $jobs; do kill "$job" 2>/dev/null || true; done
  for name in $client $nat $server; do ip netns delete "$name" 2>/dev/null || true; done
}
trap clean_up EXIT
trap 'exit 1' INT TERM

in_client() { ip netns exec "$client" "$@"; }
in_nat() { ip netns exec "$nat" "$@"; }
in_server() { ip netns exec "$server" "$@"; }

mkdir -p "$directory"
for name in $client $nat $server; do
  ip netns add "$name"
  ip -n "$name" link set lo up
  ip netns exec "$name" sysctl -qw net.ipv6.conf.default.accept_dad=0
done
ip -n "$nat" link add lan type veth peer name eth0 netns "$client"
ip -n "$nat" link add wan type veth peer name eth0 netns "$server"
ip -n "$client" addr add 10.0.0.2/24 dev eth0
ip -n "$client" addr add fd00:1::2/64 dev eth0 nodad
ip -n "$server" addr add 198.51.100.2/24 dev eth0
ip -n "$server" addr add 2001:db8:2::2/64 dev eth0 nodad
ip -n "$nat" addr add 10.0.0.1/24 dev lan
ip -n "$nat" addr add fd00:1::1/64 dev lan nodad
ip -n "$nat" addr add 198.51.100.1/24 dev wan
ip -n "$nat" addr add 2001:db8:2::1/64 dev wan nodad
for link in lan wan; do ip -n "$nat" link set $link up; done
for name in $client $server; do ip -n "$name" link set eth0 up; done
ip -n "$client" route add default via 10.0.0.1
ip -n "$client" route add default via fd00:1::1
# A veth pair leaves UDP-Lite's checksum unfinished, which conntrack would take for a broken packet.
in_nat sysctl -qw net.netfilter.nf_conntrack_checksum=0
in_nat sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
in_nat sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_time_wait=2
in_nat sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_close=2
in_nat nft -f - <<'RULES'
table inet lab {
  ct helper ftp { type "ftp" protocol tcp; }
  chain zones { type filter hook prerouting priority raw
    iifname "lan" udp dport 5005 ct original zone set 5
    iifname "lan" udp dport 5007 ct zone set 7
    iifname "wan" udp sport 5007 ct zone set 7
  }
  chain extras { type filter hook forward priority filter
    tcp dport 21 ct helper set "ftp"
    udp dport 5009 ct mark set 0xdeadbeef
    udp dport 5010 ct label set 5
  }
  chain dnat_chain { type nat hook prerouting priority dstnat
    iifname "lan" ip daddr 203.0.113.9 dnat ip to 198.51.100.2
  }
  chain snat_chain { type nat hook postrouting priority srcnat
    oifname "wan" meta l4proto { tcp, udp } masquerade random
    oifname "wan" masquerade
  }
}
RULES

ip netns exec "$server" python3 "$here/corpus_traffic.py" serve & jobs="$jobs $!"
ip netns exec "$server" python3 "$here/corpus_traffic.py" sctp-reply & jobs="$jobs $!"
# Not through the functions: a function in the background is a shell, and the signal would end only that.
ip netns exec "$nat" "$capture" events "$directory" 5 & events=$!; jobs="$jobs $events"
sleep 1

round() {
  in_client python3 "$here/corpus_traffic.py" client "$1"
  in_client ping -q -c 2 -i 0.2 198.51.100.2 >/dev/null
  in_client ping -q -c 2 -i 0.2 2001:db8:2::2 >/dev/null
  # Translated at both ends; refused by the server, which answers with ICMP.
  in_client python3 "$here/corpus_traffic.py" datagram 203.0.113.9
  # The box's own traffic: not translated.
  in_nat ping -q -c 1 198.51.100.2 >/dev/null
}
# As the kernel comes, then with counters and stamps: messages of both shapes.
round 20000
in_nat "$capture" dump "$directory" 2
in_nat conntrack -F 2>/dev/null
in_nat sysctl -qw net.netfilter.nf_conntrack_acct=1 net.netfilter.nf_conntrack_timestamp=1
round 21000
round 22000
mkdir "$directory/full"
in_nat "$capture" dump "$directory/full" 3
for file in "$directory"/full/dump-*; do
  mv "$file" "$directory/dump-full-${file##*/dump-}"
done
rmdir "$directory/full"
sleep 3
in_nat conntrack -F 2>/dev/null
sleep 1
kill -TERM $events
wait $events
echo "$(find "$directory" -type f | wc -l) messages, $(cat "$directory"/* | wc -c) bytes in $directory"
