#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
hold_vpnc
hold "ESP travels in UDP 10000" answers "cisco-udp" transport
hold "it is on the wire so" on_wire "udp.dstport == 10000"
hold "nothing went by UDP 4500" not_on_wire "udp.port == 4500"
hold_vpnc_goodbye
