#!/bin/bash
. "$(dirname "$0")/../rig.sh"

SNAPLEN=0 rig_up
hold "the headend takes a TCP connection" relay_start
MEGABYTES=100 hold_vpnc
hold "ESP travels by cTCP" answers ctcp transport
hold "and in nothing else" not on_wire "udp.port == 4500 || (esp && ip.proto == 50)"
hold_vpnc_goodbye
relay_stop
capture_end
frames() { tshark -r "$RIG_DIR/wan.pcap" -d tcp.port==10000,tcpencap -Y "$1" 2>/dev/null | wc -l; }
hold "what the headend sends is TCPENCAP" test "$(frames "tcpencap && ip.src == $HEADEND4")" -ge 20
hold "none of it malformed" answers 0 frames "_ws.malformed && ip.src == $HEADEND4"
hold "the client's kernel has nothing to complain of" answers 0 frames "tcp.flags.reset == 1 && ip.src != $HEADEND4"

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
lost() { in_ns r nft -j list counter inet rig_loss lost | jq '.nftables[] | select(.counter) | .counter.packets'; }
relay_start
hold "a login with 1 % loss each way" vpnc_connect c1 "$ADIT_SCENARIO/vpnc.conf"
hold "10 MB arrive unchanged from client to server all the same" transfers c1 s "$SERVER4" 10
hold "10 MB arrive unchanged from server to client" transfers s c1 "$(vpnc_told c1 INTERNAL_IP4_ADDRESS)" 10
hold "the connection is the same" kill -0 $RELAY
hold "segments were lost" test "$(lost)" -gt 50
hold_vpnc_goodbye
relay_stop
