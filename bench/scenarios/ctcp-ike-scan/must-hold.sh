#!/bin/bash
. "$(dirname "$0")/../rig.sh"

SNAPLEN=0 rig_up
# scan OPTIONS: one probe in Cisco's frames.
scan() { in_ns c1 ike-scan --tcp=2 --dport=10000 --tcptimeout=5 --retry=2 --timeout=1000 -M "$@" $HEADEND4 | tee -a "$RIG_DIR/ike-scan.log"; }
configured=7/128,2,65001,14
hold "main mode gets a handshake" eval "scan --trans=$configured | grep 'Main Mode Handshake returned'"
hold "with the transform that was asked for" eval "scan --trans=$configured | grep -E 'Enc=AES Hash=SHA1 Auth=XAUTH_PSK Group=14:modp2048 KeyLength=128'"
aggressive() { scan -A --id=riggroup --idtype=11 --dhgroup=14 --trans=$configured; }
hold "aggressive mode gets a handshake" eval "aggressive | grep 'Aggressive Mode Handshake returned'"
hold "what is not configured gets none" eval "! scan --trans=5,2,65001,2 | grep 'Handshake returned'"
hold "the headend says that it listens" eval "ctl status | grep 'cTCP on TCP 10000'"
# owned: a second program wants the port.
owned() { { in_ns h timeout 5 socat TCP-LISTEN:10000,reuseaddr /dev/null 2>&1 || true; } | grep 'in use'; }
hold "the port is the headend's" owned

capture_end
framed() { frames "$1" -d tcp.port==10000,tcpencap; }
hold "frames of both ends are TCPENCAP" test "$(framed 'tcpencap && ip.src == '$HEADEND4)" -ge 2
hold "none of them malformed" answers 0 framed '_ws.malformed'
hold "no checksum of ours is bad" answers 0 frames "ip.src == $HEADEND4 && tcp.checksum.status == 0" -o tcp.check_checksum:TRUE
hold "our headers have 20 octets and the window that Cisco's have, but for what a SYN with options gets" answers 0 frames "ip.src == $HEADEND4 && tcp.flags.syn == 0 && !(tcp.hdr_len == 20 && tcp.window_size_value == 65535)"
hold "nothing is left" within 10 nothing_left
