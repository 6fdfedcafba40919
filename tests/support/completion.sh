# Completes command lines as bash would, and compares what is offered. To be sourced.
# shellcheck shell=bash
set -u
failures=0
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT

# expect LINE OFFERED...: what is offered at the end of LINE.
expect() {
    local COMP_LINE=$1 COMP_POINT=${#1} COMPREPLY=()
    shift
    "_${COMP_LINE%% *}"
    local got wanted
    got=$(printf '%s\n' "${COMPREPLY[@]-}" | sort)
    wanted=$(printf '%s\n' "$@" | sort)
    if [[ $got != "$wanted" ]]; then
        echo "'$COMP_LINE' is completed with: $got instead of: $wanted"
        failures=$((failures + 1))
    fi
}

# finish PROGRAM: ends the test; bash must know how PROGRAM is completed.
finish() {
    complete -p "$1" >/dev/null || failures=$((failures + 1))
    exit $((failures > 0))
}
