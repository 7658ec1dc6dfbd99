#!/bin/bash
. "$(dirname "$0")/../rig.sh"

pki_make
rig_up
hold_vpnc
hold "hybrid authentication was chosen" says "$(headend_log)" 'hybrid'
hold_vpnc_goodbye
mv "$RIG_DIR/pki/ca.crt" "$RIG_DIR/pki/first-ca.crt"
(pki_make)
hold "a client that trusts another CA breaks off" not vpnc_connect c1 "$ADIT_SCENARIO/vpnc.conf"
hold "nothing is left" within 35 nothing_left
