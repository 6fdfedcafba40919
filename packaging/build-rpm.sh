#!/usr/bin/env bash
# build-rpm.sh: builds the .rpm of this tree, for RHEL 9, Fedora and openSUSE. Result, in build/packages:
# natsessiond-VERSION-RELEASE.x86_64.rpm, and the .src.rpm from which those build their own.
#   build-rpm.sh            without its tests: tests/run.sh is for that
#   build-rpm.sh --check    and the unit tests run on what was built; what it asks of a machine is held to what these have,
#                           rpmlint reads it, and it is installed, upgraded and removed in a tree of its own (as root)
#   build-rpm.sh --twice    and it is built a second time, as somebody else would: in another folder, with another umask, time
#                           zone, locale and number of jobs. Both, and both source packages, must be the same byte for byte
#   build-rpm.sh --help     this text
# Needs Debian 12; as root it installs what is missing. What is built is what git has of this tree, with changes that are
# not committed.
set -euo pipefail
cd "$(dirname "$0")/.."

check='' twice=''
for option; do
  case $option in
    --check) check=yes ;;
    --twice) twice=yes ;;
    --help | -h) sed -n '2,11s/^# //p' packaging/build-rpm.sh; exit 0 ;;
    *) echo "build-rpm.sh: unknown option '$option'; see build-rpm.sh --help" >&2; exit 2 ;;
  esac
done
wanted=(--rpm)
[ -z "$check" ] || wanted+=(--tests)
./packaging/install-deps.sh "${wanted[@]}"

tree=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p build/packages
spec=packaging/rpm/natsessiond.spec
version=$(rpmspec --query --srpm --queryformat '%{version}' --define "_sourcedir $tree/packaging/systemd" \
  --load packaging/rpm/debian.macros "$spec")
changed=$(date --utc --date="$(sed -n 's/^\* \(.* [0-9]\{4\}\) .*/\1/p' "$spec" | head -n 1)" +%s)
# sources FOLDER: what rpmbuild is given, in FOLDER/SOURCES and FOLDER/SPECS.
sources() {
  mkdir -p "$1/SOURCES" "$1/SPECS"
  git ls-files -z | tar --create --use-compress-program='gzip -n' --null --files-from=- --transform="s,^,natsessiond-$version/," \
    --sort=name --mode=u=rwX,go=rX --mtime="@$changed" --owner=0 --group=0 --numeric-owner \
    --file="$1/SOURCES/natsessiond-$version.tar.gz"
  chmod 0644 "$1/SOURCES/natsessiond-$version.tar.gz"
  install -m 0644 packaging/systemd/natsessiond.sysusers packaging/systemd/natsession-console.sysusers "$1/SOURCES/"
  install -m 0644 "$spec" "$1/SPECS/"
  touch --date="@$changed" "$1"/SOURCES/* "$1"/SPECS/*
}
# rpm_build FOLDER TOPDIR ARGUMENTS..., in FOLDER; it knows nothing of Debian's packages: --nodeps.
log=$tree/build/packages/build-rpm.log
rpm_build() {
  if ! (cd "$1" && rpmbuild --nodeps --with portable --load "$tree/packaging/rpm/debian.macros" --define "_topdir $2" \
    "${@:3}" SPECS/natsessiond.spec) >>"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "build-rpm.sh: failed; all it said is in $log" >&2
    exit 1
  fi
}
# source_package FOLDER: rpm keeps in it how the macros of the specification are expanded, so they know neither FOLDER nor how many
# jobs there are.
source_package() {
  rpm_build "$1" . -bs --define "_smp_mflags %{nil}"
}
# binary_package FOLDER ARGUMENTS...
binary_package() {
  rpm_build "$1" "$1" -bb --define "_smp_mflags -j${JOBS:-$(nproc)}" "${@:2}"
}
: >"$log"
started=$SECONDS
echo "building natsessiond $version"
options=()
[ -n "$check" ] || options+=(--without tests)
sources "$work"
source_package "$work"
binary_package "$work" --noclean "${options[@]}"
cp "$work"/RPMS/*/*.rpm "$work"/SRPMS/*.rpm build/packages/
package=$(echo "$work"/RPMS/*/natsessiond-"$version"-*.rpm)
console=$(echo "$work"/RPMS/*/natsession-console-"$version"-*.rpm)
for made in "$work"/RPMS/*/*.rpm "$work"/SRPMS/*.rpm; do
  echo "built in $((SECONDS - started)) s: build/packages/$(basename "$made")"
done

if [ -n "$twice" ]; then
  begun=$SECONDS
  (
    umask 0077
    export TZ=Pacific/Chatham LC_ALL=C.UTF-8 LANG=C.UTF-8 HOME=/nonexistent USER=somebody JOBS=1
    sources "$work/quite/elsewhere"
    source_package "$work/quite/elsewhere"
    binary_package "$work/quite/elsewhere" --nocheck "${options[@]}"
  )
  for made in "$work"/RPMS/*/*.rpm "$work"/SRPMS/*.rpm; do
    cmp "$made" "$work/quite/elsewhere/${made#"$work/"}"
  done
  echo "built again in $((SECONDS - begun)) s: the same byte for byte"
  rm -r "$work/quite"
fi
[ -n "$check" ] || exit 0

python3 tests/packaging/portable.py "$package" "$console"
rpmlint --config packaging/rpm/rpmlint.toml "$spec" "$package" "$console" "$work"/SRPMS/*.rpm
# The next release, from what is compiled, with another default configuration.
mkdir "$work/next"
sed --in-place 's/^Release:.*/Release: 2/' "$work/SPECS/natsessiond.spec"
echo "# Of the next release." >>"$work/BUILD/natsessiond-$version/packaging/etc/natsessiond.toml"
binary_package "$work" --noprep --nocheck --define "_rpmdir $work/next"
tests/packaging/rpm_root.sh "$package" "$work"/next/*/natsessiond-"$version"-*.rpm "$console"
