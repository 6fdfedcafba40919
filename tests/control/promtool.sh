#!/bin/sh
# What promtool says of the metrics, the alert rules and their tests. $1: the folder of the tests, $2: packaging.
# In CI it must be there.
if ! command -v promtool >/dev/null; then
    echo 'promtool is not installed: the metrics and alerts are not checked; ./packaging/install-deps.sh --tests'
    [ "${CI-}" = true ] && exit 1
    exit 77
fi
status=0
# "check metrics" exits with 3 where a convention is not kept, "check rules" tells it on its output.
promtool check metrics <"$1/golden/metrics.txt" || status=1
promtool check rules "$2/prometheus/natsessiond.rules.yml" || status=1
promtool test rules "$1/alerts_test.yml" || status=1

# The dashboard's queries, as rules: only so does promtool look at them. Grafana's own variables get a value.
rules=$(mktemp) || exit 1
trap 'rm -f "$rules"' EXIT
python3 - "$2/grafana/natsessiond.json" >"$rules" <<'END' || status=1
import json, sys
queries = [target["expr"] for panel in json.load(open(sys.argv[1]))["panels"] for target in panel.get("targets", [])]
queries = [query.replace("$__rate_interval", "5m").replace("$instance", ".*") for query in queries]
rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, sys.stdout)
END
promtool check rules "$rules" || status=1
exit $status
