#!/bin/bash
. "$(dirname "$0")/../rig.sh"

SNAPLEN=0 rig_up
relay_start $HEADEND6
# So little that the capture has all of it.
MEGABYTES=5 hold_vpnc
hold "ESP travels by cTCP" answers ctcp transport
hold_vpnc_goodbye
relay_stop
capture_end
framed() { frames "$1" -d tcp.port==10000,tcpencap; }
hold "what the headend sends is TCPENCAP over IPv6" test "$(framed "tcpencap && ipv6.src == $HEADEND6")" -ge 20
hold "none of it malformed" answers 0 framed "_ws.malformed && ipv6.src == $HEADEND6"
hold "no checksum of ours is bad" answers 0 frames "ipv6.src == $HEADEND6 && tcp.checksum.status == 0" -o tcp.check_checksum:TRUE
hold "nothing went by IPv4" not_on_wire "ip.addr == $HEADEND4"
