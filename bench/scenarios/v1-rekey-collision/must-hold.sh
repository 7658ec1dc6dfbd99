#!/bin/bash
. "$(dirname "$0")/../rig.sh"

STRONGSWAN_MORE='retransmit_timeout = 1.0'

# The router drops IKE (behind four zero octets in UDP 4500) one way and lets ESP through.
block() {
  in_ns r nft -f - <<N
table inet rig_block {
  counter blocked { }
  chain forward {
    type filter hook forward priority 0;
    $1 @th,64,32 0 counter name blocked drop
  }
}
N
}
from_headend='iifname "wan" udp sport 4500'
from_client='oifname "wan" udp dport 4500'
blocked() { [ "$(in_ns r nft -j list counter inet rig_block blocked | jq '.nftables[] | select(.counter) | .counter.packets')" -ge "$1" ]; }
unblock() { in_ns r nft delete table inet rig_block; }
drops() { ctl drops --json | jq -r '.[] | select(.total > 0 and .name != "no_route") | "\(.name): \(.total)"'; }
client_sas() { strongswan_ctl c1 --list-sas | awk '/IKEv1/ {ike++} /INSTALLED/ {child++} END {print ike+0, child+0}'; }
quiet() {
  hold "the client holds $1 ISAKMP SAs and one SA pair" within 20 answers "$1 1" client_sas
  # strongSwan leaves the old SA where it is (delete_rekeyed = no); we delete it after a minute.
  hold "the headend holds one session and sends on one SA pair" within 20 answers "1 sessions, 1 SAs" in_use
}
in_use() { echo "$(sessions) sessions, $(ctl sa --json | jq '[.[] | select(.state == "active")] | length') SAs"; }
of_session() { ctl sessions --json | jq -r '.[] | "\(.id) \(.addresses[0])"'; }

rig_up
client_start c1
hold "the client logs in" connect c1 net
session=$(of_session)
pings_start c1 "$SERVER4" 0.01

block "$from_headend"
hold "the headend begins to rekey, unheard" within 10 blocked 1
hold "the client begins, too" strongswan_ctl c1 --rekey --child net
hold "and goes first" within 5 says "$(headend_log)" "the peer's goes first"
unblock
hold "the client has rekeyed" within 20 says "$(headend_log)" 'child SA in use .* by="the peer"'
quiet 1

# strongSwan begins nothing for an SA that it has answered a quick mode for, so this time it is first.
answers=$(grep -c 'generating QUICK_MODE response' "$(client_log c1)" || true)
block "$from_client"
hold "the client begins" strongswan_ctl c1 --rekey --child net
hold "and is not heard" within 5 blocked 1
hold "the headend begins, too, and is not answered" within 10 \
  says "$(client_log c1)" 'generating QUICK_MODE response' $((answers + 1))
unblock
hold "the client has rekeyed" within 20 says "$(headend_log)" 'child SA in use .* by="the peer"' 2
quiet 1
pings=$(pings_end c1)
echo "pings: $pings" | tee -a "$RIG_DIR/speeds"
hold "no ping was lost" is "${pings%% *} sent, 0 lost" "$pings"
hold "the headend dropped nothing" answers "" drops

pings_start c1 "$SERVER4" 0.01
hold "the client logs in anew" strongswan_ctl c1 --rekey --ike adit
hold "that takes the session over" within 10 says "$(headend_log)" 'the client has re-authenticated'
# strongSwan keeps the former one for as long as it lives.
quiet 2
hold "it is the same session with the same address" answers "$session" of_session
pings=$(pings_end c1)
echo "pings, log in anew: $pings" | tee -a "$RIG_DIR/speeds"
hold "no ping was lost" is "${pings%% *} sent, 0 lost" "$pings"
hold "the client logs out" disconnect c1 adit
hold "nothing is left" within 5 nothing_left
