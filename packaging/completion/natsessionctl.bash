# bash completion for natsessionctl(8)

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
    local commands='status sessions tail trace top timeline ports sql export enable disable check verify'
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

    local command= word
    local last=${#words[@]}
    [[ -n $cur ]] && last=$((last - 1))
    for word in "${words[@]:1:last-1}"; do
        [[ -z $command && " $commands " == *" $word "* ]] && command=$word
    done

    local fields='instance vpc_id protocol pri_ip pri_port pub_ip pub_port nat_ip nat_port event tcp_state reason zone mark netns'
    local sums='bytes_from_vpc bytes_from_pub pkts_from_vpc pkts_from_pub bytes pkts sessions records'
    COMPREPLY=()
    case $prev in
        --control) _natsessionctl_files -f "$cur"; return ;;
        --ledger) _natsessionctl_files -d "$cur"; return ;;
        --format) COMPREPLY=($(compgen -W 'json csv logfmt' -- "$cur")); return ;;
        --time-format) COMPREPLY=($(compgen -W 'unix unix_ms rfc3339' -- "$cur")); return ;;
        -p | --protocol | --proto) COMPREPLY=($(compgen -W 'tcp udp icmp icmpv6 sctp gre dccp udplite' -- "$cur")); return ;;
        --netns) COMPREPLY=($(compgen -W "$(ls /run/netns 2>/dev/null)" -- "$cur")); return ;;
        -b | --by) COMPREPLY=($(compgen -W "$fields" -- "$cur")); return ;;
        -s | --sum) COMPREPLY=($(compgen -W "$sums" -- "$cur")); return ;;
        -w | --where) COMPREPLY=($(compgen -W "$fields" -S = -- "$cur")); compopt -o nospace 2>/dev/null; return ;;
        --fields) COMPREPLY=($(compgen -W 'all cloud' -- "$cur")); return ;;
        --since | --until | --at) COMPREPLY=($(compgen -W 'now today yesterday -1h -1d' -- "$cur")); return ;;
        --file | --svg | -o | --output) _natsessionctl_files -f "$cur"; return ;;
        -n | --lines | --limit | --pri | --nat | --pub | --slack | --candidates | --count | --series) return ;;
        --bucket | --step | --range | --nat-ip | --destinations | --time-limit | --memory) return ;;
    esac

    local flags='--control --ledger --json --help'
    case $command in
        '') COMPREPLY=($(compgen -W "$commands $flags --version" -- "$cur")) ;;
        status) COMPREPLY=($(compgen -W "$flags --watch" -- "$cur")) ;;
        sessions) COMPREPLY=($(compgen -W "$flags --pri --nat --pub --protocol --netns --limit" -- "$cur")) ;;
        tail) COMPREPLY=($(compgen -W "$flags --follow --lines --format --time-format" -- "$cur")) ;;
        trace) COMPREPLY=($(compgen -W "$flags --nat --at --since --until --pub --proto --slack --candidates --file" -- "$cur")) ;;
        top) COMPREPLY=($(compgen -W "$flags --by --sum --count --where --since --until --csv" -- "$cur")) ;;
        timeline)
            COMPREPLY=($(compgen -W "$flags --bucket --by --sum --series --at-end --svg --where --since --until --csv" -- "$cur"))
            ;;
        ports)
            COMPREPLY=($(compgen -W "$flags --nat-ip --range --step --destinations --where --since --until --csv" -- "$cur"))
            ;;
        sql) COMPREPLY=($(compgen -W "$flags --time-limit --memory --utc --csv" -- "$cur")) ;;
        export)
            COMPREPLY=($(compgen -W "$flags --since --until --where --format --time-format --fields --output" -- "$cur"))
            ;;
        check) COMPREPLY=($(compgen -W "$flags --netns" -- "$cur")) ;;
        enable | disable)
            if [[ $cur == -* ]]; then
                COMPREPLY=($(compgen -W "$flags" -- "$cur"))
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
            ;;
        verify) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
    esac
}

complete -F _natsessionctl natsessionctl
