#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
count_passing natt "udp dport 4500"
count_passing esp "ip protocol esp"
MEGABYTES=100 hold_vpnc
hold "ESP travels in UDP 4500" answers "nat-t" transport
hold "and nothing else carries it" answers 0 passed esp
hold "the router would have counted it" test "$(passed natt)" -gt 10000
hold "the session names user and group" answers "v1 alice keyid:riggroup" \
  eval "ctl sessions --json | jq -r '.[] | \"\(.ike) \(.identity) \(.group)\"'"
hold_vpnc_goodbye

hold "vpnc logs in again" vpnc_connect c1 "$ADIT_SCENARIO/vpnc.conf"
vpnc_kill c1 || true
hold "a client that is gone is found by DPD, and nothing is left" within 25 nothing_left
hold "the log says so" says "$(headend_log)" 'cause="?peer_dead'
