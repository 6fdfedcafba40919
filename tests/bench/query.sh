#!/usr/bin/env bash
# query.sh: the questions that a session log is for, over the generated day of a carrier-grade NAT: lib/query over a ledger,
# beside JSON lines with grep and jq, SQLite with an index, and nfdump over its own files, on the same sessions.
#
#   query.sh [--sessions N] [--peer-sessions N] [--threads N] [--directory DIR] [--keep] [--quick]
#     --sessions N        of the ledger's day (default 100000000; 2 GB of disk and half an hour to make)
#     --peer-sessions N   of the day that all are compared on (default 2000000; 1 kB of disk for each); 0: no comparison
#     --threads N         of lib/query (default: one for each core)
#     --directory DIR     where the files are made (default: a temporary directory); what is there already is used again
#     --keep              leaves the files there
#     --quick             20000 sessions, for whether everything works; no budget is held
#
# Each question is asked with all files in the page cache. Times are wall-clock seconds: on a machine that does something
# else they mean nothing. Exit status: 0; 1 if a budget is missed or an answer is not the peers'; 2 for usage.
# Peers that are not installed are left out: apt-get install jq sqlite3 nfdump.
# shellcheck disable=SC2317 # the questions are called by name
set -euo pipefail
export LC_ALL=C

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bench=${NATBENCH_PROGRAMS:-$root/build/release/tests/bench}/query_bench
sessions=100000000 peer_sessions=2000000 threads=0 directory='' keep=0 quick=0
while [ $# -gt 0 ]; do
  case $1 in
    --sessions) sessions=${2:?--sessions needs a number} && shift ;;
    --peer-sessions) peer_sessions=${2:?--peer-sessions needs a number} && shift ;;
    --threads) threads=${2:?--threads needs a number} && shift ;;
    --directory) directory=${2:?--directory needs a path} && shift ;;
    --keep) keep=1 ;;
    --quick) quick=1 sessions=20000 peer_sessions=20000 ;;
    --help | -h) sed -n '2,/^# shellcheck/{/shellcheck/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
    *) echo "query.sh: unknown option '$1'; see query.sh --help" >&2 && exit 2 ;;
  esac
  shift
done
[ -x "$bench" ] || { echo "query.sh: $bench is not built: cmake --preset release && cmake --build --preset release" >&2; exit 1; }

if [ -z "$directory" ]; then
  directory=$(mktemp -d)
  [ $keep = 1 ] || trap 'rm -rf "$directory"' EXIT
fi
have() { command -v "$1" >/dev/null; }
failed=0

# field NAME LINE: of "name=value name=value".
field() { sed -n "s/.*\b$1=\([^ ]*\).*/\1/p" <<<"$2"; }

# --- budgets, seconds; and 300 MB
declare -A budget=([trace_at_time]=0.05 [trace_whole_day]=5 [surge_sql_by_minute]=1 [surge_sql_by_host]=1
  [surge_timeline]=1 [top_hosts_day]=10)
memory_budget_mb=300

# make DIR SESSIONS OPTION...
make_day() {
  local day=$1 count=$2
  shift 2
  if [ ! -e "$day/made" ]; then
    echo "making $count sessions in $day" >&2
    rm -rf "$day"
    "$bench" make "$day" --sessions "$count" "$@" >"$day.made"
    mv "$day.made" "$day/made"
  fi
  cat "$day/made"
}

# print_own TITLE DIR
print_own() {
  local day=$2 line what seconds limit
  printf '\n%s\n%-24s %10s %10s %9s %10s %8s\n' "$1" "" "seconds" "CPU s" "peak MB" "answers" "budget"
  "$bench" ask "$day" ${threads:+--threads "$threads"} >"$day.asked"
  while read -r line; do
    case $line in
      ask*) ;;
      *) continue ;;
    esac
    what=$(field what "$line") seconds=$(field seconds "$line") limit=${budget[$what]:--}
    printf '%-24s %10s %10s %9s %10s %8s\n' "$what" "$seconds" "$(field cpu "$line")" "$(field peak_mb "$line")" \
      "$(field answers "$line")" "$limit"
    [ $quick = 0 ] || continue
    if [ "$limit" != - ] && awk "BEGIN { exit !($seconds > $limit) }"; then
      echo "query.sh: $what took $seconds s; its budget is $limit s" >&2
      failed=1
    fi
    if awk "BEGIN { exit !($(field peak_mb "$line") > $memory_budget_mb) }"; then
      echo "query.sh: $what took $(field peak_mb "$line") MB; the budget is $memory_budget_mb MB" >&2
      failed=1
    fi
  done <"$day.asked"
}

