#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
client_start c1
hold "the client logs in" connect c1 net

# What aditd dropped and why, except what the kernel says into the tunnel on its own (router solicitations).
tunnel_drops() { ctl drops --json | jq -r '.[] | select(.total > 0 and .name != "no_route") | "\(.name): \(.total)"'; }
ended() { wait "$1" || { cat "$2"; return 1; }; }

payload 170 >/dev/null
transfers c1 s "$SERVER4" 170 90 12 >"$RIG_DIR/up" 2>&1 &
up=$!
transfers s c1 "$(virtual_ip c1 4)" 170 90 12 >"$RIG_DIR/down" 2>&1 &
down=$!
# The headend's timers (3 s for the child SA, 5 s for the IKE SA) rekey by themselves; the client does so when it is told to,
# each time soon after the headend's. Sleeps are the pace of the rekeys.
for round in 1 2 3 4; do
  sleep 3.3
  hold "the client begins to rekey the child SA, $round" strongswan_ctl c1 --rekey --child net
  [ "$round" -ne 1 ] || hold "the client begins to rekey the IKE SA" strongswan_ctl c1 --rekey --ike adit
done
hold "every octet arrived unchanged from client to server" ended "$up" "$RIG_DIR/up"
hold "every octet arrived unchanged from server to client" ended "$down" "$RIG_DIR/down"
hold_of_adit "the headend dropped nothing" answers "" tunnel_drops
for what in child IKE; do
  hold_of_adit "the headend has rekeyed the $what SA" says "$(headend_log)" "$what SA rekeyed.*by=\"us\""
  hold_of_adit "the client has rekeyed the $what SA" says "$(headend_log)" "$what SA rekeyed.*by=\"the peer\""
done
hold "the client holds one IKE SA and one SA pair" within 20 answers "1 1" sas_of c1
hold "the headend holds one session and one SA pair" within 20 answers "1 sessions, 1 SAs" service
hold "the inner server still answers" reaches c1 "$SERVER4"
hold "the client logs out" disconnect c1 adit
hold "nothing is left" within 5 nothing_left
