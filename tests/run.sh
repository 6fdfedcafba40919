#!/usr/bin/env bash
# run.sh: installs what is missing, builds and tests. The last line is the sum: N passed, N failed, N skipped.
#   run.sh                 everything: release, then with the address and undefined-behaviour sanitizers, then with the
#                          thread sanitizer; unit tests, the network lab, the fuzz corpus, the benchmarks once
#   run.sh --quick         release, unit tests only
#   run.sh --preset NAME   one preset of CMakePresets.json only
#   run.sh --label REGEX   only tests with such a label: unit, lab, fuzz, bench
#   run.sh --help          this text
# The lab needs root. With CI=true a test that cannot run is a failure, otherwise it is skipped and says why.
set -euo pipefail
cd "$(dirname "$0")/.."

presets=(release asan tsan)
label=
while [ $# -gt 0 ]; do
  case $1 in
    --quick) presets=(release); label=unit ;;
    --preset) presets=("${2:?--preset needs a name}"); shift ;;
    --label) label=${2:?--label needs a label}; shift ;;
    --help | -h) sed -n '2,9s/^# //p' tests/run.sh; exit 0 ;;
    *) echo "run.sh: unknown option '$1'; see run.sh --help" >&2; exit 2 ;;
  esac
  shift
done

jobs=${JOBS:-$(nproc)}
passed=0 failed=0 skipped=0

# Prints a stage's result and how long it took since $1.
told() { printf '== %-24s %s (%d s)\n' "$2" "$3" "$((SECONDS - $1))"; }

# Which tests a preset runs: figures of a sanitized build mean nothing, the corpus has no threads, and
# tests/lab/CMakeLists.txt says which sanitizer a lab test is for.
selection() {
  if [ -n "$label" ]; then
    echo "--label-regex $label"
  else
    case $1 in
      release) [ ${#presets[@]} = 1 ] || echo "--label-exclude not-release" ;;
      asan) echo "--label-exclude bench|only-tsan|only-release" ;;
      tsan) echo "--label-exclude bench|fuzz|only-asan|only-release" ;;
    esac
  fi
}

# The thread sanitizer of clang 14 does not know address spaces as random as newer kernels make them.
with_tame_addresses() {
  if [ "$preset" = tsan ] && setarch -R true 2>/dev/null; then setarch -R "$@"; else "$@"; fi
}

build() {
  with_tame_addresses cmake --preset "$preset" -DNATSESSION_WERROR=ON &&
    with_tame_addresses cmake --build --preset "$preset" -j "$jobs"
}

# A preset is built while the tests of the one before it run, the first while the tests' packages are fetched, in the cycles
# that these leave: SCHED_IDLE gives way to whatever else would run. A process group of its own, so that an interrupted run
# leaves no compiler behind.
building=
build_ahead() {
  local preset=$1
  mkdir -p build
  set -m
  { chrt --idle --pid 0 "$BASHPID" || true; build; } >"build/$preset.log" 2>&1 &
  building=$!
  set +m
}
trap '[ -z "$building" ] || kill -- "-$building" 2>/dev/null || true' EXIT

# One of the numbers in the head of a JUnit report.
count_of() { sed -n "/^[[:space:]]*$1=\"/{s/[^0-9]*\([0-9]*\).*/\1/p;q}" "$2"; }

run_tests() {
  local report=$PWD/build/$preset/test-report.xml all bad left
  rm -f "$report"
  local choice
  read -ra choice <<<"$(selection "$preset")"
  # More than there are cores: what runs long waits most of its time.
  with_tame_addresses ctest --preset "$preset" -j "$((jobs + 6))" --output-on-failure --no-tests=error \
    --output-junit "$report" "${choice[@]}" || true
  if [ ! -s "$report" ]; then
    failed=$((failed + 1))
    return 1
  fi
  all=$(count_of tests "$report") bad=$(count_of failures "$report") left=$(count_of skipped "$report")
  left=$((left + $(count_of disabled "$report")))
  if [ "${CI-}" = true ] && [ "$left" != 0 ]; then
    echo "in CI nothing is skipped: $left tests did not run"
    bad=$((bad + left)) left=0
  fi
  passed=$((passed + all - bad - left)) failed=$((failed + bad)) skipped=$((skipped + left))
  [ "$bad" = 0 ]
}

begun=$SECONDS
./packaging/install-deps.sh
build_ahead "${presets[0]}"
./packaging/install-deps.sh --tests
told "$begun" "packages" "there"

if [ -z "$label" ] && [ ${#presets[@]} -gt 1 ]; then
  begun=$SECONDS
  if find . -path ./build -prune -o \( -name '*.sh' -o -path ./.ci/run \) -print0 | xargs -0 shellcheck; then
    passed=$((passed + 1))
    told "$begun" "shellcheck" "passed"
  else
    failed=$((failed + 1))
    told "$begun" "shellcheck" "FAILED"
  fi
fi

# Configured only: the preset that compiles each file by itself knows how to.
if [ -z "$label" ] && [ ${#presets[@]} -gt 1 ]; then
  begun=$SECONDS
  status=0
  { cmake --preset dev >/dev/null && tests/support/check-tidy.sh . build/dev; } || status=$?
  case $status in
    0) passed=$((passed + 1)); told "$begun" "clang-tidy" "passed" ;;
    77) skipped=$((skipped + 1)); told "$begun" "clang-tidy" "skipped" ;;
    *) failed=$((failed + 1)); told "$begun" "clang-tidy" "FAILED" ;;
  esac
fi

for i in "${!presets[@]}"; do
  preset=${presets[i]} next=${presets[i + 1]-} begun=$SECONDS
  tail --pid="$building" -n +1 -f "build/$preset.log"
  built=yes
  wait "$building" || built=no
  building=
  [ -z "$next" ] || build_ahead "$next"
  if [ "$built" = no ]; then
    failed=$((failed + 1))
    told "$begun" "build $preset" "FAILED"
    continue
  fi
  told "$begun" "build $preset" "done"
  begun=$SECONDS
  if run_tests; then told "$begun" "test $preset" "passed"; else told "$begun" "test $preset" "FAILED"; fi
done

told 0 "all" "done"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
