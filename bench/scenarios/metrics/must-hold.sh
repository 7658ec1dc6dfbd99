#!/bin/bash
. "$(dirname "$0")/../rig.sh"
. "$(dirname "$0")/../boxes.sh"

DEPLOY=$SCENARIOS/../../deploy
topology_up 1 none
capture
pki_make
TOKEN=$("$ADITCTL" new-token)
mkdir -p "$RIG_DIR/prometheus"
sed "s#@TOKEN_HASH@#$(sed -n 's/^token_hash = "\(.*\)"/\1/p' <<<"$TOKEN")#" "$ADIT_SCENARIO/aditd.toml" >"$RIG_DIR/prometheus/aditd.toml"
(umask 077 && awk '/^token / {printf "%s", $2}' <<<"$TOKEN" >"$RIG_DIR/prometheus/adit.token")
headend_start "$RIG_DIR/prometheus/aditd.toml"

hold "promtool finds nothing wrong with the rules" promtool check rules "$DEPLOY/prometheus/adit.rules.yml"
hold "and they tell what they say they do" promtool test rules "$ADIT_SCENARIO/rules.test.yml"
hold "users' own addresses neither raise the alerts of a pool nor hide that it is full" promtool test rules "$ADIT_SCENARIO/pools.test.yml"
# The documented scrape, only sooner and with this headend; the rules without the time that they wait for.
sed 's/15s/1s/; s/vpn.example.org:8443/'"$HEADEND4"':8443/' "$DEPLOY/prometheus/prometheus.yml" >"$RIG_DIR/prometheus/prometheus.yml"
sed '/^ *for:/d' "$DEPLOY/prometheus/adit.rules.yml" >"$RIG_DIR/prometheus/adit.rules.yml"
cp "$RIG_DIR/pki/ca.crt" "$RIG_DIR/prometheus/ca.pem"
hold "nor with the scrape" promtool check config "$RIG_DIR/prometheus/prometheus.yml"
ip netns exec "$RIG-r" prometheus --config.file="$RIG_DIR/prometheus/prometheus.yml" --storage.tsdb.path="$RIG_DIR/prometheus/data" \
  --web.listen-address=127.0.0.1:9090 >"$RIG_DIR/prometheus/log" 2>&1 &
PROMETHEUS=$!
trap 'kill -KILL "$PROMETHEUS" 2>/dev/null || true' EXIT
ask() { in_ns r curl -sS -m 5 -G "http://127.0.0.1:9090/api/v1/$1" "${@:2}"; }
# value QUERY: of its only series.
value() { ask query --data-urlencode "query=$1" | jq -r '.data.result[0].value[1] // "none"'; }
firing() { ask alerts | jq -r '[.data.alerts[] | select(.state == "firing") | .labels.alertname] | unique | join(" ")'; }

hold "Prometheus scrapes the headend" within 20 answers 1 value 'up{job="adit"}'
hold "nobody is logged in" answers 0 value 'adit_sessions{state="up"}'
hold "the certificate that ends within 30 days is told, and nothing else" within 10 answers AditCertificateExpires firing

hold "a client in Cisco's manner logs in by cTCP" adit_client c1 --group riggroup --transport ctcp --legacy
hold "the inner server answers" reaches c1 "$SERVER4"
hold "its session is counted" within 5 answers 1 value 'adit_sessions{state="up"}'
hold "its login, too" answers 1 value adit_logins_total
hold "the pool is full, and that is told" within 10 answers "AditCertificateExpires AditPoolFull" firing
hold "by its name" answers small eval "ask alerts | jq -r '.data.alerts[] | select(.labels.alertname == \"AditPoolFull\") | .labels.pool'"
firewall_waits
hold "a firewall lets nothing of its data pass" not reaches_somehow c1 "$SERVER4"
stalls() { says <(firing) AditStalls; }
hold "the stall is told" within 30 stalls
hold "its session is ended" within 10 answers "0 sessions, 0 SAs" service
hold "nobody has the address, but it is held" within 5 answers "0 1" eval 'echo "$(value adit_pool_addresses_in_use) $(value adit_pool_addresses_held)"'
hold "so the pool is not full any more" within 5 answers "AditCertificateExpires AditStalls" firing

# What the rules and the dashboard name is there.
named() { grep -ohE 'adit_[a-z_]+' "$DEPLOY/prometheus/adit.rules.yml" "$DEPLOY/grafana/adit.json" | sort -u; }
there() { ask label/__name__/values | jq -r '.data[]' | sort -u; }
all_there() { comm -23 <(named) <(there) >"$RIG_DIR/missing" && [ ! -s "$RIG_DIR/missing" ] || { echo "got: no $(tr '\n' ' ' <"$RIG_DIR/missing")"; return 1; }; }
hold "every metric that the rules and the dashboard name is there" all_there
queries() {
  local query answer all number
  # Whatever jq cannot read is no query that was asked.
  all=$(jq -er '.panels[].targets[].expr' "$DEPLOY/grafana/adit.json") || return 1
  number=$(wc -l <<<"$all")
  [ "$number" -ge 12 ] || { echo "got: $number queries"; return 1; }
  while read -r query; do
    answer=$(ask query --data-urlencode "query=${query//\$instance/.*}" | jq -r '.status')
    [ "$answer" = success ] || { echo "got: $answer for $query"; return 1; }
  done <<<"$all"
}
hold "every query of the dashboard is one" queries
# Without it Grafana takes each bucket for a series of its own, and its bounds for names.
heatmaps() { jq -c '[.panels[] | select(.type == "heatmap") | [.options.yAxis.unit, .targets[].format]]' "$DEPLOY/grafana/adit.json"; }
hold "what the dashboard draws as buckets are buckets, in seconds" answers '[["s","heatmap"]]' heatmaps
hold "turns were timed" test "$(value 'adit_worker_burst_seconds_count{worker="0"}')" -gt 10
hold "no scrape failed" answers 1 value 'min_over_time(up{job="adit"}[1m])'
end_process KILL "$(cat "$RIG_DIR/c1/client.pid")" || true
hold "Prometheus ends" end_process TERM "$PROMETHEUS"
hold "the headend ends as it should" headend_stop
