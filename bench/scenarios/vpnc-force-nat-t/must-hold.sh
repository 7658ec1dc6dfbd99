#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
hold_vpnc
hold "ESP travels in UDP 4500" answers "nat-t" transport
hold "and nothing else carries it" not_on_wire "esp && !udp"
hold_vpnc_goodbye
