#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
hold "vpnc logs in" vpnc_connect c1 "$ADIT_SCENARIO/vpnc.conf"
address=$(vpnc_told c1 INTERNAL_IP4_ADDRESS)
pings_start c1 "$SERVER4" 0.02
for _ in 1 2; do
  hold "100 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" 100 60 10
  hold "100 MB arrive unchanged from server to client" transfers s c1 "$address" 100 60 10
done
pings=$(pings_end c1)
echo "pings: $pings" | tee -a "$RIG_DIR/speeds"
# vpnc has one SA at a time: what is under way when it takes the next is lost.
rekeys=$(grep -c 'child SA rekeyed' "$(headend_log)" || true) lost=${pings##*sent, } lost=${lost%% *}
hold "no more pings were lost than keys replaced" test "$lost" -le "$rekeys"
hold "the ESP keys were replaced" says "$(headend_log)" 'child SA (installed|rekeyed)' 3
hold "it is still one session with one SA pair" within 5 answers "1 sessions, 1 SAs" service
hold "and has its address" answers "$address" eval "ctl sessions --json | jq -r '.[].addresses[0]' | cut -d/ -f1"
hold_vpnc_goodbye
