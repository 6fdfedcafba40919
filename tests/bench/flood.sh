#!/usr/bin/env bash
# flood.sh: what natsessiond and its peers lose in floods of sessions, and what each costs, against a loop that only
# receives and counts. Part 1: sessions made and flushed through ctnetlink as fast as the kernel takes them. Part 2:
# sessions by real UDP packets, 50,000 a second, that end by their timeout. Then natsessiond's memory for each live
# session and its start with a full table, and each budget with PASS or MISS.
#
#   flood.sh [--rounds N] [--sessions N] [--packets N] [--part N] [--no-peers] [--quick]
#     --rounds N    each round runs every row once; figures are medians, losses the worst (default 1)
#     --sessions N  of part 1 (default 1000000)
#     --packets N   sessions of part 2 (default 200000)
#     --part N      1 or 2: only that part (default: both, and memory and start)
#     --no-peers    without ulogd2, conntrack -E and natlog (they are installed when they are absent)
#     --quick       20,000 and 5,000 sessions, no peers: whether everything works; its figures mean little
#
# Needs root. NATSESSIOND names another daemon than build/release/daemon/natsessiond, NATBENCH_PROGRAMS another folder
# with flood, receive_count, udp_sessions and connections than build/release/tests/bench. Exit status: 0; 1 when a
# budget is missed (--quick: when sessions are lost) or something fails; 77 when it cannot run here.
# shellcheck disable=SC1091,SC2154 # lab.sh and loggers.sh assign
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
source "$(dirname "${BASH_SOURCE[0]}")/loggers.sh"

rounds=1 sessions=1000000 packets=200000 part=0 peers=1 quick=0
rate=50000
read_options "rounds sessions packets part" "peers=0 sessions=20000 packets=5000" "$@"

own=(loop:nd "natsessiond:new,destroy:json" "natsessiond:new,destroy:null" "natsessiond:new,destroy:ledger"
  loop:d natsessiond:destroy:json natsessiond:auto:json loop:nud "natsessiond:new,update,destroy:json")
peer_rows=(ulogd2:needed ulogd2:default conntrack:needed conntrack:default natlog:needed natlog:default)

# Figures by row, which is "PART LOGGER"; one of each round, but the worst of losses.
declare -A cpu_of=() ratio_of=() peak_of=() made_of=() logged_of=() lost_of=() gaps_of=()
twice_of=(0 0 0)       # end records beyond the first of a session, by part
declare -A loop_cpu=() # of this round, by "PART GROUPS"

# Each sets made.
make_by_ctnetlink() {
  local said
  said=$(in_netns plain timeout --foreground 120 "$programs/flood" insert "$sessions" 3600) || die "flood: $said"
  made=$(awk '{ print $2 }' <<<"$said")
  in_netns plain timeout --foreground 120 "$programs/flood" flush >/dev/null
}

# The kernel ends them at its own pace; in a quick run at once, because a listing does it.
udp_over() {
  nap 0.5
  [ $quick = 0 ] || in_netns nat conntrack -L >/dev/null 2>&1 || true
  table_empty nat
}

make_by_packets() {
  in_netns nat nft reset counters table ip nat >/dev/null
  in_netns client timeout --foreground 120 "$programs/udp_sessions" "$udp_first_source" "$server_ip" \
    "$packets" $rate >/dev/null
  made=$(in_netns nat nft list counters table ip nat | sed -n 's/.*packets \([0-9]*\) .*/\1/p')
  wait_for 150 udp_over || die "the kernel does not end the sessions by their timeout"
}

run_row() {
  local part=$1 name=$2 row="$1 $2" million lost ratio=-
  if [ "$part" = 1 ]; then
    start_logger plain "$name"
    make_by_ctnetlink
  else
    start_logger nat "$name"
    make_by_packets
  fi
  [ "${made:-0}" -gt 0 ] || die "no sessions were made"
  wait_caught_up "$made"
  stop_logger
  million=$(calculate "$cpu_seconds * 1000000 / $made")
  lost=$((made - logged))
  [[ $name != loop:* ]] || loop_cpu["$part ${name#*:}"]=$million
  local floor=${loop_cpu["$part $(logger_groups "$name")"]}
  [ "$floor" = 0.000 ] || ratio=$(calculate "$million / $floor")
  cpu_of[$row]+=" $million" ratio_of[$row]+=" $ratio" peak_of[$row]+=" $peak_mb"
  if [ -z "${lost_of[$row]:-}" ] || [ "$lost" -gt "${lost_of[$row]}" ]; then
    made_of[$row]=$made logged_of[$row]=$logged lost_of[$row]=$lost
  fi
  [ "$gaps" = - ] || gaps=$((gaps + ${gaps_of[$row]:-0}))
  gaps_of[$row]=$gaps twice_of[part]=$((twice_of[part] + twice))
  echo "round $round, part $part, $(logger_title "$name"): lost $lost of $made, $million s of CPU a million" >&2
}

