#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
# scan OPTIONS: one probe, asked three times if need be.
scan() { in_ns c1 ike-scan --retry=3 --timeout=500 --backoff=1 -M "$@" $HEADEND4 | tee -a "$RIG_DIR/ike-scan.log"; }
handshake() { scan "$@" | grep -E 'Handshake returned'; }

# Encryption/key length, hash (2 SHA-1, 4 SHA-256), authentication (65001 XAUTHInitPreShared), group.
configured=7/128,2,65001,14
hold "main mode: a configured proposal gets a handshake" handshake --trans=$configured
hold "with the transform that was asked for" eval "scan --trans=$configured | grep -E 'Enc=AES Hash=SHA1 Auth=XAUTH_PSK Group=14:modp2048 KeyLength=128'"
for other in 5,2,65001,2 5,1,65001,14 7/128,2,65001,2 7/256,2,65001,14 7/128,2,1,14 7/128,2,3,14 7/128,2,64221,14 1,1,1,1; do
  hold "main mode: $other gets none" not handshake --trans=$other
done

aggressive() { scan -A --id="$1" --idtype=11 --dhgroup=14 --trans=$configured --vendor=4a131c81070358455c5728f20e95452f --vendor=12f5f28c457168a9702d9fe274cc0100 --vendor=09002689dfd6b712 --vendor=afcad71368a1f1c96b8696fc77570100; }
# shape GROUP: what came back, without what is random.
shape() { aggressive "$1" | grep -vE '^(Starting|Ending)|CKY-R' | sed -E 's/[0-9a-f]{40,}/…/g; s/\([0-9]+ bytes\)/(n bytes)/; s/^.*Aggressive/Aggressive/'; }
hold "aggressive mode: a known group gets a handshake" eval "aggressive riggroup | grep 'Aggressive Mode Handshake returned'"
hold "aggressive mode: what a known group gets and what an unknown one gets look alike" answers "$(shape riggroup)" shape nosuchgroup

capture_end
# octets FILTER: of the UDP payloads.
octets() { dissect "$RIG_DIR/wan.pcap" -Y "$1" -T fields -e udp.length | awk '{sum += $1 - 8} END {print sum + 0}'; }
asked=$(octets "udp.dstport == 500 && ip.dst == $HEADEND4") told=$(octets "udp.srcport == 500 && ip.src == $HEADEND4")
echo "asked with $asked octets, told $told" | tee -a "$RIG_DIR/speeds"
hold "probes were answered" test "$told" -gt 500
hold "with fewer octets than they had" test "$told" -le "$asked"
# longer: logins that were told more than they had asked, in sum.
longer() {
  dissect "$RIG_DIR/wan.pcap" -Y "isakmp" -T fields -e isakmp.ispi -e ip.src -e udp.length |
    awk -v h=$HEADEND4 '{if ($2 == h) told[$1] += $3; else asked[$1] += $3}
      END {for (login in told) if (told[login] > asked[login]) print login, told[login], asked[login]}'
}
hold "and so each login" answers "" longer
# again: answers that came more than once.
again() { dissect "$RIG_DIR/wan.pcap" -Y "isakmp && ip.src == $HEADEND4" -T fields -e isakmp.ispi -e isakmp.exchangetype | sort | uniq -d; }
hold "none of them twice" answers "" again
hold "nothing is left" within 10 nothing_left
hold "an unknown group is in the log" says "$(headend_log)" 'cause="?unknown_identity.*nosuchgroup'
