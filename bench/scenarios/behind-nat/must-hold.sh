#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
hold_login
hold "both sides saw the NAT" says "$(client_log c1)" "local host is behind NAT"
hold_transfers
hold_logout
