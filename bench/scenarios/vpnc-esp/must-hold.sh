#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
hold_vpnc
hold "ESP travels as IP protocol 50" answers "esp" transport
hold "it is on the wire so" on_wire "esp && ip.proto == 50"
hold "and not in UDP" not_on_wire "udp.port == 4500"
hold "the headend's kernel does not complain about it" not_on_wire "icmp.type == 3 && ip.src#1 == $HEADEND4"
hold_vpnc_goodbye
