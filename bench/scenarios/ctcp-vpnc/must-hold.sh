#!/bin/bash
. "$(dirname "$0")/../rig.sh"
. "$(dirname "$0")/../boxes.sh"

SNAPLEN=0 rig_up
# Of 100 MB a capture has the beginning: what may not pass at all the router counts.
count_passing others "meta l4proto { udp, esp }"
count_passing segments "tcp dport 10000"
count_resets
hold "the headend takes a TCP connection" relay_start
MEGABYTES=5 hold_vpnc
hold "ESP travels by cTCP" answers ctcp transport
capture_end
framed() { frames "$1" -d tcp.port==10000,tcpencap; }
hold "what the headend sends is TCPENCAP" test "$(framed "tcpencap && ip.src == $HEADEND4")" -ge 20
hold "none of it malformed" answers 0 framed "_ws.malformed && ip.src == $HEADEND4"
hold "100 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" 100
hold "100 MB arrive unchanged from server to client" transfers s c1 "$(vpnc_told c1 INTERNAL_IP4_ADDRESS)" 100
hold_vpnc_goodbye
hold "in nothing else anything has travelled" answers 0 passed others
hold "the router would have counted it" test "$(passed segments)" -gt 1000
hold "the client's kernel has nothing to complain of" answers 0 eval 'resets | cut -d" " -f1'
relay_stop

in_ns r nft -f - <<'N'
table inet rig_loss {
  counter lost { }
  chain forward {
    type filter hook forward priority 0;
    tcp dport 10000 numgen random mod 100 == 0 counter name lost drop
    tcp sport 10000 numgen random mod 100 == 0 counter name lost drop
  }
}
N
lost_each_way() { in_ns r nft -j list counter inet rig_loss lost | jq '.nftables[] | select(.counter) | .counter.packets'; }
relay_start
hold "a login with 1 % loss each way" vpnc_connect c1 "$ADIT_SCENARIO/vpnc.conf"
hold "10 MB arrive unchanged from client to server all the same" transfers c1 s "$SERVER4" 10
hold "10 MB arrive unchanged from server to client" transfers s c1 "$(vpnc_told c1 INTERNAL_IP4_ADDRESS)" 10
hold "the connection is the same" kill -0 $RELAY
hold "segments were lost" test "$(lost_each_way)" -gt 50
hold_vpnc_goodbye
relay_stop
