# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # assigned in lab.sh, and for the scripts that source this
# loggers.sh: starts, watches and counts each logger of the benchmarks, to be sourced after lab.sh. A logger is named by
#   loop:GROUPS               receive_count; groups: some of n u d
#   natsessiond:EVENTS:SINK   EVENTS as --events takes them; SINK: json, null, or ledger: that alone, no sink
#   ulogd2:BUFFERS  conntrack:BUFFERS  natlog:BUFFERS    BUFFERS: needed (128 MiB, and room in its table) or default
# All subscribe to NEW and DESTROY, except where the name says which.

big_buffer=$((128 << 20))
rmem_default=/proc/sys/net/core/rmem_default
logger_limit=180 # seconds that a logger may need to catch up

# What it is called in tables.
logger_title() {
  case $1 in
    loop:*) echo "receive and count, groups ${1#*:}" ;;
    natsessiond:*:null) local events=${1#*:} && echo "natsessiond ${events%:*}, to /dev/null" ;;
    natsessiond:*:ledger) local events=${1#*:} && echo "natsessiond ${events%:*}, a ledger alone" ;;
    natsessiond:*) local events=${1#*:} && echo "natsessiond ${events%:*}, JSON to a file" ;;
    ulogd2:*) echo "ulogd2, NFCT to JSON, $(buffers_title "$1")" ;;
    conntrack:*) echo "conntrack -E -n, $(buffers_title "$1")" ;;
    *) echo "${1%%:*}, $(buffers_title "$1")" ;;
  esac
}

buffers_title() { if [[ $1 == *:default ]]; then echo "default buffers"; else echo "128 MiB"; fi; }

# The loop that it is measured against. The labs' kernels stamp connections: auto is destroy alone there.
logger_groups() {
  case $1 in
    loop:*) echo "${1#*:}" ;;
    natsessiond:destroy:* | natsessiond:auto:*) echo d ;;
    natsessiond:new,update,destroy:*) echo nud ;;
    *) echo nd ;;
  esac
}

# Installs the peers that are not there. A peer that cannot be had has no row.
install_peers() {
  local missing=()
  command -v ulogd >/dev/null && [ -n "$(ulogd_plugin JSON)" ] || missing+=(ulogd2 ulogd2-json)
  command -v natlog >/dev/null || missing+=(natlog)
  [ ${#missing[@]} -gt 0 ] && command -v apt-get >/dev/null || return 0
  echo "installing ${missing[*]}" >&2
  DEBIAN_FRONTEND=noninteractive timeout 600 apt-get -qq -o DPkg::Lock::Timeout=120 install -y \
    --no-install-recommends "${missing[@]}" >"$dir/apt.log" 2>&1 || tail -n 5 "$dir/apt.log" >&2
}

peer_there() {
  case $1 in
    ulogd2:*) command -v ulogd >/dev/null && [ -n "$(ulogd_plugin JSON)" ] ;;
    *) command -v "${1%%:*}" >/dev/null ;;
  esac
}

ulogd_plugin() { find /usr/lib /usr/lib64 -name "ulogd_*_$1.so" -print -quit 2>/dev/null; }

# ulogd2 heeds the size of its buffer only when it is below the largest size. Its table holds 32,768 sessions by default.
write_ulogd_config() {
  cat <<END
[global]
logfile="$dir/ulogd.log"
loglevel=5
plugin="$(ulogd_plugin NFCT)"
plugin="$(ulogd_plugin IP2STR)"
plugin="$(ulogd_plugin JSON)"
stack=ct1:NFCT,ip2str1:IP2STR,json1:JSON
[ct1]
END
  [ "$1" = default ] || cat <<END
netlink_socket_buffer_size=$big_buffer
netlink_socket_buffer_maxsize=$((big_buffer + 1))
hash_buckets=262144
hash_max_entries=2000000
END
  cat <<END
[json1]
file="$logger_out"
sync=0
END
}

# shellcheck disable=SC2016 # awk expands
listening() { in_netns "$1" awk '$2 == 12 && $4 !~ /^0+$/ { found = 1 } END { exit !found }' /proc/net/netlink; }
said_ready() { grep -qs 'ready:' "$dir/err"; }

