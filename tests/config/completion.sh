#!/bin/bash
# Completes command lines as bash would, and compares what is offered. $1: the completion, $2: natsessiond.
set -u
PATH=$(dirname "$2"):$PATH
# shellcheck source=/dev/null
source "$1" || exit 1
failures=0
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
cd "$folder" && touch 'nat log.json' other.json && mkdir sub || exit 1

# expect LINE OFFERED...: what is offered at the end of LINE.
expect() {
    local COMP_LINE=$1 COMP_POINT=${#1} COMPREPLY=()
    shift
    _natsessiond
    local got wanted
    got=$(printf '%s\n' "${COMPREPLY[@]-}" | sort)
    wanted=$(printf '%s\n' "$@" | sort)
    if [[ $got != "$wanted" ]]; then
        echo "'$COMP_LINE' is completed with: $got instead of: $wanted"
        failures=$((failures + 1))
    fi
}

expect 'natsessiond --fo' --format
expect 'natsessiond --tune --ve' --version
expect 'natsessiond --format ' json csv logfmt
expect 'natsessiond --format=c' csv
expect 'natsessiond --time-format unix' unix unix_ms
expect 'natsessiond --records s' start-end
expect 'natsessiond --log-level w' warning
expect 'natsessiond --events d' destroy
expect 'natsessiond --events new,' new,update new,destroy
expect 'natsessiond --events=new,update,' new,update,destroy
expect 'natsessiond --window ' 10m
expect 'natsessiond --sync ' 1s always never
expect 'natsessiond --ledger o' other.json
expect 'natsessiond --tune --so' ''
expect 'natsessiond --sink ' stdout file: journald syslog: syslog+udp:// syslog+tcp:// syslog+tls:// http:// https:// exec:
expect 'natsessiond --sink http:' //
expect 'natsessiond --sink j' journald
expect 'natsessiond --sink file:o' other.json
expect 'natsessiond --sink=file:nat' 'nat log.json'
expect 'natsessiond --sink stdout --sink file:s' sub
expect 'natsessiond --config o' other.json
expect 'natsessiond --ledger s' sub
expect 'natsessiond --instance ' ''
expect "natsessiond --netns $folder/s" "$folder/sub"
COMP_WORDBREAKS=${COMP_WORDBREAKS//:/}
expect 'natsessiond --sink file:o' file:other.json

complete -p natsessiond >/dev/null || failures=$((failures + 1))
exit $((failures > 0))
