#!/bin/bash
. "$(dirname "$0")/../rig.sh"

# state_of_host: all that a daemon could leave behind. Numbers of interfaces, counters and ages are left out.
state_of_host() {
  in_ns h nft list ruleset
  in_ns h ip -o link | sed 's/^[0-9]*: //'
  in_ns h ip -o address | sed 's/^[0-9]*: //'
  in_ns h ip rule
  in_ns h ip -6 rule
  in_ns h ip route show table all
  in_ns h ip -6 route show table all
  in_ns h ss -Hnap --tcp --udp --raw --packet | grep -v TIME-WAIT || true
  in_ns h sysctl -a 2>/dev/null | grep -E '^net\.(ipv[46]|core)\.' | grep -vE 'stable_secret|neigh\.adit0|conf\.adit0|random|_mem |tcp_metrics'
}
as_it_was() { is "" "$(diff "$RIG_DIR/before" <(state_of_host))"; }

topology_up 1 none
until_true 10 not eval "in_ns h ip -6 address | grep tentative"
state_of_host >"$RIG_DIR/before"
capture
headend_start
hold "the daemon changes something" not as_it_was
relay_start
hold "vpnc logs in by cTCP" vpnc_connect c1 "$ADIT_SCENARIO/vpnc.conf"
hold "the inner server answers" reaches c1 "$SERVER4"
end_process KILL "$HEADEND_PID" || true
hold "everything is as it was before" within 2 as_it_was
in_ns c1 ping -c 1 -W 1 "$SERVER4" >"$RIG_DIR/unanswered" 2>&1 || true
hold "the client's kernel hears that nobody is there" within 5 not kill -0 "$RELAY"
vpnc_kill c1 || true

headend_start
relay_start
hold "the next start works at once, and so does a login" vpnc_connect c1 "$ADIT_SCENARIO/vpnc.conf"
hold "the inner server answers again" reaches c1 "$SERVER4"
hold_vpnc_goodbye
relay_stop
hold "the daemon ends in good order" headend_stop
hold "everything is as it was before" within 2 as_it_was

in_ns h socat TCP4-LISTEN:10000,bind=$HEADEND4 /dev/null &
SOCAT=$!
until_true 5 listens h 10000
refused() {
  local code=0
  ADIT_STATE_DIR=$RIG_DIR/h/state in_ns h timeout 10 "$ADITD" --config "$RIG_DIR/h/aditd.toml" >"$RIG_DIR/refused" 2>&1 || code=$?
  [ "$code" -ne 0 ] && [ "$code" -ne 124 ] && says "$RIG_DIR/refused" "TCP .*:10000 is in use by socat \(process $SOCAT\)|TCP .*:10000 is in use by .*socat"
}
hold "another program that has the port is named" refused
end_process TERM "$SOCAT" || true
