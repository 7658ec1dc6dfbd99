#!/bin/bash
. "$(dirname "$0")/../rig.sh"

pki_make
rig_up
mkdir -p "$RIG_DIR/c1/swanctl/"{x509,x509ca,private}
cp "$RIG_DIR/pki/alice.crt" "$RIG_DIR/c1/swanctl/x509/"
cp "$RIG_DIR/pki/ca.crt" "$RIG_DIR/c1/swanctl/x509ca/"
cp "$RIG_DIR/pki/alice.key" "$RIG_DIR/c1/swanctl/private/"
client_start c1
for way in main aggressive certificate hybrid; do
  hold "$way: the client logs in" connect c1 "$way"
  hold "$way: one session with one SA pair" answers "1 sessions, 1 SAs" service
  hold "$way: it is alice's, by this connection" answers "alice $way" \
    eval "ctl sessions --json | jq -r '.[] | \"\(.identity) \(.connection)\"'"
  hold "$way: the inner server answers" reaches c1 "$SERVER4"
  hold "$way: 20 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" 20
  hold "$way: 20 MB arrive unchanged from server to client" transfers s c1 "$(virtual_ip c1 4)" 20
  hold "$way: the client logs out" disconnect c1 "$way"
  hold "$way: nothing is left" within 5 nothing_left
done
