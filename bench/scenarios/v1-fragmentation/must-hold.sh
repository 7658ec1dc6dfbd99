#!/bin/bash
. "$(dirname "$0")/../rig.sh"

# joined: how many messages the headend has put together.
joined() { ctl ike --json | jq .messages_joined; }
more_joined() { test "$(joined)" -gt "$1"; }

pki_make 4096
SNAPLEN=64 rig_up
fragments_die
mkdir -p "$RIG_DIR/c1/swanctl/"{x509,x509ca,private}
cp "$RIG_DIR/pki/alice.crt" "$RIG_DIR/c1/swanctl/x509/"
cp "$RIG_DIR/pki/ca.crt" "$RIG_DIR/c1/swanctl/x509ca/"
cp "$RIG_DIR/pki/alice.key" "$RIG_DIR/c1/swanctl/private/"
STRONGSWAN_MORE='fragment_size = 700' client_start c1

before=$(fragments_dropped)
hold "without IKE fragmentation the login dies in the router" not connect c1 whole 3
hold "it was the router that dropped it" more_dropped "$before"
strongswan_ctl c1 --terminate --ike whole --force >/dev/null || true
hold "nothing is left of it" within 10 nothing_left
before=$(fragments_dropped)
SPLIT="splitting IKE message .* into [0-9]+ fragments" JOINED="reassembled fragmented IKE message"
client_says() { grep -acE "$1" "$(client_log c1)" || true; }
for way in pieces forced; do
  pieces=$(joined)
  cut=$(grep -ac 'sent in fragments' "$(headend_log)" || true)
  split=$(client_says "$SPLIT") put=$(client_says "$JOINED")
  hold "$way: the client logs in" connect c1 "$way"
  hold "$way: the client cut its proof" says "$(client_log c1)" "$SPLIT" $((split + 1))
  hold "$way: the headend put it together" more_joined "$pieces"
  hold "$way: the headend cut its own" says "$(headend_log)" "sent in fragments" $((cut + 1))
  hold "$way: the client put that together" says "$(client_log c1)" "$JOINED" $((put + 1))
  hold "$way: one session with one SA pair" answers "1 sessions, 1 SAs" service
  hold "$way: the inner server answers" reaches c1 "$SERVER4"
  hold "$way: 20 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" 20
  hold "$way: the client logs out" disconnect c1 "$way"
  hold "$way: nothing is left" within 5 nothing_left
done
hold "the router saw no more IP fragments" answers "$before" fragments_dropped
