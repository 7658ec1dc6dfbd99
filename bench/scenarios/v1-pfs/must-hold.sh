#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
# Otherwise strongSwan keeps what it has replaced itself until its life time is over (IKEv1).
STRONGSWAN_MORE="delete_rekeyed = yes" client_start c1 "ike = 2"
hold "without PFS there is no child SA" not connect c1 none 5
hold "the log says why" says "$(headend_log)" 'cause="?no_child_proposal'
strongswan_ctl c1 --terminate --ike none --force >/dev/null || true
hold "nothing is left" within 10 nothing_left
attempted=$(wc -l <"$(client_log c1)")

hold "with PFS the client logs in" connect c1 modp2048
pings_start c1 "$SERVER4" 0.02
hold "20 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" 20 60 5
hold "the headend has replaced the keys" within 10 says "$(headend_log)" 'child SA rekeyed.*by="us"'
hold "the client begins to replace them" strongswan_ctl c1 --rekey --child modp2048
hold "the client has replaced them" within 5 says "$(headend_log)" 'child SA in use.*by="the peer"'
hold "20 MB arrive unchanged from server to client" transfers s c1 "$(virtual_ip c1 4)" 20 60 5
pings=$(pings_end c1)
echo "pings: $pings" | tee -a "$RIG_DIR/speeds"
hold "the inner server still answers" reaches c1 "$SERVER4"
hold "it is one session with one SA pair" within 10 answers "1 sessions, 1 SAs" service
# The third message of a quick mode has no SA, and with it no exchange of keys.
stale() { tail -n "+$((attempted + 1))" "$(client_log c1)" | awk '/QUICK_MODE (request|response)/ && / SA No / && !/ KE /'; }
hold "key exchanges were seen, at both ends' asking" says <(tail -n "+$((attempted + 1))" "$(client_log c1)") 'QUICK_MODE (request|response).* SA No .*KE ' 6
hold "every one was a fresh one" answers "" stale
hold "the client logs out" disconnect c1 modp2048
hold "nothing is left" within 5 nothing_left
strongswan_stop c1 || true

ours=$(grep -c 'child SA rekeyed' "$(headend_log)" || true)
hold "vpnc logs in with PFS" vpnc_connect c1 "$ADIT_SCENARIO/vpnc.conf"
hold "50 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" 50 60 10
hold "the headend has replaced vpnc's keys" within 10 says "$(headend_log)" 'child SA rekeyed' $((ours + 1))
hold "the inner server still answers" reaches c1 "$SERVER4"
hold_vpnc_goodbye
