#!/bin/bash
# What is offered for natsessionctl. $1: the completion, $2: natsessionctl,
# $3: its manual page, which must have all that is offered.
# shellcheck source=tests/support/completion.sh
source "$(dirname "$0")/../support/completion.sh"
program=$2
manual=$(sed 's/\\//g' "$3")
# shellcheck source=/dev/null
source "$1" || exit 1
cd "$folder" && touch control.sock && mkdir ledger || exit 1

# In place of the program: what its status says of sinks, with the socket that it was asked for.
# shellcheck disable=SC2317
natsessionctl() {
    [[ $* == --list-options ]] && { "$program" --list-options; return; }
    [[ $* == '--json status' || $* == '--control other.sock --json status' ]] || return 3
    printf '{\n "collectors": [{"name": "no"}],\n  "sinks": [\n    {\n      "name": "file:/var/log/a.json",\n'
    printf '      "state": "Success"\n    },\n    {\n      "name": "stdout",\n    }\n  ],\n  "ledger": null\n}\n'
}

expect 'natsessionctl st' status
expect 'natsessionctl --js' --json
expect 'natsessionctl --control c' control.sock
expect 'natsessionctl --ledger=l' ledger
expect 'natsessionctl --control other.sock ver' verify
expect 'natsessionctl status --w' --watch
expect 'natsessionctl tail --fo' --follow --format
expect 'natsessionctl tail --format ' json csv logfmt
expect 'natsessionctl tail --time-format=r' rfc3339
expect 'natsessionctl sessions --p' --pri --pri-ip --pub --pub-ip --progress --proto --protocol
expect 'natsessionctl sessions -p t' tcp
expect 'natsessionctl sessions --sort a' age
expect 'natsessionctl sessions --nat ' ''
expect 'natsessionctl tail --format x' ''
expect 'natsessionctl tra' trace
expect 'natsessionctl top --by pri_' pri_ip pri_port
expect 'natsessionctl timeline --sum=sess' sessions
expect 'natsessionctl trace --nat 203.0.113.7:40123 --a' --at
expect 'natsessionctl ports --nat-ip ' ''
expect 'natsessionctl export --where nat_i' nat_ip=
expect 'natsessionctl sql --ut' --utc
expect 'natsessionctl flow-log ' create list show start stop rename tag delete
expect 'natsessionctl flow-log s' show start stop
expect 'natsessionctl flow-log create edge --format ' text json
expect 'natsessionctl flow-log create edge --record=a' alibaba aws
expect 'natsessionctl flow-log create edge --traffic r' reject
expect 'natsessionctl flow-log list --config c' control.sock
expect 'natsessionctl enable ' file:/var/log/a.json stdout
expect 'natsessionctl disable s' stdout
expect 'natsessionctl --control other.sock disable s' stdout
expect 'natsessionctl --control wrong.sock disable s' ''
expect 'natsessionctl enable file:/v' /var/log/a.json
expect 'natsessionctl enable --j' --json
COMP_WORDBREAKS=${COMP_WORDBREAKS//:/}
expect 'natsessionctl enable file:/v' file:/var/log/a.json

# Those of other shells are made of what the program tells; here they must be sound, where there is such a shell.
completions=$(dirname "$1")
if command -v fish >/dev/null; then
    got=$(fish -c "source '$completions/natsessionctl.fish'; complete -C 'natsessionctl tra'; complete -C 'natsessionctl top --sum sess'" |
        cut -f1 | paste -sd' ')
    [[ $got == 'trace sessions' ]] || { echo "fish offers: $got"; failures=$((failures + 1)); }
fi
if command -v zsh >/dev/null; then
    zsh -n "$completions/_natsessionctl" || failures=$((failures + 1))
fi

for word in $("$program" --list-options | tr -d '=' | tr ' ' '\n'); do
    [[ $word == - || $manual == *"$word"* ]] && continue
    echo "the manual page lacks $word"
    failures=$((failures + 1))
done

finish natsessionctl
