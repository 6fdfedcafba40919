# bash completion for natsessiond(8). What there is to complete says the program itself: --list-options.

_natsessiond_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

_natsessiond() {
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

    local flag known flags='' values=''
    while read -r flag known; do
        flags+=" $flag"
        [[ $flag == "$prev" ]] && values=$known
    done < <(PATH=$PATH:/usr/local/sbin:/usr/sbin natsessiond --list-options 2>/dev/null)

    COMPREPLY=()
    case $values in
        '') COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
        ,*)
            # After the last comma, what is not there yet; auto stands alone.
            local chosen= name
            [[ $cur == *,* ]] && chosen=${cur%,*},
            for name in ${values#,}; do
                [[ ,$chosen == *,$name,* || -n $chosen && $name == auto ]] || COMPREPLY+=($(compgen -W "$chosen$name" -- "$cur"))
            done
            ;;
        FILE | DIR | PATH) _natsessiond_files "$cur" ;;
        NAME) # of a network namespace
            if [[ $cur == */* ]]; then
                _natsessiond_files "$cur"
            else
                COMPREPLY=($(compgen -W "$(ls /run/netns 2>/dev/null)" -- "$cur"))
            fi
            ;;
        [A-Z[]*) ;; # nothing that could be known
        *)
            if [[ $prev == --sink && $cur == file:* ]]; then
                _natsessiond_files "${cur#file:}"
                COMPREPLY=("${COMPREPLY[@]/#/file:}")
            else
                COMPREPLY=($(compgen -W "$values" -- "$cur"))
                [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[:/] ]] && compopt -o nospace 2>/dev/null
            fi
            # The part before ':' is a word of its own for readline.
            if [[ $COMP_WORDBREAKS == *:* && $cur == *:* ]]; then
                COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*:}"}"}")
            fi
            ;;
    esac
}

complete -F _natsessiond natsessiond
