#!/usr/bin/env bash
# compare.sh: the benchmarks of two checkouts in turn, and what NEW takes to what OLD does, round by round.
#
#   compare.sh [--rounds N] [--only NAMES] [--flood] [--quick] OLD NEW
#     OLD, NEW      a folder: of a checkout with build/release in it, or of a build; or else what git knows in this
#                   checkout by that name (a commit, a branch, HEAD~3): it is checked out and built, preset release, in
#                   build/compare/COMMIT, and is there the next time
#     --rounds N    each round runs every benchmark of both, and begins with the one that the round before ended with
#                   (default 5)
#     --only NAMES  of pipeline, ledger and query those that are named, with commas between them
#     --flood       flood.sh as well: natsessiond's CPU for a million sessions, end to end. Needs root
#     --quick       one round, and so few sessions that the figures mean nothing: whether everything works
#
#   compare.sh HEAD .                   what is not committed yet, against the last commit
#   compare.sh --only ledger main /src/other
#
# A line for each figure: the medians of both, the median of the rounds' ratios NEW/OLD, and the least and the greatest
# of them. Of all figures less is better. A line ends in > or < where every round says so, of five or more; in ! where it
# is so by more than 5 %. On a machine that does something else as well look at the spread first: a ratio is noise where 1
# lies in it.
# What only one of them tells stands below. Exit status: 0; 1 if a benchmark fails; 2 for usage; 77 when it cannot run.
set -euo pipefail
export LC_ALL=C

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
usage() {
  sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
}
die() {
  echo "compare.sh: $1" >&2
  exit "${2:-1}"
}

rounds=5 only=pipeline,ledger,query flood=0 quick=0
pipeline_sessions=500000 ledger_sessions=500000 query_sessions=500000
sides=()
while [ $# -gt 0 ]; do
  case $1 in
    --rounds) rounds=${2:?--rounds needs a number} && shift ;;
    --only) only=${2:?--only needs names} && shift ;;
    --flood) flood=1 ;;
    --quick) quick=1 rounds=1 pipeline_sessions=20000 ledger_sessions=5000 query_sessions=5000 ;;
    --help) usage && exit 0 ;;
    -*) die "unknown option $1: --help tells all" 2 ;;
    *) sides+=("$1") ;;
  esac
  shift
done
[ ${#sides[@]} = 2 ] || die "needs OLD and NEW: --help tells what they are" 2
[[ $rounds =~ ^[1-9][0-9]*$ ]] || die "--rounds $rounds: not a number" 2
IFS=, read -ra benchmarks <<<"$only"
for name in "${benchmarks[@]}"; do
  [[ $name =~ ^(pipeline|ledger|query)$ ]] || die "--only $name: is not one of pipeline, ledger or query" 2
done
[ $flood = 0 ] || benchmarks+=(flood)

targets=()
for name in "${benchmarks[@]}"; do
  case $name in
    flood) targets+=(natsessiond flood receive_count udp_sessions connections) ;;
    *) targets+=("${name}_bench") ;;
  esac
done

# Of the commit $1. Prints the folder of its build.
build_commit() {
  local checkout=$root/build/compare/$1
  # A copy, not a worktree: git's list of those would outlive the folder.
  if [ ! -e "$checkout/CMakeLists.txt" ]; then
    mkdir -p "$checkout.part"
    git -C "$root" archive "$1" | tar -x -C "$checkout.part"
    mv "$checkout.part" "$checkout"
  fi
  (
    cd "$checkout"
    [ -e build/release/build.ninja ] || cmake --preset release
    nice cmake --build --preset release -t "${targets[@]}"
  ) >"$checkout.log" 2>&1 || die "$1 cannot be built: see $checkout.log"
  echo "$checkout/build/release"
}