# --- the peers. Each question's function prints the private addresses that it found, or bytes, one in a line.

# timed NAME COMMAND...: runs it twice, the second time counts; prints a row, and keeps what it said in $day.NAME.
timed() {
  local name=$1 before after
  shift
  "$@" >"$day.$name" 2>"$day.error" || { cat "$day.error" >&2; echo "query.sh: $name failed" >&2; failed=1; return; }
  before=$EPOCHREALTIME
  "$@" >"$day.$name"
  after=$EPOCHREALTIME
  printf '%-32s %10.3f %10d\n' "$name" "$(awk "BEGIN { print $after - $before }")" "$(wc -l <"$day.$name")"
}

json_trace() { # FROM UNTIL, seconds
  grep -F "\"nat_ip\":\"$nat_ip\",\"nat_port\":$nat_port," "$day/log.json" |
    jq -r "select(.start_time <= $2 and .end_time >= $1 and .protocol == 6) | .pri_ip" | sort -u
}
# The ten largest of "HOST BYTES" lines, as "BYTES HOST".
largest() {
  awk 'NF == 2 { sum[$1] += $2 } END { for (host in sum) printf "%.0f %s\n", sum[host], host }' | sort -rn | awk 'NR <= 10'
}
json_surge() {
  grep -F "\"pub_ip\":\"$pub_ip\"," "$day/log.json" |
    jq -r "select(.end_time >= $from and .end_time <= $until) | [.pri_ip, .bytes_from_vpc] | @tsv" | largest
}
json_top() { jq -r '[.pri_ip, .bytes_from_vpc] | @tsv' "$day/log.json" | largest; }

in_seconds() { awk "BEGIN { printf \"%.3f\", $1 / 1000 }"; }
ip_number() {
  local octets
  IFS=. read -ra octets <<<"$1"
  echo $(((octets[0] << 24) + (octets[1] << 16) + (octets[2] << 8) + octets[3]))
}
ask_sqlite() { sqlite3 -readonly -separator ' ' "$day/log.db" "$1"; }
dotted="printf('%d.%d.%d.%d', pri_ip >> 24, pri_ip >> 16 & 255, pri_ip >> 8 & 255, pri_ip & 255)"
sqlite_trace() { # [AT_MS]
  ask_sqlite "SELECT DISTINCT $dotted FROM log WHERE nat_ip = $(ip_number "$nat_ip") AND nat_port = $nat_port AND protocol = 6
    ${1:+AND end_time BETWEEN $1 AND $1 + 600000 AND start_time <= $1}"
}
sqlite_surge() {
  ask_sqlite "SELECT sum(bytes_from_vpc) b, $dotted FROM log INDEXED BY by_time WHERE pub_ip = $(ip_number "$pub_ip")
    AND end_time BETWEEN $from_ms AND $until_ms GROUP BY pri_ip ORDER BY b DESC LIMIT 10"
}
sqlite_top() { ask_sqlite "SELECT sum(bytes_from_vpc) b, $dotted FROM log GROUP BY pri_ip ORDER BY b DESC LIMIT 10"; }

# slices FROM_MS UNTIL_MS: the directories of ten minutes that may hold flows that ended then.
slices() {
  local slice
  for ((slice = ($1 - midnight_ms) / 600000; slice <= ($2 - midnight_ms) / 600000; slice++)); do
    printf '%s/flows/%03d\n' "$day" "$slice"
  done
}
ask_nfdump() { # FROM_MS UNTIL_MS ARGUMENT...
  local from=$1 until=$2 slice
  shift 2
  for slice in $(slices "$from" "$until"); do
    [ ! -d "$slice" ] || nfdump -q -6 -R "$slice" "$@"
  done
}
nfdump_trace() { # FROM_MS UNTIL_MS
  ask_nfdump "$1" "$2" -o 'fmt:%sa' "proto tcp and src nip $nat_ip and src nport $nat_port" | tr -d ' ' | grep -E '^[0-9.]+$' | sort -u
}
nfdump_surge() { ask_nfdump "$from_ms" "$until_ms" -o 'fmt:%sa %byt' "dst ip $pub_ip" | largest; }
nfdump_top() { ask_nfdump "$midnight_ms" $((midnight_ms + 86400000)) -N -o 'fmt:%sa %byt' -A srcip | largest; }

