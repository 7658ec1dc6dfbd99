#!/bin/bash
. "$(dirname "$0")/../rig.sh"

peer_behind_nat() { ctl sessions --json | jq '.[0].peer_behind_nat'; }

rig_up
hold_login
hold_of_adit "the headend saw the NAT" answers true peer_behind_nat
hold "the client saw the NAT" says "$(client_log c1)" "local host is behind NAT"
hold_transfers
hold_logout
