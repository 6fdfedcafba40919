#!/usr/bin/env bash
# quickstart.sh: builds natsessiond and shows what it does.
#   quickstart.sh                    a NAT lab in network namespaces: a client, a NAT box and a server of its own, real
#                                    TCP, UDP and ICMP traffic over IPv4 and IPv6, and the session records
#   quickstart.sh --host [OPTION]... logs the NAT of this machine until Ctrl-C; OPTIONs go to natsessiond
#   quickstart.sh --help             this text
# Needs root and Debian 12. Installs what is missing to build (install-deps.sh). Leaves build/release and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."

mode=lab
case ${1-} in
  "") ;;
  --host) mode=host; shift ;;
  --help | -h) sed -n '2,7s/^# //p' packaging/quickstart.sh; exit 0 ;;
  *) echo "quickstart.sh: unknown option '$1'; there are --host and --help" >&2; exit 2 ;;
esac
if [ "$(id -u)" != 0 ]; then
  echo "quickstart.sh: needs root: network namespaces, nftables and conntrack are the kernel's" >&2
  exit 1
fi

packages=()
[ $mode = host ] || packages+=(--lab)
./packaging/install-deps.sh "${packages[@]}"

# The whole project is configured and only the program is built, so that a full build can follow in the same folder.
log=build/quickstart.log
mkdir -p build
started=$SECONDS
echo "building natsessiond"
if ! cmake --preset release >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
if [ -t 1 ]; then
  cmake --build --preset release --target natsessiond natsessionctl
elif ! cmake --build --preset release --target natsessiond natsessionctl >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
program=$PWD/build/release/daemon/natsessiond
echo "built in $((SECONDS - started)) s: build/release/daemon/natsessiond"

if [ $mode = host ]; then
  echo "natsessiond --check says of this machine:"
  "$program" "$@" --check || echo "(natsessiond --tune sets what is missing: ./packaging/quickstart.sh --host --tune)"
  echo "Logging this machine's NAT sessions until Ctrl-C."
  exec "$program" "$@"
fi
NATSESSION=$program PYTHONDONTWRITEBYTECODE=1 exec python3 tests/lab/demo.py
