#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
client_start c1
hold "the client logs in" connect c1 net

# What aditd dropped and why, except what the kernel says into the tunnel on its own (router solicitations).
tunnel_drops() { ctl drops --json | jq -r '.[] | select(.total > 0 and .name != "no_route") | "\(.name): \(.total)"'; }

payload 120 >/dev/null
transfers c1 s "$SERVER4" 120 90 12 >"$RIG_DIR/up" 2>&1 &
up=$!
transfers s c1 "$(virtual_ip c1 4)" 120 90 12 >"$RIG_DIR/down" 2>&1 &
down=$!
# rekey_both ROUND SECONDS: first the child SA, then the IKE SA, each followed by a pause.
rekey_both() {
  local child ike
  child=$(child_number)
  hold "child rekey $1 begins" strongswan_ctl c1 --rekey --child net
  hold "child rekey $1 completes" within 10 other "$child" child_number
  sleep "$2" # the pace of the rekeys
  ike=$(ike_number)
  hold "IKE rekey $1 begins" strongswan_ctl c1 --rekey --ike adit
  hold "IKE rekey $1 completes" within 10 other "$ike" ike_number
  sleep "$2"
}
for round in 1 2 3 4; do rekey_both "$round" 1; done
ended() { wait "$1" || { cat "$2"; return 1; }; }
hold "every octet arrived unchanged from client to server" ended "$up" "$RIG_DIR/up"
hold "every octet arrived unchanged from server to client" ended "$down" "$RIG_DIR/down"

# Under load the client's own socket may overflow; on a quiet line whatever is lost was lost by a rekey.
pings_start c1 "$SERVER4" 0.01
for round in 5 6 7 8; do rekey_both "$round" 0.5; done
pings=$(pings_end c1)
hold "no ping was lost" is "${pings%% *} sent, 0 lost" "$pings"
hold "pings were sent all the while" pings_steady c1 "${pings%% *}"
hold_of_adit "the headend dropped nothing" answers "" tunnel_drops
hold "the client holds one IKE SA and one SA pair" within 20 answers "1 1" sas_of c1
hold "the headend holds one session and one SA pair" within 20 answers "1 sessions, 1 SAs" service
hold "the inner server still answers" reaches c1 "$SERVER4"
hold "the client logs out" disconnect c1 adit
hold "nothing is left" within 5 nothing_left
