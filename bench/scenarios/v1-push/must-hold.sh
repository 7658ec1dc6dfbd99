#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
client_start c1
hold "the client logs in" connect c1 push
address=$(virtual_ip c1 4)
hold "it was told its address" says "$(client_log c1)" 'TRANSACTION request.* CPS\(.*ADDR.*DNS|parsed TRANSACTION request .*CPS'
hold "and has taken it" says "$(client_log c1)" 'TRANSACTION response .*CPA'
hold "the headend knows it by this address" answers "$address" \
  eval "ctl sessions --json | jq -r '.[].addresses[0]' | cut -d/ -f1"
hold "the name server was told, too" says "$RIG_DIR/c1/resolv.conf" 10.20.0.2
hold "one session with one SA pair" answers "1 sessions, 1 SAs" service
hold "the inner server answers" reaches c1 "$SERVER4"
hold "20 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" 20
hold "20 MB arrive unchanged from server to client" transfers s c1 "$address" 20
hold "the client logs out" disconnect c1 push
hold "nothing is left" within 5 nothing_left
hold "the client logs in again" connect c1 push
hold "with the address it had" answers "$address" virtual_ip c1 4
hold "the client logs out again" disconnect c1 push
hold "nothing is left again" within 5 nothing_left
