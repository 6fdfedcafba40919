#!/usr/bin/env bash
# What natsessionctl says and returns when it is used wrongly, or nothing is there. $1: the program.
set -u
program=$1
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
failures=0

# expect STATUS TEXT ARGUMENT...: what is told, on either output, contains TEXT.
expect() {
    local status=$1 text=$2 told got
    shift 2
    told=$("$program" "$@" 2>&1 </dev/null)
    got=$?
    if [[ $got != "$status" || $told != *"$text"* ]]; then
        printf 'natsessionctl %s\n  should return %s and say: %s\n  returned %s and said: %s\n' \
            "$*" "$status" "$text" "$got" "$told"
        failures=$((failures + 1))
    fi
}

# A line for each command, the first for all of them.
mapfile -t commands < <("$program" --list-options | sed 1d | cut -d' ' -f1)
printf -v all '%s, ' "${commands[@]}"
all="there are ${all%, }"
# A newer command stands behind these.
known='there are status, sessions, tail, trace, top, timeline, ports, gaps, sql, export, enable, disable, check, verify'
[[ $all == "$known"* ]] || { echo "--list-options tells that $all"; exit 1; }
expect 2 "unknown command 'bogus'; $all" bogus
expect 2 "unknown command 'bogus'" --json bogus
expect 2 "unknown option '--bogus'" --bogus
expect 2 "unknown command 'trcae': did you mean trace?" trcae
expect 2 "unknown option '--sicne': did you mean --since?" trace 203.0.113.7 --sicne -1h
expect 2 "'--csv' stands behind the command that it is of: natsessionctl sql --csv" --csv sql 'SELECT 1'
expect 2 "unknown command 'bogus'" help bogus
expect 0 'Asks and steers' help
expect 0 'natsessionctl trace [OPTIONS]' help trace
expect 0 'natsessionctl trace [OPTIONS]' --control /nowhere help trace
expect 0 'Asks and steers' --json --ledger=/nowhere help
expect 2 "unknown option '--bogus'" status --bogus
expect 2 "status does not take 'more'" status more
expect 2 "enable does not take 'two'" enable one two
expect 2 "a command is missing; $all"
expect 2 'Show logging, collectors, sinks and the ledger'
expect 2 'control' --control
expect 0 'natsessionctl ' --version
expect 0 'Exit status: 0 all is well' --help
for command in "${commands[@]}"; do
    expect 0 'Example' "$command" --help
    wide=$("$program" "$command" --help | sed '/^  natsessionctl /d' | LC_ALL=C.UTF-8 grep -E '^.{81}')
    [ -z "$wide" ] || { echo "$command --help is wider than 80: $wide"; failures=$((failures + 1)); }
done

# What is asked of flow logs is looked at before any file is.
expect 2 "unknown action 'crate': did you mean create?" flow-log crate edge
expect 2 "show: of which flow log? Give its name" flow-log show
expect 2 "list shows all" flow-log list edge
expect 2 "rename: give the old name and the new" flow-log rename edge
expect 2 "tag: which? Give KEY=VALUE, or --remove KEY" flow-log tag edge
expect 2 "--off: of create alone: use stop NAME" flow-log start edge --off
expect 2 "--destination: what a flow log records, where it goes and how cannot be edited" \
    flow-log change edge --destination stdout
expect 2 "record 'awz': there is no 'awz'" flow-log create edge --resource nat --record awz --destination stdout
expect 2 "name: '-x' is no name of a flow log" flow-log create --resource nat -- -x
expect 2 "$folder/none.toml: No such file" flow-log create edge --resource nat --record aws --destination stdout \
    --config "$folder/none.toml"
[[ ! -e $folder/conf.d ]] || { echo "a folder was made for nothing"; failures=$((failures + 1)); }

absent=$folder/control.sock
for command in status sessions enable disable 'enable x' tail verify; do
    # shellcheck disable=SC2086
    expect 3 "control socket $absent: it is not there: natsessiond does not run" --control "$absent" $command
done
expect 3 "$absent" status --json --control "$absent"

expect 2 "'70000' is not a port" sessions --nat 203.0.113.1:70000
expect 2 "'nowhere' is not an address" sessions --pri nowhere
expect 2 "'tpc' is not a protocol" sessions --protocol tpc
expect 2 "--limit" sessions --limit 0
expect 2 '--format' --ledger "$folder" tail --format xml
expect 2 '--time-format' --ledger "$folder" tail --time-format sundial
expect 2 '--lines = many' --ledger "$folder" tail -n many
expect 3 "$folder/nothing" --ledger "$folder/nothing" tail
expect 3 "$folder/nothing" --ledger "$folder/nothing" verify

# Questions: what is wrong with them is told before any ledger is looked for.
expect 2 '--nat: which address and port?' trace --at now
expect 2 "--nat: '203.0.113' is not an IPv4 or IPv6 address" trace --nat 203.0.113 --at now
expect 2 "--nat: '70000' is not a port" trace --nat 203.0.113.7:70000 --at now
expect 2 '--at: at what time?' trace --nat 203.0.113.7:40123
expect 2 '--at: give one time, or --since and --until' trace --nat 203.0.113.7 --at now --since -1h
expect 2 "--at: 'noonish'" trace --nat 203.0.113.7 --at noonish
expect 2 '--file has the questions' trace --file - --nat 203.0.113.7
expect 2 "--file $folder/none: No such file" trace --file "$folder/none"
expect 2 "--where: there is no field 'colour'; there are" top --where colour=red
expect 2 "--where: 'pri_ip<10.0.0.0/8': a prefix has no order" top --where 'pri_ip<10.0.0.0/8'
expect 2 "--where: 'protocol>tcp': protocol has no order" tail --where 'protocol>tcp'
expect 2 "--nat: 'nat_port=70000'" tail --nat 203.0.113.7:70000
expect 2 '--csv and --format: one or the other' tail --csv --format json
expect 2 '--json and --csv' --json sessions --csv
expect 2 "--sort: 'size' is none of: age" sessions --sort size
expect 2 '--bucket: 7m does not divide a day' timeline --bucket 7m
expect 2 '--bucket: ' timeline --bucket '5 lightyears'
expect 3 "$folder/nothing" --ledger "$folder/nothing" timeline --bucket '5 minutes'
expect 0 'bytes_from_vpc' sql describe
expect 0 'Unix seconds' sql 'DESCRIBE log;'
expect 2 'there are three tables' sql 'describe logs'
expect 2 '--by: ' top --by colour
expect 2 '--sum: ' timeline --sum beauty
expect 2 'is not behind its beginning' top --since now --until -1h
expect 2 '--json and --csv' --json top --csv
expect 2 "--bucket: '0s' must be above zero" timeline --bucket 0s
expect 2 "--range: '5' is not a range of ports" ports --range 5
expect 2 '--format: ' export --since -1h --format xml
expect 3 "$folder/nothing" --ledger "$folder/nothing" trace --nat 203.0.113.7:40123 --at -2h
expect 3 "$folder/nothing" --ledger "$folder/nothing" sql 'SELECT 1'
expect 3 "$absent" --control "$absent" top

exit $((failures > 0))
