#!/usr/bin/env bash
# build-deb.sh: builds the Debian package of this tree. Result: build/packages/natsessiond_VERSION_ARCH.deb
#   build-deb.sh                  without its tests: tests/run.sh is for that. lintian looks at the result
#   build-deb.sh --check          and the unit tests run on what was built
#   build-deb.sh --twice          and it is built a second time, as somebody else would: in another folder, with another umask,
#                                 time zone, locale and number of jobs. Both must be the same byte for byte
#   build-deb.sh --programs DIR   of programs that are built already, such as build/release/daemon: in seconds, to try what is
#                                 around them (tests/lab/booted.sh). No lintian: they are not compiled as a package's are
#   build-deb.sh --arch arm64     for another architecture, cross-compiled in a tree of its own, build/tree-arm64 (as root);
#                                 with --check its unit tests run under qemu-user. Not with the other options
#   build-deb.sh --to DIR         the result is DIR
#   build-deb.sh --help           this text
# Needs Debian 12; as root it installs what is missing. What is built is what git has of this tree, with changes that are
# not committed.
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$PWD

check='' twice='' programs='' to=$tree/build/packages arch=$(dpkg --print-architecture)
while [ $# -gt 0 ]; do
  case $1 in
    --check) check=yes ;;
    --twice) twice=yes ;;
    --arch) arch=${2:?build-deb.sh: --arch takes an architecture, such as arm64}; shift ;;
    --programs) programs=$(realpath "${2:?--programs needs a folder}"); shift ;;
    --to) to=$(realpath -m "${2:?--to needs a folder}"); shift ;;
    --help | -h) sed -n '2,15s/^# //p' packaging/build-deb.sh; exit 0 ;;
    *) echo "build-deb.sh: unknown option '$1'; see build-deb.sh --help" >&2; exit 2 ;;
  esac
  shift
done
if [ "$arch" != "$(dpkg --print-architecture)" ] && [ "$twice$programs$to" != "$tree/build/packages" ]; then
  echo "build-deb.sh: for another architecture there is --check alone" >&2
  exit 2
fi
[ "$arch" = "$(dpkg --print-architecture)" ] || exec packaging/cross-deb.sh "$arch" "$([ -n "$check" ] || echo nocheck)"
packages=()
[ -n "$programs" ] || packages+=(--packages)
[ -z "$check$programs" ] || packages+=(--tests)
./packaging/install-deps.sh "${packages[@]}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$to"
log=$to/build-deb.log
jobs=${JOBS:-$(nproc)}

git ls-files -z | tar --create --null --files-from=- --file "$work/sources.tar"

# build FOLDER OPTIONS...: the package, in FOLDER. OPTIONS are those of DEB_BUILD_OPTIONS.
build() {
  local folder=$1 options=${*:2}
  mkdir -p "$folder/natsessiond"
  tar --extract --file "$work/sources.tar" --directory "$folder/natsessiond"
  cp -r "$folder/natsessiond/packaging/debian" "$folder/natsessiond/debian"
  if ! (cd "$folder/natsessiond" && DEB_BUILD_OPTIONS="$options" NATSESSION_PROGRAMS=$programs \
    dpkg-buildpackage --build=binary --no-sign) >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "build-deb.sh: failed; all it said is in $log" >&2
    return 1
  fi
}

started=$SECONDS
echo "building natsessiond $(dpkg-parsechangelog --file packaging/debian/changelog --show-field Version)"
options=(parallel="$jobs")
[ -n "$check" ] || options+=(nocheck)
[ -z "$programs" ] || options+=(noautodbgsym)
build "$work/here" "${options[@]}"
cp "$work"/here/*.deb "$work"/here/*.buildinfo "$work"/here/*.changes "$to/"
for made in "$work"/here/*.deb; do
  echo "built in $((SECONDS - started)) s: ${to#"$tree/"}/$(basename "$made"), $(($(stat -c %s "$made") / 1024)) KiB"
done

if [ -z "$programs" ]; then
  lintian --fail-on error,warning --display-info --allow-root "$work"/here/*.changes
  echo "lintian: no error, no warning"
fi

if [ -n "$twice" ]; then
  started=$SECONDS
  (
    umask 0002
    export TZ=Pacific/Chatham LC_ALL=C.UTF-8 LANG=C.UTF-8 HOME=/nonexistent USER=somebody
    build "$work/quite/elsewhere" nocheck parallel=1
  )
  for made in "$work"/here/*.deb; do
    cmp "$made" "$work/quite/elsewhere/$(basename "$made")"
  done
  echo "built again in $((SECONDS - started)) s: the same byte for byte"
fi
