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
    local commands='status sessions tail enable disable check verify'
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

    COMPREPLY=()
    case $prev in
        --control) _natsessionctl_files -f "$cur"; return ;;
        --ledger) _natsessionctl_files -d "$cur"; return ;;
        --format) COMPREPLY=($(compgen -W 'json csv logfmt' -- "$cur")); return ;;
        --time-format) COMPREPLY=($(compgen -W 'unix unix_ms rfc3339' -- "$cur")); return ;;
        -p | --protocol) COMPREPLY=($(compgen -W 'tcp udp icmp icmpv6 sctp gre dccp udplite' -- "$cur")); return ;;
        --netns) COMPREPLY=($(compgen -W "$(ls /run/netns 2>/dev/null)" -- "$cur")); return ;;
        -n | --lines | --limit | --pri | --nat | --pub) return ;;
    esac

    local flags='--control --ledger --json --help'
    case $command in
        '') COMPREPLY=($(compgen -W "$commands $flags --version" -- "$cur")) ;;
        status) COMPREPLY=($(compgen -W "$flags --watch" -- "$cur")) ;;
        sessions) COMPREPLY=($(compgen -W "$flags --pri --nat --pub --protocol --netns --limit" -- "$cur")) ;;
        tail) COMPREPLY=($(compgen -W "$flags --follow --lines --format --time-format" -- "$cur")) ;;
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
