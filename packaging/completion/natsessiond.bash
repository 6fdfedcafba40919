# bash completion for natsessiond(8)

_natsessiond_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

_natsessiond() {
    local flags='--sink --format --time-format --fields --nat --records --window --instance --vpc-id
        --events --netns --rcvbuf --reliable --guard --tune --ledger --retention --ledger-max
        --sync --batch --batch-bytes --linger --suspend --config --control --metrics --state --log-level --check --print-config --version --help'
    # bash splits words at '=' and ':', so "--sink=file:/var" is five of them: put together what belongs together.
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

    COMPREPLY=()
    case $prev in
        --format) COMPREPLY=($(compgen -W 'json csv logfmt' -- "$cur")) ;;
        --time-format) COMPREPLY=($(compgen -W 'unix unix_ms rfc3339' -- "$cur")) ;;
        --fields) COMPREPLY=($(compgen -W 'all cloud' -- "$cur")) ;;
        --nat) COMPREPLY=($(compgen -W 'snat dnat any' -- "$cur")) ;;
        --records) COMPREPLY=($(compgen -W 'window end start-end' -- "$cur")) ;;
        --window) COMPREPLY=($(compgen -W '1m 5m 10m 1h 24h' -- "$cur")) ;;
        --rcvbuf) COMPREPLY=($(compgen -W '16M 64M 256M' -- "$cur")) ;;
        --reliable) COMPREPLY=($(compgen -W 'auto on off' -- "$cur")) ;;
        --guard) COMPREPLY=($(compgen -W '70% 80% 90%' -- "$cur")) ;;
        --retention) COMPREPLY=($(compgen -W '7d 30d 90d 180d' -- "$cur")) ;;
        --ledger-max) COMPREPLY=($(compgen -W '10G 20G 100G' -- "$cur")) ;;
        --sync) COMPREPLY=($(compgen -W '1s always never' -- "$cur")) ;;
        --batch) COMPREPLY=($(compgen -W '100 1000 10000' -- "$cur")) ;;
        --batch-bytes) COMPREPLY=($(compgen -W '256K 1M 4M' -- "$cur")) ;;
        --linger) COMPREPLY=($(compgen -W '0s 200ms 1s' -- "$cur")) ;;
        --suspend) COMPREPLY=($(compgen -W '1m 5m 30m' -- "$cur")) ;;
        --log-level) COMPREPLY=($(compgen -W 'error warning info debug' -- "$cur")) ;;
        --events)
            # After the last comma, what is not there yet.
            local chosen= name
            [[ $cur == *,* ]] && chosen=${cur%,*},
            for name in new update destroy; do
                [[ ,$chosen == *,$name,* ]] || COMPREPLY+=($(compgen -W "$chosen$name" -- "$cur"))
            done
            ;;
        --netns)
            if [[ $cur == */* ]]; then
                _natsessiond_files "$cur"
            else
                COMPREPLY=($(compgen -W "$(ls /run/netns 2>/dev/null)" -- "$cur"))
            fi
            ;;
        --config | --state | --control | --ledger) _natsessiond_files "$cur" ;;
        --sink)
            if [[ $cur == file:* ]]; then
                # The part before ':' is a word of its own for readline, so only the path is replaced.
                _natsessiond_files "${cur#file:}"
                [[ $COMP_WORDBREAKS == *:* ]] || COMPREPLY=("${COMPREPLY[@]/#/file:}")
            else
                COMPREPLY=($(compgen -W 'stdout file: journald syslog: exec:' -- "$cur"))
                [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *: ]] && compopt -o nospace 2>/dev/null
            fi
            ;;
        --instance | --vpc-id | --metrics) ;;
        *) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
    esac
}

complete -F _natsessiond natsessiond
