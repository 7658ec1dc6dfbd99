#!/bin/bash
. "$(dirname "$0")/../rig.sh"
. "$(dirname "$0")/../boxes.sh"

rig_up
for box in conntrack synproxy haproxy; do
  box $box
  for leg in $BOX_LEGS; do lose $leg 1; done
  relay_start
  hold "$box: vpnc logs in" vpnc_connect c1 "$ADIT_SCENARIO/vpnc.conf"
  hold "$box: ESP travels by cTCP" answers ctcp transport
  hold "$box: 5 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" 5
  hold "$box: 5 MB arrive unchanged from server to client" transfers s c1 "$(vpnc_told c1 INTERNAL_IP4_ADDRESS)" 5
  hold "$box: and up once more" transfers c1 s "$SERVER4" 2
  hold "$box: the connection is the same" kill -0 $RELAY
  for leg in $BOX_LEGS; do hold "$box: segments were lost $leg" test "$(lost $leg)" -gt 0; done
  hold_vpnc_goodbye
  relay_stop
done
hold "the proxy had one connection" answers 1 proxied
