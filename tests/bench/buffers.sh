#!/usr/bin/env bash
# buffers.sh: how many events wait in a receive buffer of 64 MiB, as the daemon sets it, while nobody reads: a loop that
# only receives is stopped (SIGSTOP), sessions are made or ended, and what it gets when it goes on is counted. Without
# reliable delivery the rest is lost, which is how it shows where the buffer ends.
#
#   buffers.sh [--sessions N] [--quick]
#     --sessions N  made while it stands still (default 500000)
#     --quick       20,000: whether everything works; that many fit
#
# Needs root. NATBENCH_PROGRAMS as in flood.sh. Exit status: 0; 1 when something fails; 77 when it cannot run here.
# shellcheck disable=SC1091,SC2154 # lab.sh assigns
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lab.sh"

sessions=500000 quick=0
read_options "sessions" "sessions=20000" "$@"

# Whether every netlink socket of the namespace for netfilter (protocol 12) has been read to its end.
# shellcheck disable=SC2016 # awk's own $2
none_waits() { in_netns plain awk '$2 == 12 && $5 > 0 { exit 1 }' /proc/net/netlink; }

# count_waiting GROUPS: of the events that come while it does not read, how many it gets. Sets waited.
count_waiting() {
  local groups=$1
  [ "$groups" = n ] || in_netns plain "$programs/flood" insert "$sessions" 3600 >/dev/null
  start plain "$dir/out" "$dir/err" "$programs/receive_count" "$groups" $((64 << 20)) unreliable
  local pid=$started_pid
  wait_for 10 grep -qs ready "$dir/out" || die "receive_count does not start: $(cat "$dir/err")"
  kill -STOP "$pid"
  if [ "$groups" = n ]; then
    in_netns plain "$programs/flood" insert "$sessions" 3600 >/dev/null
  else
    in_netns plain "$programs/flood" flush >/dev/null
  fi
  kill -CONT "$pid"
  # On a busy machine it may not have begun when it would seem to stand still.
  wait_for 30 none_waits || die "receive_count did not go on"
  wait_still "$pid" 0.3 30 || die "receive_count never came to rest"
  stop "$pid" 10
  waited=$(awk -v key="$([ "$groups" = n ] && echo new || echo destroy)" \
    '{ for (i = 1; i < NF; i++) if ($i == key) print $(i + 1) }' "$dir/out")
  flush_table plain
}

require timeout
lab_open "$sessions"
describe_machine
for groups in n d; do
  count_waiting "$groups"
  printf '%-8s events that wait in 64 MiB: %7d of %d\n' "$([ $groups = n ] && echo NEW || echo DESTROY)" "$waited" "$sessions"
  [ "${waited:-0}" -gt 0 ] || die "none came"
done
[ $quick = 0 ] || echo "A quick run: all fit."
