#!/usr/bin/env bash
# build-deb.sh: builds the Debian package of this tree. Result: build/packages/natsessiond_VERSION_ARCH.deb
#   build-deb.sh               without its tests: tests/run.sh is for that
#   build-deb.sh --check       and the unit tests run on what was built
#   build-deb.sh --arch arm64  for another architecture, cross-compiled in a tree of its own, build/tree-arm64 (as root); with
#                              --check its unit tests run under qemu-user
#   build-deb.sh --help        this text
# Needs Debian 12; as root it installs what is missing. What is built is what git has of this tree, with changes that are
# not committed; built twice from the same, it is the same byte for byte.
set -euo pipefail
cd "$(dirname "$0")/.."

options=nocheck
arch=$(dpkg --print-architecture)
while [ $# -gt 0 ]; do
  case $1 in
    --check) options= ;;
    --arch) arch=${2:?build-deb.sh: --arch takes an architecture, such as arm64}; shift ;;
    --help | -h) sed -n '2,9s/^# //p' packaging/build-deb.sh; exit 0 ;;
    *) echo "build-deb.sh: unknown option '$1'; there are --check, --arch and --help" >&2; exit 2 ;;
  esac
  shift
done
[ "$arch" = "$(dpkg --print-architecture)" ] || exec packaging/cross-deb.sh "$arch" "$options"
packages=(--packages)
[ -n "$options" ] || packages+=(--tests)
./packaging/install-deps.sh "${packages[@]}"

tree=$PWD
# Always the same path: it stands in debugging symbols before they are made relative.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/natsessiond" "$tree/build/packages" -p
git ls-files -z | tar --create --null --files-from=- | tar --extract --directory "$work/natsessiond"
cp -r packaging/debian "$work/natsessiond/debian"
cd "$work/natsessiond"
started=$SECONDS
echo "building natsessiond $(dpkg-parsechangelog --show-field Version)"
log=$tree/build/packages/build-deb.log
if ! DEB_BUILD_OPTIONS="$options parallel=${JOBS:-$(nproc)}" dpkg-buildpackage --build=binary --no-sign >"$log" 2>&1; then
  tail -n 40 "$log" >&2
  echo "build-deb.sh: failed; all it said is in $log" >&2
  exit 1
fi
cp "$work"/*.deb "$work"/*.buildinfo "$work"/*.changes "$tree/build/packages/"
for made in "$work"/*.deb; do
  echo "built in $((SECONDS - started)) s: build/packages/$(basename "$made")"
done
