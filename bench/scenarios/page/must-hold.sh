#!/bin/bash
. "$(dirname "$0")/../rig.sh"
. "$(dirname "$0")/../boxes.sh"

topology_up 2 none
pki_make
token() { "$ADITCTL" new-token; }
hash() { sed -n 's/^token_hash = "\(.*\)"/\1/p' <<<"$1"; }
VIEWER=$(token) BOSS=$(token)
mkdir -p "$RIG_DIR/conf" "$RIG_DIR/screenshots"
sed "s#@VIEWER@#$(hash "$VIEWER")#; s#@BOSS@#$(hash "$BOSS")#" "$ADIT_SCENARIO/aditd.toml" >"$RIG_DIR/conf/aditd.toml"
VIEWER=$(awk '/^token / {print $2}' <<<"$VIEWER") BOSS=$(awk '/^token / {print $2}' <<<"$BOSS")
headend_start "$RIG_DIR/conf/aditd.toml"
MODULES=$("$SCENARIOS/../../deploy/install-playwright.sh")

# By the Unix socket, as behind `ssh -L 8443:/run/adit/aditd.sock`.
local_ask() { curl -sS -m 5 -o "$RIG_DIR/body" -w '%{http_code}' --unix-socket "$RIG_DIR/h/aditd.sock" "$@"; }
hold "by the Unix socket the page is there" eval '[ "$(local_ask http://localhost:8443/)" = 200 ] && grep -q /page/app.js "$RIG_DIR/body"'
hold "for whoever asks for this host, and by no other name" answers 421 local_ask http://evil.example:8443/
hold "another site's page may not have anything changed by it" answers 403 local_ask -X DELETE -H 'Origin: http://evil.example' http://localhost:8443/v1/sessions/s1

hold "a client in Cisco's manner logs in by cTCP" adit_client c1 --group riggroup --transport ctcp --legacy
# The same by NAT-T, as a user with another name.
hostile() {
  mkdir -p "$RIG_DIR/c2"
  (umask 077 && echo rig-psk-secret >"$RIG_DIR/c2/secret" && echo alice-pass >"$RIG_DIR/c2/password")
  ip netns exec "$RIG-c2" "$ADIT_BENCH" client --server "$HEADEND4" --secret-file "$RIG_DIR/c2/secret" --user '<img src=x onerror=alert(1)>' \
    --password-file "$RIG_DIR/c2/password" --socket "$RIG_DIR/c2/client.sock" --group riggroup >"$RIG_DIR/c2/client.json" 2>"$RIG_DIR/c2/client.log" &
  echo $! >"$RIG_DIR/c2/client.pid"
  until_true 20 adit_client_up_or_ended c2 && test -s "$RIG_DIR/c2/client.json"
}
hold "and one whose name is a piece of HTML" hostile
in_ns s iperf3 -s -B "$SERVER4" -p 5201 >"$RIG_DIR/iperf.server" 2>&1 &
until_true 10 listens s 5201
# Traffic both ways, until the firewall ends it.
in_ns c1 iperf3 -c "$SERVER4" -p 5201 -t 120 -b 1M --bidir >"$RIG_DIR/iperf.client" 2>&1 &

# The browser believes our certificate by its key alone, and nobody else's. The script touches "looks" when the firewall is to wait.
PIN=$(openssl x509 -in "$RIG_DIR/pki/headend.crt" -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64)
URL=https://$HEADEND4:8443 PIN=$PIN VIEWER=$VIEWER BOSS=$BOSS MODULES=$MODULES FOLDER=$RIG_DIR SERVER=$SERVER4:5201 HOME=$RIG_DIR/browser \
  ip netns exec "$RIG-r" timeout 150 node "$ADIT_SCENARIO/look.mjs" 2>&1 &
BROWSER=$!
until_true 90 test -e "$RIG_DIR/looks" -o ! -d "/proc/$BROWSER"
firewall_waits
CODE=0
wait "$BROWSER" || CODE=$?
# The runner keeps a run's folder if it has failed. What was seen is worth a look in any case.
KEPT=$SCENARIOS/../../.logs/page
rm -rf "$KEPT" && mkdir -p "${KEPT%/page}" && cp -r "$RIG_DIR/screenshots" "$KEPT"
[ "$CODE" -eq 0 ] || { [ -e "$RIG_DIR/reason" ] || echo "the browser's script ended with $CODE" >"$RIG_DIR/reason"; exit 1; }
hold "no token is in the log" not grep -E "adit_[0-9a-f]{16}" "$RIG_DIR/h/aditd.log"
hold "the logins are" says "$RIG_DIR/h/aditd.log" "somebody has signed in at the page" 3
end_process KILL "$(cat "$RIG_DIR/c1/client.pid")" || true
end_process KILL "$(cat "$RIG_DIR/c2/client.pid")" || true
hold "the headend ends as it should" headend_stop
