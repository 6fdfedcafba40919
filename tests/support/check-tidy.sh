#!/usr/bin/env bash
# clang-tidy over the sources that differ from a commit, uncommitted and new ones included: a file takes seconds, all of
# them would take longer than the tests. Only checks that find mistakes, and no matter of taste, are asked, and each of
# their findings is an error. Usage: check-tidy.sh PROJECT BUILD-WITH-COMPILE-COMMANDS [SECONDS]
#   NATSESSION_TIDY_BASE   the commit to compare with: HEAD^ unless told
#   77                     nothing to compare with, or no clang-tidy: said, and skipped
set -u
cd "$1" || exit 2
build=$2
limit=${3:-90}
base=${NATSESSION_TIDY_BASE:-HEAD^}

checks='-*,bugprone-use-after-move,bugprone-dangling-handle,bugprone-infinite-loop,bugprone-undefined-memory-manipulation'
checks+=',bugprone-unhandled-self-assignment,clang-analyzer-core.*,clang-analyzer-cplusplus.*,clang-analyzer-unix.*'
checks+=',concurrency-*,-concurrency-mt-unsafe,performance-move-const-arg'

program=$(command -v clang-tidy-14 || command -v clang-tidy)
if [ -z "$program" ]; then
  echo "clang-tidy is missing: packaging/install-deps.sh --tests"
  exit 77
fi
if ! git rev-parse --quiet --verify "$base^{commit}" >/dev/null 2>&1; then
  echo "no commit $base here (a shallow clone?): nothing to compare with; NATSESSION_TIDY_BASE names another"
  exit 77
fi

# What is compiled here and differs. A header is looked at where a source that includes it differs.
mapfile -t files < <({
  git diff --name-only --diff-filter=d "$base" -- lib daemon console tests
  git ls-files --others --exclude-standard -- lib daemon console tests
} | grep '\.cc$' | sort -u | while read -r file; do
  if grep -qF "/$file\"" "$build/compile_commands.json"; then echo "$file"; fi
done)
if [ ${#files[@]} = 0 ]; then
  echo "no source differs from $base"
  exit 0
fi
echo "clang-tidy: ${#files[@]} files differ from $base"

found=$(mktemp)
trap 'rm -f "$found"' EXIT
# Flags of g++ that clang does not know are no finding. At the limit what is left is left: the next commit is smaller.
printf '%s\0' "${files[@]}" | timeout "$limit" xargs -0 -n 1 -P "$(nproc)" "$program" -p "$build" --quiet \
  --checks="$checks" --warnings-as-errors='*' --extra-arg=-Wno-unknown-warning-option >"$found" 2>/dev/null
status=$?
grep -E '(error|warning):' -A 3 "$found" && exit 1
if [ $status = 124 ]; then echo "clang-tidy: stopped after $limit s; the rest of the files is not looked at"; fi
if [ $status != 0 ] && [ $status != 124 ]; then
  echo "clang-tidy failed (exit $status)"
  exit 1
fi
