#!/bin/bash
. "$(dirname "$0")/../rig.sh"

topology_up 1 none
pki_make
(umask 077 && "$ADITCTL" new-token >"$RIG_DIR/new-token" && awk '/^token / {print $2}' "$RIG_DIR/new-token" >"$RIG_DIR/token")
sed "s#@WRK@#$(sed -n 's/^token_hash = "\(.*\)"/\1/p' "$RIG_DIR/new-token")#; s#@RIG_DIR@#$RIG_DIR#" \
  "$ADIT_SCENARIO/aditd.toml" >"$RIG_DIR/aditd.toml"
chmod 600 "$RIG_DIR/aditd.toml"

# Alone in its namespace: nothing leaves its loopback interface.
loaded() {
  WRK_TOKEN_FILE=$RIG_DIR/token in_ns h "$ADIT_BENCH" api-load --config "$RIG_DIR/aditd.toml" --sessions 10000 --seconds 2 --rounds 3 -- \
    wrk --threads 1 --connections 8 --duration 2s --script "$ADIT_SCENARIO/wrk.lua" https://127.0.0.1:8443 >"$RIG_DIR/report"
}
hold "10 000 sessions are asked about, and no packet is lost beside that" loaded
report() { jq -r "$1" "$RIG_DIR/report"; }
cat "$RIG_DIR/report"
hold "all of them are there" answers 10000 report .sessions
hold "every request was answered, and as it should be" answers "0 0" report '"\(.errors) \(.not_2xx)"'
hold "there were many" answers true report '.requests > 300 and .questions >= 0.7 * .requests'
hold "packets went on in each spell" answers true report '.quiet_pps > 0 and .loaded_pps > 0 and .ratio > 0'
