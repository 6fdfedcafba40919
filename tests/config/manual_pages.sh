#!/bin/sh
# Formats the manual pages and fails on any warning. $1: their folder.
command -v groff >/dev/null || { echo 'groff is not installed: the manual pages are not checked'; exit 77; }
status=0
for page in "$1"/*.[1-9]; do
    warnings=$(groff -man -ww -b -Tutf8 -z -rLL=78n "$page" 2>&1)
    if [ -n "$warnings" ]; then
        printf '%s:\n%s\n' "$page" "$warnings"
        status=1
    fi
    if command -v mandoc >/dev/null; then
        mandoc -T lint -W warning "$page" || status=1
    fi
done
exit $status
