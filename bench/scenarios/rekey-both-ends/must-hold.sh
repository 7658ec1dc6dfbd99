#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
client_start c1
hold "the client logs in" connect c1 net

# What aditd dropped and why, except what the kernel says into the tunnel on its own (router solicitations).
tunnel_drops() { ctl drops --json | jq -r '.[] | select(.total > 0 and .name != "no_route") | "\(.name): \(.total)"'; }
ended() { wait "$1" || { cat "$2"; return 1; }; }

payload 200 >/dev/null
transfers c1 s "$SERVER4" 200 90 12 >"$RIG_DIR/up" 2>&1 &
up=$!
transfers s c1 "$(virtual_ip c1 4)" 200 90 12 >"$RIG_DIR/down" 2>&1 &
down=$!
hold "every octet arrived unchanged from client to server" ended "$up" "$RIG_DIR/up"
hold "every octet arrived unchanged from server to client" ended "$down" "$RIG_DIR/down"
hold_of_adit "the headend dropped nothing" answers "" tunnel_drops
hold_of_adit "the headend has rekeyed the child SA" says "$(headend_log)" 'by="us".*child SA rekeyed|child SA rekeyed.*by="us"' 1
hold_of_adit "the client has rekeyed the child SA" says "$(headend_log)" 'by="the peer".*child SA rekeyed|child SA rekeyed.*by="the peer"' 1
hold_of_adit "the IKE SA was rekeyed" says "$(headend_log)" 'IKE SA rekeyed|both ends have rekeyed the IKE SA' 3
hold "the client holds one IKE SA and one SA pair" within 20 answers "1 1" sas_of c1
hold "the headend holds one session and one SA pair" within 20 answers "1 sessions, 1 SAs" service
hold "the inner server still answers" reaches c1 "$SERVER4"
hold "the client logs out" disconnect c1 adit
hold "nothing is left" within 5 nothing_left
