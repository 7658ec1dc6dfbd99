#!/bin/bash
. "$(dirname "$0")/../rig.sh"

STRONGSWAN_MORE='retransmit_timeout = 1.0'
rig_up
in_ns r nft -f - <<'N'
table inet rig_loss {
  counter up { }
  counter down { }
  chain forward {
    type filter hook forward priority 0;
    oifname "wan" numgen random mod 100 == 0 counter name up drop
    iifname "wan" numgen random mod 100 == 0 counter name down drop
  }
}
N
lost() { in_ns r nft -j list counter inet rig_loss "$1" | jq '.nftables[] | select(.counter) | .counter.packets'; }

client_start c1
child_number() { strongswan_ctl c1 --list-sas | grep -oE '^  net: #[0-9]+, reqid [0-9]+, INSTALLED' | grep -oE '#[0-9]+' | tail -1; }
ike_number() { strongswan_ctl c1 --list-sas | grep -oE '^adit: #[0-9]+, ESTABLISHED' | grep -oE '#[0-9]+' | tail -1; }
for round in {1..10}; do
  hold "login $round" connect c1 net 30
  pings_start c1 "$SERVER4" 0.01
  child=$(child_number)
  hold "child rekey $round begins" strongswan_ctl c1 --rekey --child net
  hold "child rekey $round completes" within 20 not answers "$child" child_number
  ike=$(ike_number)
  hold "IKE rekey $round begins" strongswan_ctl c1 --rekey --ike adit
  hold "IKE rekey $round completes" within 20 not answers "$ike" ike_number
  pings_end c1 >/dev/null
  hold "logout $round" disconnect c1 adit
  hold "nothing is left of $round" within 20 nothing_left
done
hold "the line has lost packets upwards" test "$(lost up)" -gt 0
hold "the line has lost packets downwards" test "$(lost down)" -gt 0
