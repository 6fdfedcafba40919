#!/usr/bin/env bash
# booted.sh: boots a Debian with systemd as PID 1 in a container that is the NAT box of a lab, installs the package in it, and
# tries what an administrator does: install, ask, reload, kill, upgrade, downgrade, remove, purge. Real traffic goes through it.
#   booted.sh               the package is made of build/release/daemon, or of where $NATSESSION is, by
#                           build-deb.sh --programs: to compile a second time would take minutes
#   booted.sh --deb FILE    of this package, and natsession-console's beside it
#   booted.sh --help        this text
# Prints `ok` or `not ok` for each thing tried, and the sum; status 0 if all was well. Needs root and the network, for
# Debian's packages. What it makes goes with it.
set -euo pipefail
cd "$(dirname "$0")/../.."

deb=
case ${1-} in
  "") ;;
  --deb) deb=$(realpath "${2:?--deb needs a file}") ;;
  --help | -h) sed -n '2,9s/^# //p' tests/lab/booted.sh; exit 0 ;;
  *) echo "booted.sh: unknown option '$1'; there are --deb and --help" >&2; exit 2 ;;
esac

# Why it cannot run here: skipped, but in CI a failure.
missing() {
  echo "booted.sh: $1" >&2
  if [ "${CI-}" = true ]; then exit 1; else exit 77; fi
}
[ "$(id -u)" = 0 ] || missing "needs root"
for program in systemd-nspawn mmdebstrap dpkg-buildpackage dh; do
  command -v $program >/dev/null || missing "there is no $program: ./packaging/install-deps.sh --booted"
done

# In a mount namespace of its own: all that is mounted from here on goes with the last process in it.
if [ -z "${NATSESSION_BOOTED-}" ]; then
  export NATSESSION_BOOTED=yes
  exec unshare --mount --propagation private "$0" "$@"
fi

# So with the names of network namespaces, and with what systemd-nspawn notes.
mkdir -p /run/netns /run/systemd
mount -t tmpfs natlab-booted /run/netns
mount -t tmpfs natlab-booted /run/systemd

begun=$SECONDS
step() { echo "# $((SECONDS - begun)) s: $1"; }

# Its name says whose it is. Who removes it from outside takes the mount away under this run, although it looks empty there.
work=$(mktemp -d "/tmp/natlab-booted.$$.XXXXXX")
cgroup=''
clean_up() {
  if [ -n "$cgroup" ]; then
    echo $$ >"$(dirname "$cgroup")/cgroup.procs"
    echo 1 >"$cgroup/cgroup.kill" # a machine whose systemd-nspawn was killed
    until grep -qx "populated 0" "$cgroup/cgroup.events"; do sleep 0.1; done
    find "$cgroup" -depth -type d -exec rmdir {} + || true
  fi
  umount --recursive --lazy "$work" || true
  rmdir "$work" || true
}
trap clean_up EXIT
mount -t tmpfs -o mode=700,size=2G natlab-booted "$work"

if [ -z "$deb" ]; then
  programs=$(dirname "$(realpath "${NATSESSION:-build/release/daemon/natsessiond}")")
  ./packaging/build-deb.sh --programs "$programs" --to "$work/deb" >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
  deb=$(echo "$work"/deb/natsessiond_*.deb)
  step "packaged $(basename "$deb")"
fi

# The same program as another version: the one before, and the one behind.
repack() {
  dpkg-deb --raw-extract "$deb" "$work/repacked"
  sed -i "s/^Version: .*/Version: $1/" "$work/repacked/DEBIAN/control"
  dpkg-deb --root-owner-group --build "$work/repacked" "$work/packages/natsessiond_$1.deb" >/dev/null
  rm -r "$work/repacked"
}
mkdir "$work/packages"
cp "$deb" "$work/packages/natsessiond.deb"
cp "${deb/natsessiond_/natsession-console_}" "$work/packages/natsession-console.deb"
repack 0.0.1-1
repack 99.0-1

# What the package depends on waits in apt's folder, so that apt installs it in the machine, which has no way out.
# shellcheck disable=SC2016 # the hooks' own $1
if ! mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus,iproute2,logrotate,libcurl4 --skip=cleanup/apt \
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/natsessiond/*' \
  --customize-hook="copy-in $work/packages /var/tmp" \
  --customize-hook='chroot "$1" apt-get -qq --option APT::Install-Recommends=true install --yes --download-only /var/tmp/packages/natsessiond.deb /var/tmp/packages/natsession-console.deb curl' \
  --customize-hook='rm -f "$1/etc/machine-id" "$1/etc/hostname"; touch "$1/etc/machine-id"; echo nat-box >"$1/etc/hostname"' \
  bookworm "$work/tree" >"$work/tree.log" 2>&1; then
  cat "$work/tree.log"
  exit 1
fi
step "made a Debian of $(du -sm "$work/tree" | cut -f1) MB"

# Where the host mixes cgroup v1 and v2, systemd would boot with v1: it sees v2 alone, from a group of its own on.
hierarchy=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
if [ -z "$hierarchy" ]; then
  hierarchy=$work/cgroup
  mkdir "$hierarchy"
  mount -t cgroup2 none "$hierarchy"
fi
cgroup=$hierarchy/natlab-booted-$$
mkdir "$cgroup"
echo $$ >"$cgroup/cgroup.procs"
mkdir "$work/v2"
mount -t cgroup2 none "$work/v2"
cgroup=$work/v2${cgroup#"$hierarchy"}
umount --recursive /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup

export NATSESSION_FLOOD="${NATSESSION_FLOOD:-build/release/tests/bench/flood}"
PYTHONDONTWRITEBYTECODE=1 python3 tests/lab/booted.py "$work/tree" "$work"
step "all done"
