# bash completion for natsessionctl(1). Its commands and their flags it says itself: --list-options.

_natsessionctl_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
}

# Names of the daemon's sinks, if it can be asked.
_natsessionctl_sinks() {
    local control=() i
    for ((i = 1; i + 1 < ${#words[@]}; i++)); do
        [[ ${words[i]} == --control ]] && control=(--control "${words[i + 1]}")
    done
    natsessionctl "${control[@]}" --json status 2>/dev/null |
        sed -n '/"sinks"/,/"ledger"/s/^ *"name": "\(.*\)",$/\1/p'
}

_natsessionctl() {
    # bash splits words at '=' and ':': put together what belongs together.
    local line=${COMP_LINE:0:COMP_POINT}
    local words
    read -ra words <<<"$line"
    local cur=
    [[ $line == *[[:space:]] ]] || cur=${words[-1]}
    local prev=${words[-1]}
    [[ -n $cur ]] && prev=${words[-2]-}
    if [[ $cur == --*=* ]]; then
        prev=${cur%%=*}
        cur=${cur#*=}
    fi

    # The first word that is a command is it. Behind a flag that takes a value stands a '='.
    local last=${#words[@]}
    [[ -n $cur ]] && last=$((last - 1))
    local named=" ${words[*]:1:last-1} " name listed first=999 flags='' own='' commands='' command=''
    while read -r name listed; do
        case $name in
            -) flags=$listed ;;
            *)
                commands+=" $name"
                if [[ $named == *" $name "* ]]; then
                    local before=${named%%" $name "*}
                    ((${#before} < first)) && first=${#before} command=$name own=$listed
                fi
                ;;
        esac
    done < <(natsessionctl --list-options 2>/dev/null)

    local fields='instance vpc_id protocol pri_ip pri_port pub_ip pub_port nat_ip nat_port event tcp_state reason zone mark netns'
    local sums='bytes_from_vpc bytes_from_pub pkts_from_vpc pkts_from_pub bytes pkts sessions records'
    COMPREPLY=()
    case $prev in
        --control) _natsessionctl_files -f "$cur"; return ;;
        --ledger) _natsessionctl_files -d "$cur"; return ;;
        --config) _natsessionctl_files -f "$cur"; return ;;
        --traffic) COMPREPLY=($(compgen -W 'all accept reject' -- "$cur")); return ;;
        --record) COMPREPLY=($(compgen -W 'alibaba tencent huawei-v1 huawei-v2 aws' -- "$cur")); return ;;
        --resource) COMPREPLY=($(compgen -W "nat $(ls /sys/class/net 2>/dev/null)" -- "$cur")); return ;;
        flow-log) COMPREPLY=($(compgen -W 'create list show start stop rename tag delete' -- "$cur")); return ;;
        --format) [[ $command == flow-log ]] && COMPREPLY=($(compgen -W 'text json' -- "$cur")) && return
            COMPREPLY=($(compgen -W 'json csv logfmt' -- "$cur")); return ;;
        --time-format) COMPREPLY=($(compgen -W 'unix unix_ms rfc3339' -- "$cur")); return ;;
        -p | --protocol | --proto) COMPREPLY=($(compgen -W 'tcp udp icmp icmpv6 sctp gre dccp udplite' -- "$cur")); return ;;
        --netns) COMPREPLY=($(compgen -W "$(ls /run/netns 2>/dev/null)" -- "$cur")); return ;;
        -b | --by) COMPREPLY=($(compgen -W "$fields" -- "$cur")); return ;;
        -s | --sum) COMPREPLY=($(compgen -W "$sums" -- "$cur")); return ;;
        -w | --where) COMPREPLY=($(compgen -W "$fields" -S = -- "$cur")); compopt -o nospace 2>/dev/null; return ;;
        --sort) COMPREPLY=($(compgen -W 'age bytes_from_vpc bytes_from_pub pri nat pub' -- "$cur")); return ;;
        --fields) COMPREPLY=($(compgen -W 'all cloud' -- "$cur")); return ;;
        --since | --until | --at) COMPREPLY=($(compgen -W 'now today yesterday -1h -1d' -- "$cur")); return ;;
        --file | --svg | -o | --output) _natsessionctl_files -f "$cur"; return ;;
    esac
    [[ " $flags $own " == *" $prev= "* ]] && return

    local word offered=()
    for word in $own $flags; do
        [[ $word == --* ]] && offered+=("${word%=}")
    done
    if [[ -z $command ]]; then
        COMPREPLY=($(compgen -W "$commands ${offered[*]}" -- "$cur"))
    elif [[ $command != @(enable|disable) || $cur == -* ]]; then
        COMPREPLY=($(compgen -W "${offered[*]}" -- "$cur"))
    else
        local sink
        while IFS= read -r sink; do
            [[ $sink == "$cur"* ]] && COMPREPLY+=("$sink")
        done < <(_natsessionctl_sinks)
        # The part before ':' is a word of its own for readline.
        if [[ $COMP_WORDBREAKS == *:* && $cur == *:* ]]; then
            COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*:}"}"}")
        fi
    fi
}

complete -F _natsessionctl natsessionctl
