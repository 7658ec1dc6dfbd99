#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
hold "the daemon warns of the connection" says "$(headend_log)" 'WARN.*ezvpn.*(3des|legacy)'
MEGABYTES=10 hold_vpnc --enable-weak-encryption --enable-weak-authentication
hold "3DES and MD5 protect the session" answers "3des-md5-modp1024 3des-md5" \
  eval "ctl sessions --json | jq -r '.[].ike_algorithms' | tr -d '\n'; echo \" \$(ctl sa --json | jq -r '.[].algorithms')\""
hold_vpnc_goodbye
hold "the strict connection refuses the same client" not vpnc_connect c1 "$ADIT_SCENARIO/strict.conf" --enable-weak-encryption --enable-weak-authentication
hold "the log says why" says "$(headend_log)" 'login refused: .*cause="?no_ike_proposal'
hold "nothing is left" within 5 nothing_left
