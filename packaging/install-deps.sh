#!/usr/bin/env bash
# install-deps.sh [--lab] [--tests] [--packages] [--booted] [--kernels] [--networkd] [--rpm] [--cross]: installs the Debian packages that this
# project needs and that are not there yet.
#   (nothing)   what is needed to build
#   --lab       and what the network lab of quickstart.sh needs
#   --tests     and what the tests need
#   --packages  and what build-deb.sh needs
#   --booted    and what tests/lab/booted.sh needs
#   --kernels   and what tests/lab/kernels.sh needs
#   --networkd  and what tests/lab/networkd.sh needs
#   --rpm       and what build-rpm.sh needs, with --check as well
#   --cross     that alone which build-deb.sh --arch needs here: the rest is in its own tree
# Asks the network only when something is missing.
set -euo pipefail

build_packages=(cmake ninja-build g++ pkg-config libmnl-dev libnetfilter-conntrack-dev libfmt-dev catch2
  libcli11-dev libtomlplusplus-dev libxxhash-dev libcap-dev libseccomp-dev robin-map-dev libzstd-dev liblz4-dev zlib1g-dev
  libmicrohttpd-dev libssl-dev libcurl4-openssl-dev librdkafka-dev nlohmann-json3-dev libsqlite3-dev libcsv-dev
  libcctz-dev libcrypt-dev libjs-chart.js python3)
# The traffic of the lab is made by its own Python programs; conntrack looks at the kernel's table.
lab_packages=(nftables iproute2 conntrack python3)
# tcpdump: the second witness. systemd: for its systemd-journald. zstd: reads what was rotated. groff-base, mandoc: format
# the manual pages, and complain of different things. rsyslog, openssl: a real server for the syslog sinks. prometheus: its
# promtool checks the metrics. jq, sqlite3, nfdump: what query.sh compares answers with. nfdump, pmacct, libfixbuf-tools:
# collectors for the ipfix sinks. lz4: what the clouds' test services read is compared with. clickhouse-server: one of long
# ago for its sink and store; libzookeeper-java and a Java: what its replicas meet at. kcat: reads what the kafka sink wrote.
# clang: the sanitizers. chromium: the browser that looks at the console's pages. clang-format, clang-tidy: how sources look,
# and what they hide. tzdata: the zones that texts name. dnsmasq-base, kea, freeradius: servers that know who has an address,
# and their clients.
test_packages=(tcpdump systemd zstd groff-base mandoc shellcheck clang libclang-rt-14-dev clang-format-14 clang-tidy-14
  rsyslog rsyslog-openssl openssl prometheus jq sqlite3 nfdump pmacct lz4 clickhouse-server clickhouse-client kcat
  libfixbuf-tools curl tzdata chromium chromium-driver openjdk-17-jre-headless libzookeeper-java
  dnsmasq-base kea-dhcp4-server kea-dhcp6-server isc-dhcp-server isc-dhcp-client udhcpc freeradius freeradius-utils)

package_packages=(dpkg-dev debhelper systemd lintian openssl tzdata)
booted_packages=("${lab_packages[@]}" mmdebstrap systemd-container dpkg-dev debhelper)
kernel_packages=(qemu-system-x86 cpio kmod)
networkd_packages=("${lab_packages[@]}" debootstrap udhcpc)
# libabsl-dev: has cctz as an archive. mmdebstrap: the tree in which the package is tried.
rpm_packages=(rpm rpmlint cpio libabsl-dev mmdebstrap)
cross_packages=(dpkg-dev mmdebstrap qemu-user-static)

wanted=("${build_packages[@]}")
for argument; do
  case $argument in
    --lab) wanted+=("${lab_packages[@]}") ;;
    --tests) wanted+=("${lab_packages[@]}" "${test_packages[@]}") ;;
    --packages) wanted+=("${package_packages[@]}") ;;
    --booted) wanted+=("${booted_packages[@]}") ;;
    --kernels) wanted+=("${kernel_packages[@]}") ;;
    --networkd) wanted+=("${networkd_packages[@]}") ;;
    --rpm) wanted+=("${rpm_packages[@]}") ;;
    --cross) wanted=("${cross_packages[@]}") ;;
    --help | -h) sed -n '2,13s/^# //p' "$0"; exit 0 ;;
    *) echo "install-deps.sh: unknown option '$argument'; see install-deps.sh --help" >&2; exit 2 ;;
  esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "install-deps.sh: this is not Debian. Install what matches these Debian packages: ${wanted[*]}" >&2
  exit 1
fi

installed=$(dpkg-query --show --showformat='${db:Status-Abbrev} ${Package}\n' "${wanted[@]}" 2>/dev/null || true)
missing=()
for package in "${wanted[@]}"; do
  grep -qx "ii  $package" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
  echo "install-deps.sh: these packages are missing; as root: apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
apt() { apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" >>"$log" 2>&1; }
# An update that fails is no error yet: the lists that are there may do. Those of a moment ago do.
[ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' -mmin -15 2>/dev/null)" ] || apt update || true
if ! apt install -y --no-install-recommends "${missing[@]}"; then
  tail -n 20 "$log" >&2
  echo "install-deps.sh: could not install: ${missing[*]}" >&2
  exit 1
fi
