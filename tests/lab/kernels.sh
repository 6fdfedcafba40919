#!/usr/bin/env bash
# kernels.sh: runs lab tests on the kernels that NAT boxes have: Debian's 6.1 and 6.12, in qemu.
#   kernels.sh                  both
#   kernels.sh --kernel 6.1     one of them
#   kernels.sh --test NAME      test_NAME.py in place of witness and flowtable; may be repeated
#   kernels.sh --build DIR      where the programs are: build/release, if nothing is said
#   kernels.sh --fresh          takes Debian's packages anew; else those of the last run, in build/kernels
#   kernels.sh --help           this text
# Needs an x86-64 Debian, qemu-system-x86, cpio and kmod (packaging/install-deps.sh --kernels), no root, and the programs
# built. Without /dev/kvm the machine is emulated, which takes some minutes a kernel: this is for hand, not for CI. What was
# said inside is in build/kernels/KERNEL.log. Status: 0 all passed, 1 not so, 2 a wrong option, 3 something is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() { echo "kernels.sh: $1" >&2; exit "${2-3}"; }

kernels=() tests=() build=build/release cache=$PWD/build/kernels
while [ $# -gt 0 ]; do
  case $1 in
    --kernel) kernels+=("${2:?--kernel needs 6.1 or 6.12}"); shift ;;
    --test) tests+=("${2:?--test needs a name}"); shift ;;
    --build) build=${2:?--build needs a folder}; shift ;;
    --fresh) rm -rf "$cache" ;;
    --help | -h) sed -n '2,12s/^# //p' tests/lab/kernels.sh; exit 0 ;;
    *) fail "unknown option '$1'; see kernels.sh --help" 2 ;;
  esac
  shift
