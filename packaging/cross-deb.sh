#!/usr/bin/env bash
# cross-deb.sh ARCH [nocheck]: what build-deb.sh --arch ARCH does. Needs root.
# In a tree of its own, build/tree-ARCH, which is made once: what apt adds to a machine for another architecture stays there.
set -euo pipefail
cd "$(dirname "$0")/.."

arch=$1
options=${2-}
if [ "$(id -u)" != 0 ]; then
  echo "cross-deb.sh: needs root: it makes a Debian tree and works in it" >&2
  exit 1
fi
./packaging/install-deps.sh --cross
cpu=$(dpkg-architecture --host-arch "$arch" --query DEB_HOST_GNU_CPU 2>/dev/null)
mkdir -p build/packages
log=$PWD/build/packages/cross-deb.log
: >"$log"
tree=$PWD/build/tree-$arch

failed() {
  tail -n 40 "$log" >&2
  echo "cross-deb.sh: failed; all it said is in $log" >&2
  exit 1
}
# In the tree, with mounts that end with the command.
in_tree() {
  # shellcheck disable=SC2016 # what comes behind are its arguments
  unshare --mount --fork sh -c 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"' \
    "$tree" env -C "$folder" LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@" >>"$log" 2>&1 || failed
}

if [ ! -d "$tree" ]; then
  started=$SECONDS
  echo "making build/tree-$arch"
  rm -rf "$tree.new"
  mmdebstrap --variant=apt --architectures="$(dpkg --print-architecture),$arch" \
    --include="crossbuild-essential-$arch,dpkg-dev,python3" bookworm "$tree.new" >>"$log" 2>&1 || failed
  mv "$tree.new" "$tree"
  echo "made in $((SECONDS - started)) s"
fi
cp /etc/resolv.conf "$tree/etc/"
echo "127.0.0.1 localhost" >"$tree/etc/hosts" # which tests connect to
cp "$(command -v "qemu-$cpu-static")" "$tree/usr/bin/"

source=$tree/src/natsessiond
rm -rf "$tree/src"
mkdir -p "$source"
git ls-files -z | tar --create --null --files-from=- | tar --extract --directory "$source"
cp -r packaging/debian "$source/debian"
started=$SECONDS
folder=/
in_tree apt-get -q update
in_tree apt-get -qy --no-install-recommends --host-architecture "$arch" --build-profiles cross build-dep /src/natsessiond
folder=/src/natsessiond
echo "building natsessiond for $arch"
in_tree env DEB_BUILD_OPTIONS="nocheck parallel=${JOBS:-$(nproc)}" \
  dpkg-buildpackage --host-arch "$arch" --build-profiles=cross --build=binary --no-sign
cp "$tree"/src/*.deb "$tree"/src/*.buildinfo "$tree"/src/*.changes build/packages/
for made in "$tree"/src/*.deb; do
  echo "built in $((SECONDS - started)) s: build/packages/$(basename "$made")"
done
[ "$options" != nocheck ] || exit 0

# The tests are added to what the package was made of.
started=$SECONDS
folder=/src/natsessiond/$(basename "$source"/obj-*)
qemu=qemu-$cpu-static
in_tree cmake -DNATSESSION_TESTS=ON -DCMAKE_CROSSCOMPILING_EMULATOR="/usr/bin/$qemu" .
# shellcheck disable=SC2016 # the tree's shell expands it
in_tree sh -c 'ninja $(ninja -t targets all | sed -n "s/^\(tests\/.*\/\(test\|fuzz\)_[a-z_]*\): CXX_EXECUTABLE.*/\1/p")'
echo "tests built in $((SECONDS - started)) s"

# A program of tests is one process here: under qemu-user it takes a second to start. The one that talks to the kernel is the
# lab's, and qemu-user has no netfilter sockets. What is left out of the others, in Catch's words:
left_out=(
  '~[system calls]' # qemu-user has no seccomp(), so no filter can be loaded in it
  # Its sendmsg() sends nothing where there are no bytes beside the descriptor.
  '~an entry that is too large for a datagram goes as a sealed file'
)
started=$SECONDS
logs=$tree/src/tests
mkdir "$logs"
jobs=${JOBS:-$(nproc)} running=0 bad=
for program in $(cd "$tree$folder" && find tests -name 'test_*' ! -name test_conntrack_live -type f -executable); do
  [ $((running++)) -lt "$jobs" ] || wait -n || bad=yes
  log=$logs/$(basename "$program") in_tree timeout 1200 "$qemu" "$program" "${left_out[@]}" &
done
for _ in $(seq "$((running < jobs ? running : jobs))"); do wait -n || bad=yes; done
cat "$logs"/* >>"$log"
[ -z "$bad" ] || exit 1
in_tree ctest --output-on-failure --parallel "$jobs" --tests-regex '^fuzz replay'
passed=$(sed -n 's/^All tests passed (.* in \([0-9]*\) test cases\?)$/\1/p' "$logs"/* | awk '{ sum += $1 } END { print sum }')
echo "under qemu-$cpu $passed unit tests passed, and the fuzzers' corpus, in $((SECONDS - started)) s"
