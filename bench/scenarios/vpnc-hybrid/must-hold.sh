#!/bin/bash
. "$(dirname "$0")/../rig.sh"

pki_make
rig_up
hold_vpnc
hold "hybrid authentication was chosen" says "$(headend_log)" 'hybrid'
hold_vpnc_goodbye
