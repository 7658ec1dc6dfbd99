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
ike_sas() { strongswan_ctl c1 --list-sas | grep -c '^adit: #'; }
for round in {1..10}; do
  hold "login $round" connect c1 net 30
  pings_start c1 "$SERVER4" 0.01
  for again in 1 2 3; do
    child=$(child_number)
    hold "child rekey $round.$again begins" strongswan_ctl c1 --rekey --child net
    hold "child rekey $round.$again completes" within 20 other "$child" child_number
    ike=$(ike_number)
    hold "IKE rekey $round.$again begins" strongswan_ctl c1 --rekey --ike adit
    hold "IKE rekey $round.$again completes" within 20 other "$ike" ike_number
  done
  pings_end c1 >/dev/null
  # Its delete may be lost: then swanctl ends both, and fails where the older one is gone before it comes to it.
  hold "the IKE SA before that is gone" within 20 answers 1 ike_sas
  hold "logout $round" disconnect c1 adit
  hold "nothing is left of $round" within 20 nothing_left
done
# Once more for a while, so that the headend's own timers rekey, too.
hold "the last login" connect c1 net 30
pings_start c1 "$SERVER4" 0.005
rekeys_by_headend() { grep -cE '(child|IKE) SA rekeyed.*by="us"' "$(headend_log)" || true; }
several() { [ "$(rekeys_by_headend)" -ge 5 ]; }
hold_of_adit "the headend rekeys five times" within 60 several
pings_end c1 >/dev/null
hold "the last logout" disconnect c1 adit
hold "nothing is left at last" within 20 nothing_left
hold "the line has lost packets upwards" test "$(lost up)" -gt 0
hold "the line has lost packets downwards" test "$(lost down)" -gt 0
