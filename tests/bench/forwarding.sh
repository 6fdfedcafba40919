#!/usr/bin/env bash
# forwarding.sh: how many TCP connections a second a NAT box forwards while a logger listens. Connections are short and
# as many as the machine's cores can do, so what a logger takes from them, and what its subscription costs the
# forwarding path, shows. natsessiond is compared with a loop that only receives and counts the same events, in turn.
#
#   forwarding.sh [--rounds N] [--seconds N] [--no-peers] [--quick]
#     --rounds N    each round runs every row once; figures are medians (default 5)
#     --seconds N   of each row, after a second to warm up (default 4)
#     --no-peers    without ulogd2 and conntrack -E (ulogd2 is installed when it is absent)
#     --quick       one round of one second, no peers: whether everything works; its figures mean little
#
# Needs root. NATSESSIOND names another daemon than build/release/daemon/natsessiond, NATBENCH_PROGRAMS another folder
# with flood, receive_count, udp_sessions and connections than build/release/tests/bench. Exit status: 0; 1 when a
# budget is missed (not with --quick) or something fails; 77 when it cannot run here.
# shellcheck disable=SC1091,SC2154 # lab.sh and loggers.sh assign
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
source "$(dirname "${BASH_SOURCE[0]}")/loggers.sh"

rounds=5 seconds=4 warm_up=1 peers=1 quick=0
read_options "rounds seconds" "peers=0 rounds=1 seconds=1 warm_up=0.5" "$@"

ports=16 first_port=7000 threads=$(nproc)
event_sets=(auto destroy "new,destroy" "new,update,destroy")
peer_rows=(conntrack:needed ulogd2:needed)

declare -A rate_of=() failed_of=() gaps_of=()
declare -A pair_ratio=() # natsessiond to the loop, by --events, one of each round

# Sets rate (connections a second) and failed.
connect() {
  local said
  said=$(in_netns client timeout --foreground 120 "$programs/connections" client "$server_ip" $first_port $ports \
    "$threads" $warm_up "$seconds") || die "no connections: $said"
  rate=$(sed -n 's/.*: \([0-9]*\) a second$/\1/p' <<<"$said")
  failed=$(sed -n 's/.*failed \([0-9]*\) .*/\1/p' <<<"$said")
}

run_row() {
  local name=$1
  gaps=-
  if [ "$name" = none ]; then
    connect
  else
    start_logger nat "$name"
    connect
    stop_logger
  fi
  flush_table nat
  rate_of[$name]+=" $rate"
  failed_of[$name]=$((${failed_of[$name]:-0} + failed))
  [ "$gaps" = - ] || gaps=$((gaps + ${gaps_of[$name]:-0}))
  gaps_of[$name]=$gaps
  echo "round $round, $(title "$name"): $rate connections a second" >&2
}

title() { if [ "$1" = none ]; then echo "no logger"; else logger_title "$1"; fi; }

run_pair() {
  local events=$1 loop natsessiond_row=natsessiond:$1:json loop_rate
  loop=loop:$(logger_groups "$natsessiond_row")
  # Who is first changes, so that a machine that grows slower or faster favours neither.
  if [ $((round % 2)) = 1 ]; then
    run_row "$loop"
    loop_rate=$rate
    run_row "$natsessiond_row"
  else
    run_row "$natsessiond_row"
    local its_rate=$rate
    run_row "$loop"
    loop_rate=$rate rate=$its_rate
  fi
  pair_ratio[$events]+=" $(calculate "$rate / $loop_rate * 100" 1)"
}

require timeout
lab_open 1000000
if [ $peers = 1 ]; then install_peers; fi
start_pulse 7200
start server "$dir/server" "$dir/server.err" "$programs/connections" server "$server_ip" $first_port $ports "$threads"
wait_for 10 grep -qs ready "$dir/server" || die "the server does not start: $(cat "$dir/server.err")"
for ((round = 1; round <= rounds; round++)); do
  run_row none
  for events in "${event_sets[@]}"; do run_pair "$events"; done
  for name in "${peer_rows[@]}"; do
    if [ $peers = 1 ] && peer_there "$name"; then run_row "$name"; fi
  done
done

rows=(none)
for events in "${event_sets[@]}"; do
  loop=loop:$(logger_groups "natsessiond:$events:json")
  [[ " ${rows[*]} " == *" $loop "* ]] || rows+=("$loop")
  rows+=("natsessiond:$events:json")
done
rows+=("${peer_rows[@]}")
describe_machine
echo "Rounds: $rounds, of $seconds s each; medians; 'of none': against no logger; failed and gaps: of all rounds"
printf '\n%-52s %14s %8s %7s %5s\n' "" "connections/s" "of none" failed gaps
# shellcheck disable=SC2086 # lists
for name in "${rows[@]}"; do
  [ -n "${rate_of[$name]:-}" ] || continue
  rate=$(median ${rate_of[$name]})
  printf '%-52s %14.0f %7.1f%% %7d %5s\n' "$(title "$name")" "$rate" \
    "$(calculate "$rate / $(median ${rate_of[none]}) * 100" 1)" "${failed_of[$name]}" "${gaps_of[$name]}"
done

printf '\nBudgets: natsessiond to the loop with the same groups, median of pairs\n'
for events in "${event_sets[@]}"; do
  # shellcheck disable=SC2086 # a list
  ratio=$(median ${pair_ratio[$events]})
  budget "--events $events: 97 %" "$(printf '%.1f %%' "$ratio")" at_least "$ratio" 97
done
if [ $quick = 1 ]; then
  echo "A quick run: its figures count for nothing."
else
  [ "$missed" = 0 ]
fi
