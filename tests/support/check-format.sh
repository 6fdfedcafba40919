#!/usr/bin/env bash
# Holds the form of the sources: as clang-format 14 (Debian 12) writes them by .clang-format, and each keyword of a
# contract (Shape, Units, Errors, Source, Threads) at the beginning of a comment's line, where a reader looks for it.
# Usage: check-format.sh PROJECT. To mend: clang-format-14 -i FILE.
set -u
cd "$1" || exit 2
failed=0

mapfile -t sources < <(find lib daemon console tests \( -name '*.cc' -o -name '*.h' \) -print | sort)

program=$(command -v clang-format-14 || command -v clang-format)
if [ -z "$program" ]; then
  echo "clang-format is missing: packaging/install-deps.sh --tests"
  exit 77
fi
if ! "$program" --version | grep -q ' version 14\.'; then
  echo "this is $("$program" --version): another version formats otherwise, 14 is meant"
  exit 77
fi
printf '%s\0' "${sources[@]}" | xargs -0 -n 32 -P "$(nproc)" "$program" --dry-run -Werror || failed=1

# A keyword behind other words of the same comment; Shape::kTable is none.
if grep -nHP '//.*\S.*\b(Shape|Units|Errors|Source|Threads):(?!:)' "${sources[@]}"; then
  echo "these keywords begin no line of their comment"
  failed=1
fi

exit $failed
