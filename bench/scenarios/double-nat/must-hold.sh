#!/bin/bash
. "$(dirname "$0")/../rig.sh"

peer_behind_nat() { ctl sessions --json | jq '.[0].peer_behind_nat'; }

rig_up
hold_login
hold_of_adit "the headend saw the NAT" answers true peer_behind_nat
hold "the client saw the NAT" says "$(client_log c1)" "local host is behind NAT"
hold_transfers
hold "a child rekey begins" strongswan_ctl c1 --rekey --child net
hold "the child SA is another" within 10 says "$(client_log c1)" 'CHILD_SA net\{2\} established'
hold "an IKE rekey begins" strongswan_ctl c1 --rekey --ike adit
hold "the IKE SA is another" within 10 says "$(client_log c1)" 'IKE_SA adit\[2\] (rekeyed|established)'
hold "the client holds one IKE SA and one SA pair" within 20 answers "1 1" sas_of c1
hold "the headend holds one session and one SA pair" within 20 answers "1 sessions, 1 SAs" service
hold "the inner IPv4 server still answers" reaches c1 "$SERVER4"
hold "the inner IPv6 server still answers" reaches c1 "$SERVER6"
hold_logout
