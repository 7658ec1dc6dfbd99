#!/bin/bash
. "$(dirname "$0")/../rig.sh"

STRONGSWAN_MORE='retransmit_timeout = 1.0'
rig_up
# Of IKE, which is few messages, each fortieth is lost, so that some are; of all else one of a hundred, by chance.
in_ns r nft -f - <<'N'
table inet rig_loss {
  counter ike_up { }
  counter ike_down { }
  counter up { }
  counter down { }
  chain ike_upwards { numgen inc mod 40 == 20 counter name ike_up drop; }
  chain ike_downwards { numgen inc mod 40 == 20 counter name ike_down drop; }
  chain forward {
    type filter hook forward priority 0;
    oifname "wan" udp dport 500 goto ike_upwards
    iifname "wan" udp sport 500 goto ike_downwards
    oifname "wan" udp dport 4500 @th,64,32 0 goto ike_upwards
    iifname "wan" udp sport 4500 @th,64,32 0 goto ike_downwards
    oifname "wan" numgen random mod 100 == 0 counter name up drop
    iifname "wan" numgen random mod 100 == 0 counter name down drop
  }
}
N
dropped() { in_ns r nft -j list counter inet rig_loss "$1" | jq '.nftables[] | select(.counter) | .counter.packets'; }

# pings_over: of all that are sent, so many are lost. Each way loses one of a hundred, and nobody else may lose much.
sent=0 lost=0
pings_over() {
  local pings
  pings=$(pings_end c1)
  sent=$((sent + ${pings%% *})) pings=${pings#*sent, }
  lost=$((lost + ${pings%% *}))
}

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
  pings_over
  # Its delete may be lost: then swanctl ends both, and fails where the older one is gone before it comes to it.
  hold "the IKE SA before that is gone" within 20 answers 1 ike_sas
  hold "logout $round" disconnect c1 adit
  hold "nothing is left of $round" within 20 nothing_left
done
# Once more for a while, so that the headend's own timers rekey, too.
hold "the last login" connect c1 net 30
pings_start c1 "$SERVER4" 0.005
rekeys_by_headend() { grep -cE '(child|IKE) SA rekeyed.*by="us"' "$(headend_log)" || true; }
before=$(rekeys_by_headend)
several() { [ "$(rekeys_by_headend)" -ge $((before + 5)) ]; }
hold_of_adit "the headend rekeys five times" within 60 several
pings_over
echo "pings: $sent sent, $lost lost" | tee -a "$RIG_DIR/speeds"
hold "less than a tenth of the pings were lost" test $((10 * lost)) -lt "$sent"
hold "the last logout" disconnect c1 adit
hold "nothing is left at last" within 20 nothing_left
hold "the line has lost packets upwards" test "$(dropped up)" -gt 0
hold "the line has lost packets downwards" test "$(dropped down)" -gt 0
hold "and messages of IKE upwards" test "$(dropped ike_up)" -ge 2
hold "and downwards" test "$(dropped ike_down)" -ge 2
echo "IKE: $(dropped ike_up) lost upwards, $(dropped ike_down) downwards" | tee -a "$RIG_DIR/speeds"
