#!/usr/bin/env bash
# rpm_root.sh PACKAGE.rpm NEWER.rpm CONSOLE.rpm: installs, upgrades and removes natsessiond with `rpm --root` in a tree of its own, and
# looks at what each leaves; then the console. NEWER is of the same version and a higher release, with another default configuration.
# The tree is a minimal Debian with the libraries that the package asks of a machine, and no others: scriptlets need a shell
# and useradd, and the programs are to run. Debian's packages are unknown to rpm there, hence --nodeps: what the package
# requires is what portable.py looks at.
set -euo pipefail

package=$1
newer=$2
console=$3
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

fail() { echo "rpm_root.sh: $*" >&2; exit 1; }
in_root() { rpm --root "$root" --dbpath /var/lib/rpm "$@"; }
# What is there but rpm's own and the files of users, which stay as a log's owner does.
paths() {
  (cd "$root" && find . -path ./var/lib/rpm -prune -o -path ./proc -prune -o -print) |
    grep -vE '^\./etc/(passwd|group|shadow|gshadow|subuid|subgid|\.pwd\.lock)-?$' | sort
}
# expect_left TITLE PATH...: beside what was there before the package, these and nothing else.
expect_left() {
  local title=$1 left
  shift
  left=$(comm -13 "$root.before" <(paths))
  [ "$left" = "$(printf '%s\n' "$@" | sort)" ] || fail "$title left: $left"
}

mmdebstrap --quiet --variant=minbase \
  --include=systemd,libcap2,libmicrohttpd12,libmnl0,libseccomp2,libssl3,libzstd1,tzdata,zlib1g \
  bookworm "$root" 2>/dev/null || fail "mmdebstrap made no tree"
trap 'rm -rf "$root" "$root.before"' EXIT
mkdir -p "$root/var/lib/rpm" "$root/usr/share/licenses" # which a distribution of rpm's has
paths >"$root.before"
config=$root/etc/natsessiond/natsessiond.toml

said=$(in_root --nodeps --install "$package" 2>&1)
[[ $said == *"nf_conntrack_acct"* && $said != *warning* && $said != *rror* ]] || fail "the installation says: $said"
[ "$(chroot "$root" stat --format='%U:%G %a' /var/lib/natsessiond)" = "natsession:natsession 2750" ] ||
  fail "/var/lib/natsessiond is not the daemon's"
version=$(rpm -qp --queryformat '%{version}' "$package")
for program in natsessiond natsessionctl; do
  [[ $(chroot "$root" $program --version) == *"$version"* ]] || fail "$program --version does not run, or is not $version"
done
chroot "$root" natsessiond --config /etc/natsessiond/natsessiond.toml --print-config >/dev/null || fail "the configuration is refused"
in_root --verify --nodeps natsessiond || fail "rpm --verify finds that"

# What a machine has by then.
echo 'window = "5m"' >>"$config"
mkdir "$root/var/lib/natsessiond/ledger"
echo evidence >"$root/var/lib/natsessiond/ledger/segment"

said=$(in_root --nodeps --upgrade "$newer" 2>&1)
[[ $said == *natsessiond.toml.rpmnew* && $said != *nf_conntrack_acct* ]] || fail "the upgrade says: $said"
[ "$(in_root -q natsessiond)" = "$(rpm -qp "$newer")" ] || fail "after the upgrade: $(in_root -q natsessiond)"
grep -qx 'window = "5m"' "$config" || fail "the upgrade took the configuration"
[ "$(cat "$root/var/lib/natsessiond/ledger/segment")" = evidence ] || fail "the upgrade took the log"
if in_root --nodeps --upgrade "$package" 2>/dev/null; then fail "an older package was installed without --oldpackage"; fi

said=$(in_root --erase natsessiond 2>&1)
[[ $said == *natsessiond.toml.rpmsave* ]] || fail "the removal says: $said"
expect_left "the removal" ./etc/natsessiond ./etc/natsessiond/natsessiond.toml.rpmnew \
  ./etc/natsessiond/natsessiond.toml.rpmsave ./var/lib/natsessiond ./var/lib/natsessiond/ledger \
  ./var/lib/natsessiond/ledger/segment
grep -qx 'window = "5m"' "$config.rpmsave" || fail "the saved configuration is another"

# Of one that nobody changed nothing stays.
rm -r "$root/etc/natsessiond" "$root/var/lib/natsessiond"
in_root --nodeps --install "$newer" >/dev/null
in_root --erase natsessiond
expect_left "the removal of an unused one" ""

# The console alone, as beside ledgers that are mounted.
in_root --nodeps --install "$console" >/dev/null
[ "$(chroot "$root" id -nG natsession-console)" = "natsession-console natsession" ] || fail "the console's user is in other groups"
[[ $(chroot "$root" natsession-console --version) == *"$version"* ]] || fail "natsession-console --version does not run, or is not $version"
in_root --verify --nodeps natsession-console || fail "rpm --verify finds that of the console"
in_root --erase natsession-console
expect_left "the removal of the console" ""

echo "rpm_root.sh: installed, upgraded, removed: the log and the changed configuration stay"
