#!/bin/bash
. "$(dirname "$0")/../rig.sh"

STRONGSWAN_MORE='retransmit_timeout = 1.0'
tunnel_drops() { ctl drops --json | jq -r '.[] | select(.total > 0 and .name != "no_route") | "\(.name): \(.total)"'; }

# The router drops IKE from the headend (behind four zero octets in UDP 4500) and lets ESP through.
block() {
  in_ns r nft -f - <<'N'
table inet rig_block {
  counter blocked { }
  chain forward {
    type filter hook forward priority 0;
    iifname "wan" udp sport 4500 @th,64,32 0 counter name blocked drop
  }
}
N
}
blocked() { [ "$(in_ns r nft -j list counter inet rig_block blocked | jq '.nftables[] | select(.counter) | .counter.packets')" -ge "$1" ]; }
unblock() { in_ns r nft delete table inet rig_block; }

# collide WHAT ARGUMENTS...: the headend's request is lost, then the answer to the client's own.
collide() {
  local what=$1
  shift
  client_start c1
  hold "the client logs in" connect c1 net
  pings_start c1 "$SERVER4" 0.01
  block
  hold "the headend begins to rekey the $what SA, unheard" within 10 blocked 1
  hold "the client begins, too" strongswan_ctl c1 --rekey "$@"
  hold "and is not answered" within 5 blocked 2
  unblock
  hold_of_adit "both have rekeyed the $what SA" within 20 says "$(headend_log)" "both ends have rekeyed the $what SA"
  hold "the client holds one IKE SA and one SA pair" within 20 answers "1 1" sas_of c1
  hold "the headend holds one session and one SA pair" within 20 answers "1 sessions, 1 SAs" service
  pings=$(pings_end c1)
  hold "no ping was lost" is "${pings%% *} sent, 0 lost" "$pings"
  hold_of_adit "the headend dropped nothing" answers "" tunnel_drops
  hold "the inner server answers" reaches c1 "$SERVER4"
  hold "the client logs out" disconnect c1 adit
  hold "nothing is left" within 5 nothing_left
  strongswan_stop c1 || true
}

rig_up
collide child --child net
if [ "$ADIT_HEADEND" = adit ]; then
  hold "aditd ends with exit code 0" headend_stop
  headend_start "$ADIT_SCENARIO/ike.toml"
  collide IKE --ike adit
fi