done
[ ${#kernels[@]} -gt 0 ] || kernels=(6.1 6.12)
[ ${#tests[@]} -gt 0 ] || tests=(witness flowtable)
for kernel in "${kernels[@]}"; do
  [[ $kernel =~ ^6\.(1|12)$ ]] || fail "no kernel '$kernel'; there are 6.1 and 6.12" 2
done
for test in "${tests[@]}"; do
  [ -e "tests/lab/test_$test.py" ] || fail "no test '$test': tests/lab/test_$test.py is not there" 2
done
missing=()
for command in qemu-system-x86_64 cpio apt-get dpkg-deb ldd; do
  command -v "$command" >/dev/null || missing+=("$command")
done
[ -e /sbin/depmod ] || missing+=(depmod)
[ ${#missing[@]} = 0 ] || fail "missing: ${missing[*]}; ./packaging/install-deps.sh --kernels installs what they come in"
for program in natsessiond natsessionctl; do
  [ -x "$build/daemon/$program" ] || fail "missing: $build/daemon/$program; cmake --build --preset release makes it"
done
# The programs run there with this machine's libraries, in a tree of the same release.
# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "${ID-}-$(dpkg --print-architecture)-${VERSION_CODENAME-}")
[[ $release == debian-amd64-* ]] || fail "this is no Debian on x86-64"
release=${release#debian-amd64-}

work=$(mktemp -d)
qemu=
# shellcheck disable=SC2317 # called at the end
cleanup() {
  [ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
mkdir -p "$cache"

# Packages without installing them: apt with lists of its own, for which nothing is installed.
apt() {
  local command=$1
  shift
  "$command" -qq -o Dir::Etc::sourcelist="$work/sources" -o Dir::Etc::sourceparts=/dev/null -o Dir::State="$work/apt" \
    -o Dir::State::status="$work/status" -o Dir::Cache="$work/apt" -o APT::Sandbox::User="$(id -un)" \
    -o APT::Install-Recommends=false -o Acquire::Retries=3 -o Debug::NoLocking=1 "$@"
}

# Chooses the releases that packages come from. False if the mirror does not have one of them.
from() {
  local suite
  rm -rf "$work/apt" "$work/sources"
  mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial"
  : >"$work/status"
  for suite; do
    local place=debian
    [[ $suite != *-security ]] || place=debian-security
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/$place $suite main" >>"$work/sources"
  done
  apt apt-get update >"$work/apt.log" 2>&1
}

# extract FOLDER: what was downloaded, into a tree with one /usr.
extract() {
  local package place
  for place in bin sbin lib lib64; do
    mkdir -p "$1/usr/$place"
    ln -sfn "usr/$place" "$1/$place"
  done
  for package in "$work"/apt/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" |
      tar --extract --keep-directory-symlink --directory "$1" --exclude './usr/share/doc' --exclude './usr/share/man' \
        --exclude './usr/share/locale' --exclude './usr/lib/debug'
  done
}

# pack FOLDER FILE: as an initramfs, in which all is root's.
pack() { (cd "$1" && find . -print0 | cpio --null --create --format=newc --owner=0:0 --quiet) >"$2"; }

make_root() {
  from "$release" "$release-security" || fail "no packages of $release: $(tail -n 3 "$work/apt.log")"
  apt apt-get install --yes --download-only bash dash coreutils grep sed util-linux mount kmod procps python3 nftables iproute2 \
    conntrack tcpdump >"$work/apt.log" 2>&1 || fail "no packages of $release: $(tail -n 3 "$work/apt.log")"
  extract "$work/root"
  mkdir -p "$work/root"/{dev,proc,sys,run,tmp,root,etc,var/tmp}
  echo 'root:x:0:0::/root:/bin/sh
nobody:x:65534:65534::/:/usr/sbin/nologin' >"$work/root/etc/passwd"
  echo 'root:x:0:
nogroup:x:65534:' >"$work/root/etc/group"
  pack "$work/root" "$work/root.cpio"
  mv "$work/root.cpio" "$cache/root.cpio"
}

# The kernel's image and what of its modules has to do with the lab.
make_kernel() {
  local kernel=$1 package version modules
  case $kernel in
    6.1) from bookworm bookworm-security || fail "no packages of bookworm: $(tail -n 3 "$work/apt.log")" ;;
    6.12)
      if ! from bookworm-backports; then
        echo "the mirror has no bookworm-backports: 6.12 is trixie's"
        from trixie trixie-security || fail "no packages of trixie: $(tail -n 3 "$work/apt.log")"
      fi ;;
  esac
  package=$(apt apt-cache depends linux-image-amd64 | sed -n "s/.*Depends: \(linux-image-${kernel/./\\.}\.[^ ]*\)/\1/p" | head -n 1)
  [ -n "$package" ] || fail "no kernel $kernel: $(sed 's/.*debian[^ ]* //' "$work/sources" | xargs)"
  version=${package#linux-image-}
  (cd "$work/apt/archives" && apt apt-get download "$package") >"$work/apt.log" 2>&1 ||
    fail "$package was not to be had: $(tail -n 3 "$work/apt.log")"
  rm -rf "$work/kernel" "$work/layer"
  extract "$work/kernel"
  /sbin/depmod -b "$work/kernel" "$version"
  modules=$work/kernel/lib/modules/$version
  mkdir -p "$work/layer/usr/lib/modules/$version"
  ln -s usr/lib "$work/layer/lib"
  # A line has a module, and all that it needs.
  grep -E '^kernel/(net/(core|ipv4|ipv6|netfilter)|drivers/net/veth|(arch/x86/)?crypto/crc32)' "$modules/modules.dep" |
    grep -oE '[^: ]+' | sort -u |
    (cd "$modules" && cpio --pass-through --make-directories --quiet "$work/layer/lib/modules/$version")
  cp "$modules"/modules.{builtin,builtin.modinfo,order} "$work/layer/lib/modules/$version/"
  /sbin/depmod -b "$work/layer" "$version"
  rm "$work/layer/lib" # the root has it
  mkdir -p "$work/made"
  pack "$work/layer" "$work/made/modules.cpio"
  cp "$work/kernel/boot/vmlinuz-$version" "$work/made/vmlinuz"
  dpkg-deb --field "$work"/apt/archives/linux-image-*.deb Version >"$work/made/version"
  rm -rf "${cache:?}/$kernel"
  mv "$work/made" "$cache/$kernel"
}

# The programs, the libraries of theirs that the root does not have, the tests, and who runs them.
make_project() {
  local library folder=$work/project
  mkdir -p "$folder/lab" "$folder/build/daemon"
  cp "$build"/daemon/natsession{d,ctl} "$folder/build/daemon/"
  cp tests/lab/*.py "$folder/lab/"
  ldd "$build"/daemon/natsession{d,ctl} | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' | sort -u >"$work/libraries"
  cpio --list --quiet <"$cache/root.cpio" | sed 's/^usr//' | sort >"$work/there"
  while read -r library; do
    grep -qxF "${library#/usr}" "$work/there" || install -D "$(realpath "$library")" "$folder/usr/${library#/usr}"
  done <"$work/libraries"
  cat >"$folder/init" <<'END'
#!/bin/sh
export PATH=/usr/sbin:/usr/bin HOME=/root NATSESSION=/build/daemon/natsessiond
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
mount -t devtmpfs dev /dev
exec </dev/null >/dev/ttyS0 2>&1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
chmod 1777 /tmp
ip link set lo up
modprobe nf_conntrack_netlink || dmesg | tail -n 20
for test in $(sed 's/.*tests=\([^ ]*\).*/\1/; s/,/ /g' /proc/cmdline); do
  echo "== $test"
  started=$(date +%s)
  python3 "/lab/test_$test.py"
  case $? in 0) result=passed ;; 77) result=skipped ;; *) result=FAILED ;; esac
  echo "=> $test: $result ($(($(date +%s) - started)) s)"
done
# With -no-reboot this ends qemu.
echo b >/proc/sysrq-trigger
END
  chmod +x "$folder/init"
  pack "$folder" "$work/project.cpio"
}

[ -e "$cache/root.cpio" ] || { echo "taking what the lab needs from Debian $release"; make_root; }
for kernel in "${kernels[@]}"; do
  [ -e "$cache/$kernel/version" ] || { echo "taking Linux $kernel from Debian"; make_kernel "$kernel"; }
done
make_project

accelerator=tcg how="emulated"
if [ -w /dev/kvm ]; then accelerator=kvm how="with KVM"; fi
failed=0
for kernel in "${kernels[@]}"; do
  echo "Linux $kernel (Debian $(cat "$cache/$kernel/version")), $how"
  started=$SECONDS
  log=$cache/$kernel.log
  cat "$cache/root.cpio" "$cache/$kernel/modules.cpio" "$work/project.cpio" >"$work/initrd"
  : >"$log"
  # A kernel that panics reboots, and so ends as well.
  timeout $((300 + 600 * ${#tests[@]})) qemu-system-x86_64 -accel $accelerator -cpu max -m 2048 -nodefaults -no-reboot -nographic \
    -kernel "$cache/$kernel/vmlinuz" -initrd "$work/initrd" -serial "file:$log" \
    -append "console=ttyS0 quiet panic=-1 tests=$(IFS=, && echo "${tests[*]}")" </dev/null >"$work/qemu.log" 2>&1 &
  qemu=$!
  told=0
  while :; do
    ended=0
    kill -0 "$qemu" 2>/dev/null || ended=1
    # Whole lines only.
    results=$(head -n "$(wc -l <"$log")" "$log" | tr -d '\r' | sed -n 's/^=>/ /p; s/.*seen:/   /p' | tail -n "+$((told + 1))")
    if [ -n "$results" ]; then
      echo "$results"
      told=$((told + $(wc -l <<<"$results")))
    fi
    [ $ended = 0 ] || break
    sleep 1
  done
  wait "$qemu" || echo "kernels.sh: qemu ended with status $? (124: it took too long) $(cat "$work/qemu.log")" >&2
  qemu=
  passed=$(grep -c '^=> .*: passed' "$log" || true)
  echo "Linux $kernel: $passed of ${#tests[@]} tests passed ($((SECONDS - started)) s)"
  if [ "$passed" != ${#tests[@]} ]; then
    failed=1
    tail -n 60 "$log" >&2
    echo "kernels.sh: all that was said is in ${log#"$PWD/"}" >&2
  fi
done
exit $failed
