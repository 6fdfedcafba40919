# bash completion for natsession-console(8). What there is to complete says --help.

_natsession_console() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words=" ${COMP_WORDS[*]:1:COMP_CWORD-1} "
    COMPREPLY=()
    case $prev in
        --role) COMPREPLY=($(compgen -W 'look ask steer' -- "$cur")); return ;;
        --config | --users | --tls-cert | --tls-key | --audit | --journal | --ledger | --control)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
            ;;
        user) COMPREPLY=($(compgen -W 'set remove list' -- "$cur")); return ;;
    esac
    local known=() command=()
    [[ $words == *" user "* ]] && command=(user)
    mapfile -t known < <(natsession-console "${command[@]}" --help 2>/dev/null | grep -oE '^ +(-[a-z],)?--[a-z-]+' | grep -oE -- '--[a-z-]+')
    [[ $words == *" user "* ]] && known+=(--users --role)
    [[ $cur == -* ]] || known+=(user)
    COMPREPLY=($(compgen -W "${known[*]}" -- "$cur"))
}

complete -F _natsession_console natsession-console
