# shellcheck shell=bash
# shellcheck disable=SC2034 # what is assigned here is for the scripts that source this
# lab.sh: what the benchmarks share, to be sourced: namespaces and the machine's settings, and all of measure.sh.
#
#    client              nat                                           server            plain
#    10.64.0.2  -------- inner 10.64.0.1    outer 203.0.113.1 -------- 203.0.113.80      (alone: for ctnetlink floods)
#
# lab_open changes settings of the whole machine (nf_conntrack_max, nf_conntrack_buckets). Whatever ends the script,
# they are put back, and namespaces, processes and files are removed (after a SIGKILL the next run does that, but for
# the settings, which are put back at once). Every wait has a limit.

export LC_ALL=C

client_ip=10.64.0.2 inner_ip=10.64.0.1 outer_ip=203.0.113.1 server_ip=203.0.113.80
udp_first_source=10.99.1.2 # of udp_sessions; no host has it

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
natsessiond=$(realpath -m "${NATSESSIOND:-$root/build/release/daemon/natsessiond}")
programs=$(realpath -m "${NATBENCH_PROGRAMS:-$root/build/release/tests/bench}")
stem=natbench-$$
temporary=${TMPDIR:-/tmp}

# Shared with tests/lab: who holds it may change the limits of the conntrack table.
lock=/run/natlab-table-limits.lock

dir=       # files of this run
started=() # processes that may still run
declare -A settings_before=()

# shellcheck source=/dev/null
source "$root/tests/bench/measure.sh"

die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# read_options NAMES QUICK WORD...: the options of a benchmark. `--NAME N` sets the variable NAME, --no-peers sets peers=0,
# --quick sets quick=1 and what QUICK assigns, --help prints the comment that the script begins with.
read_options() {
  local names=" $1 " quick_values=$2
  shift 2
  while [ $# -gt 0 ]; do
    case $1 in
      --help | -h) sed -n '2,/^# shellcheck/{/shellcheck/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
      --quick) eval "quick=1 $quick_values" ;;
      --no-peers) peers=0 ;;
      *)
        if [[ $1 != --* || $names != *" ${1#--} "* ]]; then
          echo "${0##*/}: unknown option '$1'; see ${0##*/} --help" >&2 && exit 2
        fi
        printf -v "${1#--}" %s "${2:?$1 needs a number}" && shift
        ;;
    esac
    shift
  done
}

# The benchmark cannot run here: skipped (77), but in CI (CI=true) a failure.
cannot_run() {
  echo "${0##*/}: cannot run here: $*" >&2
  [ "${CI:-}" != true ] || exit 1
  exit 77
}

require() {
  [ "$(id -u)" = 0 ] || cannot_run "namespaces and conntrack need root"
  local command
  for command in ip nft conntrack nsenter flock realpath "$@"; do
    command -v "$command" >/dev/null || cannot_run "no command '$command': packaging/install-deps.sh --tests"
  done
  for command in "$natsessiond" "$programs"/{flood,receive_count,udp_sessions,connections}; do
    [ -x "$command" ] || die "$command is not built: cmake --preset release && cmake --build --preset release"
  done
}

# --- settings of the machine

# Reads "PATH VALUE" lines; at their end, which comes even when the script is killed, puts the values back.
keep_settings() {
  trap '' HUP INT TERM
  local path value lines=()
  while read -r path value; do lines+=("$path $value"); done
  for path in "${lines[@]}"; do
    echo "${path#* }" >"${path%% *}" || echo "${0##*/}: cannot put back $path" >&2
  done
}

set_setting() {
  local now
  read -r now <"$1"
  [ "$now" != "$2" ] || return 0
  if [ -z "${settings_before[$1]:-}" ]; then
    settings_before[$1]=$now
    echo "$1 $now" >&"$keeper_fd"
  fi
  echo "$2" >"$1" || die "cannot set $1"
}

# At least this much; what is larger stays.
raise_setting() {
  local now
  read -r now <"$1"
  [ "$now" -ge "$2" ] || set_setting "$1" "$2"
}

restore_setting() { [ -z "${settings_before[$1]:-}" ] || echo "${settings_before[$1]}" >"$1"; }

# --- namespaces

# in_netns NAME COMMAND...
in_netns() {
  local name=$1
  shift
  nsenter "--net=/run/netns/$stem-$name" -- "$@"
}

# tune_netns NAME PATH=VALUE...: paths below /proc/sys/net.
tune_netns() {
  # shellcheck disable=SC2016 # the inner shell expands
  in_netns "$1" sh -c 'shift; for s; do echo "${s#*=}" >"/proc/sys/net/${s%%=*}" || exit 1; done' sh "$@"
}

