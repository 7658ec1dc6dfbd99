#!/bin/bash
. "$(dirname "$0")/../rig.sh"

SNAPLEN=0 rig_up
relay_start $HEADEND6
hold_vpnc
hold "ESP travels by cTCP" answers ctcp transport
hold_vpnc_goodbye
relay_stop
capture_end
frames() { tshark -r "$RIG_DIR/wan.pcap" -d tcp.port==10000,tcpencap -Y "$1" 2>/dev/null | wc -l; }
hold "what the headend sends is TCPENCAP over IPv6" test "$(frames "tcpencap && ipv6.src == $HEADEND6")" -ge 20
hold "none of it malformed" answers 0 frames "_ws.malformed && ipv6.src == $HEADEND6"
hold "no checksum of ours is bad" answers 0 eval "tshark -r $RIG_DIR/wan.pcap -o tcp.check_checksum:TRUE -Y 'ipv6.src == $HEADEND6 && tcp.checksum.status == 0' 2>/dev/null | wc -l"
hold "nothing went by IPv4" not on_wire "ip.addr == $HEADEND4"