# What is wrong with the logs of natsessiond in a part: sessions not or twice in them, and gap records.
wrong_in() {
  local sum=${twice_of[$1]} name
  for name in "${own[@]}"; do
    [[ $name != natsessiond:* ]] || sum=$((sum + ${lost_of["$1 $name"]} + ${gaps_of["$1 $name"]}))
  done
  echo "$sum"
}

print_part() {
  local part=$1 name row
  printf '\n%s\n' "$2"
  printf '%-48s %8s %8s %8s %5s %9s %7s %8s\n' "" made logged lost gaps "CPU s/M" ratio "peak MB"
  for name in "${own[@]}" "${peer_rows[@]}"; do
    row="$part $name"
    [ -n "${cpu_of[$row]:-}" ] || continue
    # shellcheck disable=SC2086 # lists
    printf '%-48s %8d %8d %8d %5s %9s %7s %8.1f\n' "$(logger_title "$name")" "${made_of[$row]}" \
      "${logged_of[$row]}" "${lost_of[$row]}" "${gaps_of[$row]}" "$(rounded "$(median ${cpu_of[$row]})")" \
      "$(rounded "$(median ${ratio_of[$row]})")" "$(largest ${peak_of[$row]})"
  done
}

# Sets bytes_by_events, bytes_by_dump and ready_seconds.
measure_memory() {
  local name=natsessiond:new,update,destroy:json empty full
  start_logger plain "$name"
  nap 1
  empty=$(memory_kb "$logger_pid" VmRSS)
  in_netns plain timeout --foreground 120 "$programs/flood" insert "$sessions" 3600 >/dev/null
  wait_still "$logger_pid" 1 60 || die "natsessiond never came to rest"
  full=$(memory_kb "$logger_pid" VmRSS)
  bytes_by_events=$(calculate "($full - $empty) * 1024 / $sessions" 1)
  stop "$logger_pid" 60
  start_logger plain "$name"
  wait_still "$logger_pid" 1 60 || die "natsessiond never came to rest"
  full=$(memory_kb "$logger_pid" VmRSS)
  bytes_by_dump=$(calculate "($full - $empty) * 1024 / $sessions" 1)
  stop "$logger_pid" 60
  flush_table plain
}

require timeout
lab_open "$sessions"
if [ $peers = 1 ]; then install_peers; fi
parts=(1 2)
[ "$part" = 0 ] || parts=("$part")
for ((round = 1; round <= rounds; round++)); do
  if [[ " ${parts[*]} " == *" 1 "* ]]; then
    for name in "${own[@]}"; do run_row 1 "$name"; done
  fi
  [[ " ${parts[*]} " == *" 2 "* ]] || continue
  start_pulse 3600
  pulse_pid=$started_pid
  for name in "${own[@]}"; do run_row 2 "$name"; done
  for name in "${peer_rows[@]}"; do
    if [ $peers = 1 ] && peer_there "$name"; then run_row 2 "$name"; fi
  done
  stop "$pulse_pid" 10
  flush_table plain
done
[ ${#parts[@]} = 1 ] || measure_memory

describe_machine
echo "Rounds: $rounds. Lost and gaps: the worst. CPU: of the logger and its children, seconds per million sessions."
echo "Ratio: its CPU to that of the receive-and-count loop with the same groups in the same round."
titles=([1]="$sessions sessions through ctnetlink at full kernel speed, inserted, then flushed"
  [2]="$packets sessions by UDP packets at $rate a second, ended by their timeout")
for part in "${parts[@]}"; do print_part "$part" "Part $part: ${titles[part]}"; done

[ ${#parts[@]} = 1 ] || printf '\nMemory for a live session, taken in by a dump: %s bytes\n' "$bytes_by_dump"
printf '\nBudgets\n'
wrong_in_all=0
budget_of_ratio() {
  local ratio
  # shellcheck disable=SC2086 # a list
  ratio=$(median ${ratio_of["1 $2"]})
  budget "CPU, $1: $3 times the loop" "$(rounded "$ratio")" at_most "$ratio" "$3"
}
if [ "${parts[0]}" = 1 ]; then
  budget_of_ratio "NEW and DESTROY to a JSON file" "natsessiond:new,destroy:json" 1.5
  budget_of_ratio "NEW and DESTROY to a ledger alone" "natsessiond:new,destroy:ledger" 1.6
fi
for part in "${parts[@]}"; do
  wrong=$(wrong_in "$part")
  wrong_in_all=$((wrong_in_all + wrong))
  budget "natsessiond, part $part: sessions lost or logged twice, and gaps: 0" "$wrong" [ "$wrong" = 0 ]
done
if [ ${#parts[@]} = 2 ]; then
  budget "memory for a live session, $sessions alive: 96 bytes" "$bytes_by_events" at_most "$bytes_by_events" 96
  budget "from start to ready with $sessions in the table: 5 s" "$ready_seconds" at_most "$ready_seconds" 5
fi
if [ $quick = 1 ]; then
  echo "A quick run: only losses count."
  [ $wrong_in_all = 0 ]
else
  [ "$missed" = 0 ]
fi