remove_netns() {
  local pid
  # Only what lives in a namespace of our own making.
  for pid in $(ip netns pids "$1" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null || true; done
  ip netns del "$1" 2>/dev/null || true
}

# What runs left that were killed.
remove_leftovers() {
  local path pid
  for path in /run/netns/natbench-* "$temporary"/natbench-*; do
    pid=${path##*/natbench-} pid=${pid%%[-.]*}
    [[ $pid =~ ^[0-9]+$ && -O $path && ! -d /proc/$pid ]] || continue
    if [ -d "$path" ]; then rm -rf "$path"; else remove_netns "${path##*/}"; fi
  done
}

# lab_open SESSIONS: how many the table must hold.
lab_open() {
  local name room=$(($1 * 5 / 2))
  trap lab_close EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  remove_leftovers
  exec {lock_fd}>$lock
  flock -w 120 "$lock_fd" || die "another benchmark or lab test holds $lock"
  exec {keeper_fd}> >(keep_settings)
  keeper_pid=$!
  dir=$(mktemp -d "$temporary/$stem.XXXXXX")
  for name in client nat server plain; do ip netns add "$stem-$name" || cannot_run "no network namespaces"; done
  make_links
  make_rules
  raise_setting /proc/sys/net/netfilter/nf_conntrack_max $((room > 2500000 ? room : 2500000))
  raise_setting /proc/sys/net/netfilter/nf_conntrack_buckets 1048576
  # Connections from the client end in TIME_WAIT; without room for that, its ports are free again at once.
  tune_netns client ipv4/tcp_max_tw_buckets=0 "ipv4/ip_local_port_range=1024 65535"
  tune_netns server core/somaxconn=4096 ipv4/tcp_max_syn_backlog=65536
  tune_netns nat ipv4/ip_forward=1 ipv4/conf/all/rp_filter=0 ipv4/conf/inner/rp_filter=0
  for name in plain nat; do
    tune_netns "$name" netfilter/nf_conntrack_{acct,timestamp,events}=1
  done
  # Short, so that sessions end while they are watched.
  tune_netns nat netfilter/nf_conntrack_udp_timeout{,_stream}=2 \
    netfilter/nf_conntrack_tcp_timeout_{fin_wait,close_wait,last_ack,time_wait,close}=1
}

make_links() {
  ip -n "$stem-nat" link add inner type veth peer name eth0 netns "$stem-client"
  ip -n "$stem-nat" link add outer type veth peer name eth0 netns "$stem-server"
  local link
  for link in client:eth0:$client_ip nat:inner:$inner_ip nat:outer:$outer_ip server:eth0:$server_ip; do
    local name=${link%%:*} address=${link##*:}
    link=${link#*:} link=${link%%:*}
    ip -n "$stem-$name" link set lo up
    ip -n "$stem-$name" link set "$link" addrgenmode none up
    ip -n "$stem-$name" addr add "$address/24" dev "$link"
  done
  ip -n "$stem-client" route add default via $inner_ip
  ip -n "$stem-nat" route add 10.99.0.0/16 via $client_ip
}

# The counter sees the first packet of each session: how many were made.
make_rules() {
  in_netns nat nft -f - <<'END'
table ip nat {
  counter made { }
  chain postrouting {
    type nat hook postrouting priority srcnat
    oifname "outer" counter name made masquerade
  }
}
END
  # Its nat chain loads what ctnetlink needs to make translated entries.
  in_netns plain nft 'table ip nat { chain postrouting { type nat hook postrouting priority srcnat; }; }'
  # Nobody listens for the packets of udp_sessions, and no answer shall say so.
  in_netns server nft -f - <<'END'
table ip quiet {
  chain arriving {
    type filter hook prerouting priority raw
    udp dport >= 5353 drop
  }
}
END
}

lab_close() {
  trap - EXIT
  trap '' HUP INT TERM
  local pid name
  for pid in "${started[@]}"; do
    kill -KILL "$pid" 2>/dev/null || true
    { wait "$pid" || true; } 2>/dev/null
  done
  for name in client nat server plain; do remove_netns "$stem-$name"; done
  if [ -n "${keeper_pid:-}" ]; then
    exec {keeper_fd}>&-
    wait "$keeper_pid" || true
  fi
  [ -z "$dir" ] || rm -rf "$dir"
}

flow_count() { in_netns "$1" cat /proc/sys/net/netfilter/nf_conntrack_count; }
table_empty() { [ "$(flow_count "$1")" = 0 ]; }

# Empties a namespace's table and waits until it is.
flush_table() {
  in_netns "$1" "$programs/flood" flush >/dev/null
  wait_for 20 table_empty "$1" || die "the conntrack table of '$1' does not become empty"
}

# Makes the kernel look for timed-out flows every second or two, for SECONDS at most: see flood.cc.
start_pulse() { start plain /dev/null /dev/null "$programs/flood" pulse "$1"; }
