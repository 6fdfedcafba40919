#!/usr/bin/env bash
# Holds the direction of dependencies: a folder of lib/ includes only folders below it, and outside libraries are
# included only where they belong. Usage: check-layers.sh PROJECT
set -u
cd "$1" || exit 2
failed=0

# allow FOLDER BELOW...: what each folder may include, itself aside.
allow() {
  local folder=$1
  shift
  local allowed=" $folder $* " from
  while IFS=: read -r file include; do
    from=${include%%/*}
    if [[ $allowed != *" $from "* ]]; then
      echo "back edge: $file includes \"$include\": $folder may include only: ${*:-nothing}"
      failed=1
    fi
  done < <(grep -rHoP '^\s*#\s*include\s+"\K[a-z_]+/[^"]+' "lib/$folder" 2>/dev/null)
}
allow base
allow net base
allow http base net
allow routes base net
allow nflog base net
allow record base net
allow flow base net record
allow session base net record
allow conntrack base net record session
allow ledger base net record
allow identity base net routes ledger  # of the ledger its files' means: checksums, slots, names opened with care
allow query base net record flow ledger identity
allow sink base net record flow
allow delivery base net record ledger sink
allow control base net http record flow session ledger delivery identity  # of delivery, session and identity the reports
allow config base net record flow session sink identity

# below FOLDER BELOW...: the same for the folders of lib/sink. What stands in lib/sink itself (the interface, a URL) all may
# include, but for the table of sinks, which includes all of them.
below() {
  local folder=$1
  shift
  local allowed=" $folder $* " from
  while IFS=: read -r file include; do
    from=$(cut -d/ -f2 <<<"$include")
    if [[ $from == registry.h || ($from != *.h && $allowed != *" $from "*) ]]; then
      echo "back edge: $file includes \"$include\": sink/$folder may include of lib/sink's folders only: ${*:-none}"
      failed=1
    fi
  done < <(grep -rHoP '^\s*#\s*include\s+"\Ksink/[^"]+' "lib/sink/$folder" 2>/dev/null)
}
below encoding
below transport
below http encoding transport
below blocks
below flow
below pseudonyms encoding
below local encoding transport
below syslog transport
below ipfix transport
below clickhouse http
below cloud encoding http
below collector encoding http
below kafka encoding transport
for folder in lib/sink/*/; do
  folder=$(basename "$folder")
  grep -q "^below $folder\b" "$0" || { echo "lib/sink/$folder has no line in $0"; failed=1; }
done

# The same for the console's folders; what stands in console itself may include all of them.
inside() {
  local folder=$1
  shift
  local allowed=" $folder $* " from
  while IFS=: read -r file include; do
    from=${include%%/*}
    [[ -d console/$from && $allowed != *" $from "* ]] || continue
    echo "back edge: $file includes \"$include\": console/$folder may include of the console's folders only: ${*:-none}"
    failed=1
  done < <(grep -rHoP '^\s*#\s*include\s+"\K[a-z_]+/[^"]+' "console/$folder" 2>/dev/null)
}
inside access
inside ask
inside pages
inside audit access
inside api access ask audit

# only HEADER-PATTERN FOLDER...: where an outside library may be included.
only() {
  local pattern=$1 file ok folder
  shift
  while IFS= read -r file; do
    ok=0
    for folder in "$@"; do [[ $file == "$folder"/* ]] && ok=1; done
    if [[ $ok == 0 ]]; then
      echo "misplaced library: $file includes <$pattern…>, which belongs to: $*"
      failed=1
    fi
  done < <(grep -rlP "^\s*#\s*include\s+<$pattern" lib daemon console 2>/dev/null)
}
only 'libmnl/' lib/conntrack lib/identity lib/nflog lib/routes
only 'libnetfilter_conntrack/' lib/conntrack
only 'linux/netfilter' lib/conntrack lib/nflog
only 'toml\+\+' lib/config
only 'CLI/' daemon/ctl console
only 'crypt\.h' console/access
only 'zstd' lib/sink lib/ledger lib/identity
only 'zlib' lib/sink
only 'lz4' lib/sink
only 'xxhash' lib/record lib/session lib/ledger lib/sink
only 'seccomp\.h' daemon
only 'microhttpd' lib/http
only 'nlohmann' lib/control lib/identity lib/sink daemon/ctl console
only 'curl/' lib/sink
only 'librdkafka/' lib/sink
only 'sqlite3' lib/query
only 'cctz/' lib/query
only 'csv\.h' daemon/ctl/ask
only 'openssl/' lib/sink

while IFS= read -r file; do
  echo "lib/ does not know the daemon: $file"
  failed=1
done < <(grep -rlP '^\s*#\s*include\s+"(collector_thread|messages|supervisor|kernel_setup)' lib)

# Two types of one name in one namespace are one to the linker, which takes the functions of either for both.
while IFS= read -r name; do
  echo "two types of one name: $name in $(grep -rlE "^(struct|class) $name\\b" lib --include='*.h' | xargs)"
  failed=1
done < <(grep -rhoP '^(struct|class) [A-Z][A-Za-z0-9]+(?!::) *(final)? *[:{](?!:)' lib --include='*.h' | awk '{print $2}' | tr -d ':{' | sort | uniq -d)

exit $failed
