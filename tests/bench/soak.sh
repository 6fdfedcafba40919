#!/usr/bin/env bash
# soak.sh: natsessiond with a ledger under a steady load for long, delivering to a file, to rsyslogd over TCP and to an
# HTTP server at once. Every session must reach all three, exactly once, and the daemon's memory must stay flat.
#
#   soak.sh [--seconds N] [--rate N] [--quick]
#     --seconds N   of load (default 600)
#     --rate N      sessions a second (default 20000)
#     --quick       15 s at 5000 a second: whether everything works
#
# Needs root, rsyslogd and python3, and some 1.5 kB of disk for each session in TMPDIR. NATSESSIOND and NATBENCH_PROGRAMS
# as in forwarding.sh. Exit status: 0; 1 when something is lost or doubled or memory grows; 77 when it cannot run here.
# shellcheck disable=SC1091,SC2154 # lab.sh assigns
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lab.sh"

seconds=600 rate=20000 quick=0
read_options "seconds rate" "seconds=15 rate=5000" "$@"
sessions=$((seconds * rate))
syslog_port=10514 http_port=10080

start_syslog() {
  cat >"$dir/rsyslog.conf" <<END
global(workDirectory="$dir" maxMessageSize="8k")
module(load="imtcp")
template(name="raw" type="string" string="%structured-data%\n")
input(type="imtcp" address="127.0.0.1" port="$syslog_port" ruleset="all")
ruleset(name="all" queue.type="linkedList" queue.size="200000") {
  action(type="omfile" file="$dir/syslog.out" template="raw" ioBufferSize="64k" flushOnTXEnd="off")
}
END
  start plain "$dir/rsyslog.log" "$dir/rsyslog.err" rsyslogd -n -f "$dir/rsyslog.conf" -i "$dir/rsyslog.pid"
  rsyslog_pid=$started_pid
}

start_http() {
  echo ok >"$dir/http.mode"
  start plain "$dir/http.log" "$dir/http.err" python3 "$root/tests/lab/collector_agent.py" http "$http_port" "$dir/http.out" \
    "$dir/http.mode"
  http_pid=$started_pid
}

port_open() { in_netns plain python3 -c "import socket; socket.create_connection(('127.0.0.1', $1), 1)" 2>/dev/null; }

# The end records in a file, and how many different sessions they are of: "ALL DISTINCT".
count_ends() {
  grep -E 'event(":|=)"end"' "$1" | grep -oE 'session_id(":|=)"[0-9a-f]{16}' | tee >(wc -l >"$dir/all") |
    sort -u -S 512M -T "$dir" | wc -l >"$dir/distinct"
  wait_for 10 test -s "$dir/all"
  echo "$(<"$dir/all") $(<"$dir/distinct")"
}

sample_memory() {
  local at=$1 kb
  kb=$(memory_kb "$daemon_pid" VmRSS)
  echo "$at $kb" >>"$dir/memory"
}

require rsyslogd python3
lab_open 500000
ip -n "$stem-plain" link set lo up
start_syslog
start_http
for port in $syslog_port $http_port; do wait_for 20 port_open "$port" || die "nothing listens on port $port: $(cat "$dir"/*.err)"; done

start plain /dev/null "$dir/err" "$natsessiond" --ledger "$dir/ledger" --window 24h \
  --sink "file:$dir/file.out" --sink "syslog+tcp://127.0.0.1:$syslog_port" --sink "http://127.0.0.1:$http_port/log"
daemon_pid=$started_pid
wait_for 30 grep -qs 'ready:' "$dir/err" || die "natsessiond does not start: $(cat "$dir/err")"

ticks=$(cpu_ticks "$daemon_pid")
start plain "$dir/flood.out" "$dir/flood.err" "$programs/flood" steady "$rate" "$seconds"
flood_pid=$started_pid
begun=$SECONDS
while ! process_over "$flood_pid" && [ $((SECONDS - begun)) -lt $((seconds + 120)) ]; do
  nap 1
  sample_memory $((SECONDS - begun))
done
process_over "$flood_pid" || die "the load did not end in time: the machine is too slow for $rate sessions a second"
stop "$flood_pid" 5
[ "$exit_status" = 0 ] || die "$(cat "$dir/flood.out" "$dir/flood.err")"

has_all() { [ "$(grep -cE 'event(":|=)"end"' "$1" 2>/dev/null || true)" -ge "$sessions" ]; }
for name in file http; do wait_for 120 has_all "$dir/$name.out" || echo "soak.sh: $name does not get everything" >&2; done
cpu=$(calculate "($(cpu_ticks "$daemon_pid") - $ticks) / $ticks_per_second / $sessions * 1000000" 2)
ledger_bytes=$(du -sb "$dir/ledger" | cut -f1)
stop "$daemon_pid" 60
[ "$exit_status" = 0 ] || die "natsessiond ended with $exit_status: $(tail -n 5 "$dir/err")"
stop "$http_pid" 10
stop "$rsyslog_pid" 60

describe_machine
echo "$sessions sessions, $rate a second, for $seconds s, through a ledger to three sinks at once"
printf '\n%-10s %12s %12s %10s\n' sink "end records" sessions gaps
for name in file syslog http; do
  read -r all distinct <<<"$(count_ends "$dir/$name.out")"
  gaps=$(grep -E 'event(":|=)"?gap' "$dir/$name.out" | grep -vcE 'reason(":|=)"?started' || true)
  printf '%-10s %12d %12d %10d\n' $name "$all" "$distinct" "$gaps"
  [ "$all" = "$sessions" ] && [ "$distinct" = "$sessions" ] && [ "$gaps" = 0 ] || missed=$((missed + 1))
done
early=$(awk -v limit="$seconds" '$1 >= limit / 5 && $1 <= limit * 2 / 5 && $2 > most { most = $2 } END { print most + 0 }' "$dir/memory")
late=$(awk -v limit="$seconds" '$1 >= limit * 4 / 5 && $2 > most { most = $2 } END { print most + 0 }' "$dir/memory")
echo
echo "CPU $cpu s a million sessions; ledger $(calculate "$ledger_bytes / $sessions" 1) bytes a session, not sealed to its end"
budget "lost, doubled, gaps at any sink: none" "$missed sinks" test "$missed" = 0
grew=$(calculate "$late / $early" 2)
budget "memory in the last fifth to that in the second: 1.10" "$early to $late kB" at_most "$grew" 1.1
if [ $quick = 1 ]; then
  echo "A quick run: its figures count for little."
  for name in file syslog http; do [ "$(count_ends "$dir/$name.out")" = "$sessions $sessions" ] || exit 1; done
else
  [ "$missed" = 0 ]
fi
