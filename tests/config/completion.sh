#!/bin/bash
# What is offered for natsessiond. $1: the completion, $2: natsessiond.
# shellcheck source=tests/support/completion.sh
source "$(dirname "$0")/../support/completion.sh"
PATH=$(dirname "$2"):$PATH
# shellcheck source=/dev/null
source "$1" || exit 1
cd "$folder" && touch 'nat log.json' other.json && mkdir sub || exit 1

expect 'natsessiond --fo' --format
expect 'natsessiond --tune --ve' --version
expect 'natsessiond --format ' json csv logfmt
expect 'natsessiond --format=c' csv
expect 'natsessiond --time-format unix' unix unix_ms
expect 'natsessiond --records s' start-end
expect 'natsessiond --log-level w' warning
expect 'natsessiond --events d' destroy
expect 'natsessiond --events a' auto
expect 'natsessiond --events new,' new,update new,destroy
expect 'natsessiond --events=new,update,' new,update,destroy
expect 'natsessiond --window ' 10m
expect 'natsessiond --sync ' 1s always never
expect 'natsessiond --ledger o' other.json
expect 'natsessiond --tune --so' ''
# shellcheck disable=SC2046 # words
expect 'natsessiond --sink ' $(natsessiond --list-options | sed -n 's/^--sink //p')
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

finish natsessiond
