# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # assigned here for others, and in lab.sh, which sources this
# measure.sh: processes of the benchmarks and what they cost, waiting for them, and figures.

ticks_per_second=$(getconf CLK_TCK)

exec {nap_fd}<> <(:)
# Sleeps without a process of its own.
nap() { read -rt "$1" -u "$nap_fd" || true; }

# wait_for SECONDS COMMAND...: false when the command did not succeed in that time.
wait_for() {
  local until=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -le "$until" ] || return 1
    nap 0.05
  done
}

# --- processes. `start NETNS OUT ERR COMMAND...` sets started_pid.

start() {
  local netns=$1 out=$2 err=$3
  shift 3
  nsenter "--net=/run/netns/$stem-$netns" -- "$@" >"$out" 2>"$err" {lock_fd}>&- {keeper_fd}>&- {nap_fd}>&- &
  started_pid=$!
  started+=("$started_pid")
}

# The fields of /proc/PID/stat from the third on, in stat_fields. False when there is no such process.
read_stat() {
  local line
  { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
  read -ra stat_fields <<<"${line##*) }"
}

process_over() { ! read_stat "$1" || [ "${stat_fields[0]}" = Z ]; }

# stop PID SECONDS: with SIGTERM, after that long with SIGKILL. Sets exit_status.
stop() {
  local pid=$1 i
  kill -TERM "$pid" 2>/dev/null || true
  if ! wait_for "$2" process_over "$pid"; then
    echo "${0##*/}: process $pid did not stop within $2 s" >&2
    kill -KILL "$pid" 2>/dev/null || true
  fi
  exit_status=0
  wait "$pid" || exit_status=$?
  for i in "${!started[@]}"; do [ "${started[i]}" != "$pid" ] || unset "started[i]"; done
}

# A process and its living descendants, in `tree`.
find_tree() {
  tree=("$1")
  local i children file
  for ((i = 0; i < ${#tree[@]}; i++)); do
    for file in "/proc/${tree[i]}"/task/*/children; do
      children=()
      { read -ra children <"$file"; } 2>/dev/null || true # no newline at its end
      tree+=("${children[@]}")
    done
  done
}

# CPU time of a process and of all its children, in clock ticks: user and system.
cpu_ticks() {
  local pid sum=0
  find_tree "$1"
  for pid in "${tree[@]}"; do
    read_stat "$pid" || continue
    sum=$((sum + stat_fields[11] + stat_fields[12] + stat_fields[13] + stat_fields[14]))
  done
  echo "$sum"
}

# memory_kb PID VmRSS|VmHWM: of a process and its children, now or at most.
memory_kb() {
  local pid files=()
  find_tree "$1"
  for pid in "${tree[@]}"; do files+=("/proc/$pid/status"); done
  awk -v key="$2:" '$1 == key { sum += $2 } END { print sum + 0 }' "${files[@]}" 2>/dev/null
}

# wait_still PID SECONDS LIMIT: until its CPU time stands still for SECONDS (a tick is noise).
wait_still() {
  local before now until=$((SECONDS + $3))
  now=$(cpu_ticks "$1")
  while [ "$SECONDS" -lt "$until" ]; do
    before=$now
    nap "$2"
    now=$(cpu_ticks "$1")
    [ $((now - before)) -gt 1 ] || return 0
  done
  return 1
}

# --- figures

# calculate EXPRESSION [DECIMALS]
calculate() { awk "BEGIN { printf \"%.${2:-3}f\", $1 }"; }

# The median of what was measured; "-" stands for what was not.
median() {
  printf '%s\n' "$@" | sort -g |
    awk '$1 != "-" { v[++n] = $1 } END { print n == 0 ? "-" : n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2 }'
}
rounded() { if [ "$1" = - ]; then echo -; else printf '%.2f\n' "$1"; fi; }
largest() { printf '%s\n' "$@" | sort -g | tail -n 1; }

# at_most VALUE LIMIT, at_least VALUE LIMIT: for figures with a fraction; "-" (not measured) is neither.
at_most() { awk -v value="$1" -v limit="$2" 'BEGIN { exit !(value != "-" && value + 0 <= limit + 0) }'; }
at_least() { awk -v value="$1" -v limit="$2" 'BEGIN { exit !(value != "-" && value + 0 >= limit + 0) }'; }

# budget TEXT FIGURE COMPARISON...: prints PASS or MISS; counts what is missed.
missed=0
budget() {
  local text=$1 figure=$2 verdict=PASS
  shift 2
  "$@" || { verdict=MISS missed=$((missed + 1)); }
  printf '%-66s %12s   %s\n' "$text" "$figure" "$verdict"
}

describe_machine() {
  local model
  model=$(awk -F': *' '/^model name/ { print $2; exit }' /proc/cpuinfo)
  echo "Linux $(uname -r), $(nproc) cores${model:+ ($model)}, load $(cut -d' ' -f1-3 /proc/loadavg), $(date +%F)"
}