# What $1 means. Prints the folder of its build.
find_build() {
  local folder commit
  for folder in "$1" "$1/build/release"; do
    if [ -x "$folder/tests/bench/${targets[-1]}" ]; then
      (cd "$folder" && pwd)
      return
    fi
  done
  [ ! -d "$1" ] || die "$1: no benchmark is built there: cmake --preset release && cmake --build --preset release"
  commit=$(git -C "$root" rev-parse --verify --quiet "$1^{commit}") || die "$1: no folder, and no commit that git knows" 2
  echo "compare.sh: $1 is the commit ${commit:0:12}" >&2
  build_commit "${commit:0:12}"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
old=$(find_build "${sides[0]}")
new=$(find_build "${sides[1]}")
builds=("$old" "$new")

# Each benchmark prints lines "NAME|VALUE" of the build $1, whose own folder for files is $2. A benchmark ends with 1
# when it misses a budget: what it has measured is told all the same.
run_pipeline() {
  { "$1/tests/bench/pipeline_bench" "$pipeline_sessions" || true; } | awk '
    { name = $1; for (i = 2; $i !~ /^[0-9.]+$/ && i <= NF; ++i) name = name " " $i
      unit = $(i + 1); if ($0 ~ /alive at once/) name = name ", " substr($0, index($0, "(") + 1) + 0 " alive at once"
      if (i <= NF) print "pipeline: " name (unit == "bytes" ? ", bytes" : ", ns") "|" $i }'
}
run_ledger() {
  { "$1/tests/bench/ledger_bench" --sessions "$ledger_sessions" --every 1 || true; } | awk '
    /^column/ { exit } # by column it is the work of one of them alone
    /ns a record/ { on = 1; next }
    on && length($0) > 34 {
      name = substr($0, 1, 34); sub(/ +$/, "", name); split(substr($0, 35), figures, " ")
      print "ledger: " name ", ns|" figures[1]
      if (figures[3] != "") print "ledger: " name ", bytes a session|" figures[3] }'
}
run_query() {
  if [ ! -e "$2/day" ]; then
    "$1/tests/bench/query_bench" make "$2/day.part" --sessions "$query_sessions" >"$2/made" || return
    mv "$2/day.part" "$2/day"
  fi
  { cat "$2/made"; "$1/tests/bench/query_bench" ask "$2/day"; } | awk '
    { delete of; for (i = 2; i <= NF; ++i) { split($i, pair, "="); of[pair[1]] = pair[2] } }
    $1 == "size" && of["what"] == "ledger" { print "query: bytes a session|" of["bytes_per_session"] }
    $1 == "ask" { print "query: " of["what"] ", ms|" of["seconds"] * 1000
                  print "query: " of["what"] ", ms of CPU|" of["cpu"] * 1000 }'
}
# With this checkout's flood.sh for both: what it starts is the build's.
run_flood() {
  local amounts=(--no-peers --sessions 200000 --packets 20000)
  [ $quick = 0 ] || amounts=(--quick)
  local status=0
  NATSESSIOND=$1/daemon/natsessiond NATBENCH_PROGRAMS=$1/tests/bench \
    "$root/tests/bench/flood.sh" "${amounts[@]}" >"$2/flood" 2>"$2/flood.err" || status=$?
  [ $status -le 1 ] || { cat "$2/flood.err" >&2 && return $status; }
  awk '
    /^Part/ { part = substr($2, 1, 1) }
    /^natsessiond/ && length($0) > 48 {
      name = substr($0, 1, 48); sub(/ +$/, "", name); split(substr($0, 49), figures, " ")
      print "flood, part " part ": " name ", s of CPU|" figures[5] }' "$2/flood"
}

# "SIDE|ROUND|NAME|VALUE", all that was measured.
measured=$work/measured
for ((round = 1; round <= rounds; round++)); do
  order=(0 1)
  [ $((round % 2)) = 1 ] || order=(1 0)
  for name in "${benchmarks[@]}"; do
    for side in "${order[@]}"; do
      mkdir -p "$work/$side"
      status=0
      "run_$name" "${builds[side]}" "$work/$side" >"$work/told" || status=$?
      [ $status != 77 ] || exit 77
      if [ $status != 0 ] || [ ! -s "$work/told" ]; then die "$name of ${sides[side]}: it tells no figures"; fi
      sed "s/^/$side|$round|/" "$work/told" >>"$measured"
    done
  done
  [ $quick = 1 ] || echo "compare.sh: round $round of $rounds" >&2
done

printf 'OLD %s\nNEW %s\nRounds: %d\n\n' "${builds[@]}" "$rounds"
awk -F'|' -v rounds="$rounds" '
  function median(list, count,    i, j, kept) {
    for (i = 2; i <= count; ++i)
      for (j = i; j > 1 && list[j] < list[j - 1]; --j) { kept = list[j]; list[j] = list[j - 1]; list[j - 1] = kept }
    return count % 2 ? list[(count + 1) / 2] : (list[count / 2] + list[count / 2 + 1]) / 2
  }
  function of_side(side, name,    i, list, count) {
    count = 0
    for (i = 1; i <= rounds; ++i) if ((side, i, name) in value) list[++count] = value[side, i, name]
    return count ? median(list, count) : ""
  }
  !($3 in known) { known[$3] = 1; names[++all] = $3 }
  { value[$1, $2, $3] = $4 + 0 }
  END {
    printf "%-58s %10s %10s %8s %15s\n", "", "OLD", "NEW", "NEW/OLD", "least..greatest"
    for (n = 1; n <= all; ++n) {
      name = names[n]; count = 0; delete ratios
      for (i = 1; i <= rounds; ++i)
        if (((0, i, name) in value) && ((1, i, name) in value) && value[0, i, name] > 0)
          ratios[++count] = value[1, i, name] / value[0, i, name]
      old = of_side(0, name); new = of_side(1, name)
      if (old == "" || new == "") { alone = alone sprintf("only %s: %s\n", old == "" ? "NEW" : "OLD", name); continue }
      if (!count) continue # too quick to be measured
      middle = median(ratios, count)
      sign = ratios[1] > 1 ? " >" : ratios[count] < 1 ? " <" : ""
      if (sign != "" && (ratios[1] > 1.05 || ratios[count] < 0.95)) sign = sign "!"
      printf "%-58s %10.4g %10.4g %8.3f %7.3f..%-6.3f%s\n", name, old, new, middle, ratios[1], ratios[count], \
        (rounds >= 5 ? sign : "")
      ++shown
    }
    printf "%s", alone
    exit shown ? 0 : 1
  }' "$measured" || die "they have no figure in common"
