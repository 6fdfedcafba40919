#!/bin/sh
# Formats the manual pages and fails on any warning. $1: their folder.
for program in groff mandoc; do
    command -v $program >/dev/null || { echo "$program is not installed: the manual pages are not checked"; exit 77; }
done
status=0
for page in "$1"/*.[1-9]; do
    warnings=$(groff -man -ww -b -Tutf8 -z -rLL=78n "$page" 2>&1)
    if [ -n "$warnings" ]; then
        printf '%s:\n%s\n' "$page" "$warnings"
        status=1
    fi
    mandoc -T lint -W warning "$page" || status=1
done
exit $status