# same NAME QUESTION: whether what a peer said is lib/query's answer. Of hosts with as much as the tenth has any may be it.
clear_cut() { sort -rn | awk '{ line[NR] = $0; bytes[NR] = $1 } END { for (i = 1; i <= NR; i++) if (bytes[i] != bytes[10]) print line[i] }' | sort; }
same() {
  local ours
  ours=$(sed -n "s/^answer what=$2 bytes=\\([0-9]*\\) host=\\(.*\\)/\\1 \\2/p" "$day.asked" | clear_cut)
  if [ -z "$ours" ] || [ "$(clear_cut <"$day.$1")" != "$ours" ]; then
    echo "query.sh: $1 is another answer than lib/query's" >&2
    failed=1
  fi
}
found_host() {
  grep -qxF "$pri_ip" "$day.$1" && return
  echo "query.sh: $1 found another host than lib/query" >&2
  failed=1
}
# ask_peer NAME PREFIX AT DAY: the four questions, by PREFIX_trace with the times AT and DAY, PREFIX_surge and PREFIX_top.
ask_peer() {
  # shellcheck disable=SC2086 # lists
  timed "$1 trace_at_time" "$2_trace" $3
  # shellcheck disable=SC2086 # lists
  timed "$1 trace_whole_day" "$2_trace" $4
  timed "$1 surge_hour" "$2_surge"
  timed "$1 top_hosts_day" "$2_top"
  found_host "$1 trace_at_time"
  found_host "$1 trace_whole_day"
  same "$1 surge_hour" surge_hour
  same "$1 top_hosts_day" top_hosts_day
}

run_peers() {
  local line options=()
  day=$directory/peers
  ! have jq || options+=(--json)
  ! have sqlite3 || options+=(--sqlite)
  ! { have nfcapd && have nfdump; } || options+=(--flows)
  printf '\n%s sessions, side by side\n' "$peer_sessions"
  make_day "$day" "$peer_sessions" "${options[@]}" | sed -n 's/^size what=//p'
  if [ -e "$day/log.json" ]; then
    [ -e "$day/gzipped" ] || gzip -c "$day/log.json" | wc -c >"$day/gzipped"
    awk "{ printf \"log.json, gzipped bytes=%d bytes_per_session=%.1f\n\", \$1, \$1 / $peer_sessions }" "$day/gzipped"
  fi
  print_own "lib/query over the ledger of these" "$day"
  line=$(grep '^probe' "$day.asked")
  nat_ip=$(field nat_ip "$line") nat_port=$(field nat_port "$line") pub_ip=$(field pub_ip "$line")
  at_ms=$(field at_ms "$line") from_ms=$(field from_ms "$line") until_ms=$(field until_ms "$line")
  midnight_ms=$((at_ms / 86400000 * 86400000))
  from=$(in_seconds "$from_ms") until=$(in_seconds "$until_ms")
  local at
  pri_ip=$(field pri_ip "$line")
  at=$(in_seconds "$at_ms")

  printf '\n%-32s %10s %10s\n' "the others" "seconds" "lines"
  [ ! -e "$day/log.json" ] || ask_peer grep+jq json "$at $at" "0 9999999999"
  [ ! -e "$day/log.db" ] || ask_peer sqlite sqlite "$at_ms" ""
  [ ! -e "$day/flows" ] || ask_peer nfdump nfdump "$at_ms $((at_ms + 600000))" "$midnight_ms $((midnight_ms + 86400000))"
}

mkdir -p "$directory"
echo "$(nproc) cores, load $(cut -d ' ' -f 1 /proc/loadavg)"
if [ $quick = 0 ]; then
  make_day "$directory/day" "$sessions" | sed -n 's/^size what=//p'
  print_own "lib/query, $sessions sessions" "$directory/day"
fi
[ "$peer_sessions" = 0 ] || run_peers
exit $failed
