#!/usr/bin/env bash
# networkd.sh: has the identity source networkd follow a real systemd-networkd, in a tree of a Debian that has one of 256 or newer.
#   networkd.sh                 trixie's
#   networkd.sh --suite NAME    another release's
#   networkd.sh --build DIR     where the programs are: build/release, if nothing is said
#   networkd.sh --fresh         makes the tree anew; else it is that of the last run, in build/networkd-NAME
#   networkd.sh --help          this text
# Needs root, what packaging/install-deps.sh --networkd installs, and the programs built. Debian's
# packages come from the mirror that apt has here, or else from debootstrap's own. This is for hand, not for CI: a tree takes
# minutes to make, and the test one. Status: 0 all passed, 1 not so, 2 a wrong option, 3 something is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() { echo "networkd.sh: $1" >&2; exit "${2-3}"; }

suite=trixie build=build/release fresh=
while [ $# -gt 0 ]; do
  case $1 in
    --suite | --build)
      [ -n "${2-}" ] || fail "$1 needs a value; see networkd.sh --help" 2
      if [ "$1" = --suite ]; then suite=$2; else build=$2; fi
      shift ;;
    --fresh) fresh=yes ;;
    --help | -h) sed -n '2,10s/^# //p' tests/lab/networkd.sh; exit 0 ;;
    *) fail "unknown option '$1'; see networkd.sh --help" 2 ;;
  esac
  shift
done
[[ $suite =~ ^[a-z][a-z0-9-]*$ ]] || fail "'$suite' is no name of a Debian release" 2

[ "$(id -u)" = 0 ] || fail "needs root"
missing=()
for command in debootstrap unshare ip nft conntrack udhcpc python3; do
  command -v "$command" >/dev/null || missing+=("$command")
done
[ ${#missing[@]} = 0 ] || fail "missing: ${missing[*]}; ./packaging/install-deps.sh --networkd"
for program in daemon/natsessiond daemon/natsessionctl tests/identity_sources/source_probe; do
  [ -x "$build/$program" ] || fail "missing: $build/$program; cmake --build --preset release makes it"
done
build=$(realpath "$build")

tree=$PWD/build/networkd-$suite
work=$(mktemp -d)
begun=''
# shellcheck disable=SC2317 # called at the end
clean_up() {
  local first=''
  if [ -n "$begun" ]; then
    # When the first process there is gone, all are.
    read -r first 2>/dev/null <"/proc/$begun/task/$begun/children" || true
    kill -KILL "$begun" ${first:+"$first"} 2>/dev/null || true
    wait "$begun" 2>/dev/null || true
    while grep -q '^State:[[:space:]]*[^Z[:space:]]' "/proc/$first/status" 2>/dev/null; do sleep 0.1; done
  fi
  rm -rf "$work" "$tree.new"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# apart COMMAND...: in namespaces of processes and of mounts of its own. All that it starts and mounts goes with it, also where
# it is killed.
apart() {
  local status=0
  unshare --pid --fork --kill-child --mount --propagation private --mount-proc "$@" </dev/null &
  begun=$!
  wait "$begun" || status=$?
  begun=''
  return $status
}

make_tree() {
  local mirrors=()
  mapfile -t mirrors < <(apt-get indextargets --format "\$(REPO_URI)" 'Created-By: Packages' 2>/dev/null |
    grep -E '^https?://.*/debian/$')
  rm -rf "$tree.new"
  mkdir -p build
  # The shell stays: it is the first process there.
  # shellcheck disable=SC2016 # its own $@
  apart sh -c 'debootstrap "$@" || exit 1' sh --variant=minbase --include=systemd,systemd-sysv,dbus,iproute2 \
    "$suite" "$tree.new" "${mirrors[@]:0:1}" >"$work/debootstrap" 2>&1 ||
    fail "there is no tree of $suite: $(tail -n 3 "$work/debootstrap")"
  rm -rf "$tree.new/var/cache/apt/archives" "$tree.new/var/lib/apt/lists"
  rm -rf "$tree"
  mv "$tree.new" "$tree"
}

if [ -n "$fresh" ] || [ ! -e "$tree" ]; then
  echo "making a tree of Debian $suite"
  make_tree
fi
echo "$(chroot "$tree" systemctl --version | sed -n 1p) of $suite"

# Its temporary files, and the names of its network namespaces, are nobody else's either.
export NATSESSION=$build/daemon/natsessiond NATSESSION_SOURCE_PROBE=$build/tests/identity_sources/source_probe
export NATSESSION_NETWORKD_TREE=$tree TMPDIR=$work PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
status=0
# shellcheck disable=SC2016 # its own $1
apart sh -c 'set -e
mkdir -p /run/netns
mount -t tmpfs natlab-networkd /run/netns
mount -t tmpfs -o mode=1777 natlab-networkd "$1"
status=0
python3 tests/lab/test_identity_networkd.py || status=$?
exit $status' sh "$work" || status=$?
case $status in
  0) ;;
  77) fail "nothing could be tested: the reason stands above" ;;
  *) exit 1 ;;
esac
