#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
fragments_die
hold "a ping in fragments does not pass" not in_ns c1 ping -q -c 1 -W 1 -s 3000 "$HEADEND4"
hold "the router counted its fragments" more_dropped 1
before=$(fragments_dropped)
hold "nor does one over IPv6" not in_ns c1 ping -q -c 1 -W 1 -s 3000 "$HEADEND6"
hold "the router counted its fragments, too" more_dropped "$before"

STRONGSWAN_MORE='fragment_size = 700' client_start c1
before=$(fragments_dropped)
hold "without IKE fragmentation the login dies in the router" not connect c1 whole 3
hold "it was the router that dropped it" more_dropped "$before"
strongswan_ctl c1 --terminate --ike whole --force >/dev/null || true
before=$(fragments_dropped)
hold "with IKE fragmentation the client logs in" connect c1 net
hold "the inner IPv4 server answers" reaches c1 "$SERVER4"
hold "the inner IPv6 server answers" reaches c1 "$SERVER6"
hold "the client sent IKE_AUTH in fragments" says "$(client_log c1)" "splitting IKE message .* into [0-9]+ fragments"
hold_of_adit "the headend put them together" says "$(headend_log)" "came in fragments exchange=IkeAuth"
hold_of_adit "the headend answered in fragments" says "$(headend_log)" "sent in fragments"
hold_of_adit "the client put these together" says "$(client_log c1)" "reassembled fragmented IKE message"

child=$(child_number)
hold "a child rekey begins" strongswan_ctl c1 --rekey --child net
hold "a child rekey completes" within 10 other "$child" child_number
hold_of_adit "it came in fragments" says "$(headend_log)" "came in fragments exchange=CreateChildSa"
ike=$(ike_number)
hold "an IKE rekey begins" strongswan_ctl c1 --rekey --ike adit
hold "an IKE rekey completes" within 10 other "$ike" ike_number
child=$(child_number)
hold "a child rekey on the new IKE SA begins" strongswan_ctl c1 --rekey --child net
hold "a child rekey on the new IKE SA completes" within 10 other "$child" child_number
hold_of_adit "it came in fragments, too" says "$(headend_log)" "came in fragments exchange=CreateChildSa" 2
hold "the inner server still answers" reaches c1 "$SERVER4"
hold "the router saw no more IP fragments" answers "$before" fragments_dropped
hold "the client logs out" disconnect c1 adit
# The reference holds the login that died for 30 seconds.
hold "nothing is left" within 40 nothing_left