# start_logger NETNS NAME: subscribed when it returns. Sets logger, logger_pid, logger_out, ready_seconds (how long the
# start took) and logger_ticks (the CPU time that it took).
start_logger() {
  local netns=$1 parts ready=(listening "$1") began=$EPOCHREALTIME
  logger=$2 logger_out=$dir/out
  rm -f "$dir/out" "$dir/err"
  IFS=: read -ra parts <<<"$logger"
  # conntrack 1.4.7 sets its -b on the wrong socket: the default is what it gets.
  [[ $logger != @(conntrack|natlog):needed ]] || set_setting $rmem_default "$big_buffer"
  case ${parts[0]} in
    loop) start "$netns" "$logger_out" "$dir/err" "$programs/receive_count" "${parts[1]}" ;;
    natsessiond)
      local to=(--sink "file:$logger_out")
      case ${parts[2]} in
        null) to=(--sink file:/dev/null) logger_out=/dev/null ;;
        ledger) to=(--ledger "$dir/ledger") logger_out=/dev/null && rm -rf "$dir/ledger" ;;
      esac
      # No window closes within a run by chance.
      start "$netns" /dev/null "$dir/err" "$natsessiond" --events "${parts[1]}" --window 24h "${to[@]}"
      ready=(said_ready)
      ;;
    ulogd2)
      write_ulogd_config "${parts[1]}" >"$dir/ulogd.conf"
      start "$netns" /dev/null "$dir/err" ulogd -c "$dir/ulogd.conf"
      ;;
    conntrack) start "$netns" "$logger_out" "$dir/err" conntrack -E -n -e NEW,DESTROY ;;
    natlog) start "$netns" /dev/null "$dir/err" natlog --no-daemon --log "$logger_out" --protocol udp conntrack ;;
  esac
  logger_pid=$started_pid
  if ! wait_for 30 "${ready[@]}" || process_over "$logger_pid"; then
    cat "$dir/err" >&2
    die "$logger did not start"
  fi
  ready_seconds=$(calculate "$EPOCHREALTIME - $began" 2)
  restore_setting $rmem_default
  wait_still "$logger_pid" 0.3 10 || true
  logger_ticks=$(cpu_ticks "$logger_pid")
}

# The end records of distinct sessions.
distinct_ends() {
  grep -F '"event":"end"' "$1" | grep -o '"session_id":"[0-9a-f]*"' | sort -u -S 256M | wc -l
}
lines_with() { grep -cF -e "$1" "$2" || true; }

# Until the logger has written all there is: natsessiond all MADE end records, or 3 s without progress; others, when
# their CPU time stands still for a second.
wait_caught_up() {
  local made=$1 size=-1 now still_since=$EPOCHSECONDS until=$((SECONDS + logger_limit)) counted=0
  case $logger in
    natsessiond:*:json) ;;
    natsessiond:*) wait_still "$logger_pid" 3 $logger_limit || echo "$logger never came to rest" >&2 && return 0 ;;
    *) wait_still "$logger_pid" 1 $logger_limit || echo "$logger never came to rest" >&2 && return 0 ;;
  esac
  while [ "$SECONDS" -lt "$until" ]; do
    now=$(stat -c %s "$logger_out")
    if [ "$now" != "$size" ]; then
      size=$now still_since=$EPOCHSECONDS counted=0
    elif [ $counted = 0 ]; then
      counted=1
      [ "$(lines_with '"event":"end"' "$logger_out")" -lt "$made" ] || return 0
    elif [ $((EPOCHSECONDS - still_since)) -gt 3 ]; then
      return 0
    fi
    nap 0.2
  done
  echo "$logger did not catch up within $logger_limit s" >&2
}

# After wait_caught_up. Sets cpu_seconds, peak_mb, logged, twice (end records beyond the first of a session) and gaps.
stop_logger() {
  cpu_seconds=$(calculate "($(cpu_ticks "$logger_pid") - $logger_ticks) / $ticks_per_second")
  peak_mb=$(calculate "$(memory_kb "$logger_pid" VmHWM) / 1024" 1)
  stop "$logger_pid" 60
  twice=0 gaps=-
  case $logger in
    loop:*) logged=$(sed -n 's/.* destroy \([0-9]*\) .*/\1/p' "$logger_out") ;;
    natsessiond:*:null)
      logged=$(sed -n 's/.*stopped: \([0-9]*\) records written.*/\1/p' "$dir/err")
      logged=$((logged - 1)) # the gap record of the start
      gaps=$(lines_with 'events were lost' "$dir/err")
      ;;
    natsessiond:*:ledger)
      local all=$dir/ledger.json
      "${natsessiond%/*}/natsessionctl" --ledger "$dir/ledger" export >"$all" 2>/dev/null || true
      logged=$(distinct_ends "$all")
      twice=$(($(lines_with '"event":"end"' "$all") - logged))
      gaps=$(($(lines_with '"event":"gap"' "$all") - $(lines_with '"reason":"started"' "$all")))
      rm -rf "$all" "$dir/ledger"
      ;;
    natsessiond:*)
      logged=$(distinct_ends "$logger_out")
      twice=$(($(lines_with '"event":"end"' "$logger_out") - logged))
      gaps=$(($(lines_with '"event":"gap"' "$logger_out") - $(lines_with '"reason":"started"' "$logger_out")))
      ;;
    ulogd2:*) logged=$(lines_with '"ct.event"' "$logger_out") ;;
    conntrack:*) logged=$(lines_with '[DESTROY]' "$logger_out") ;;
    natlog:*) logged=$(lines_with ' thru ' "$logger_out") ;;
  esac
  logged=${logged:-0}
  if [[ $logger == natsessiond:* && $exit_status != 0 ]]; then
    cat "$dir/err" >&2
    die "natsessiond ended with status $exit_status"
  fi
  [ "$logger_out" = /dev/null ] || rm -f "$logger_out"
}
