#!/bin/bash
. "$(dirname "$0")/../rig.sh"
. "$(dirname "$0")/../boxes.sh"

rig_up
in_ns c1 nft -f - <<'N'
table inet rig_kernel_is_quiet {
  chain out {
    type filter hook output priority 0;
    tcp dport 10000 tcp flags & rst == rst drop
  }
}
N
count_resets
# relay_start PORT: a connection to the headend, for one login.
relay_start() {
  ip netns exec "$RIG-c1" python3 "$ADIT_SCENARIO/legacy.py" 127.0.0.9 $HEADEND4 10000 "$1" >"$RIG_DIR/relay.log" 2>&1 &
  RELAY=$!
  until_true 5 grep connected "$RIG_DIR/relay.log"
}
# of_flow FIELD: of the only connection.
of_flow() { ctl ctcp --json | jq -r ".[0]$1"; }

hold "the headend takes a TCP connection" relay_start 40001
hold "vpnc logs in" vpnc_connect c1 "$ADIT_SCENARIO/vpnc.conf"
hold "ESP travels by cTCP" answers ctcp transport
hold "the inner server answers" reaches c1 "$SERVER4"
ADDRESS=$(vpnc_told c1 INTERNAL_IP4_ADDRESS)
hold "the connection is its session's, and Cisco's" answers "up alice legacy clean well" \
  eval 'of_flow "| [.state, .identity, .client, .path, .remedy.reason] | join(\" \")"'
hold "the table shows it" eval "ctl ctcp | grep -E 'alice +clean'"

firewall_waits
BEGIN=$EPOCHREALTIME
hold "nothing comes up any more" not reaches_somehow c1 "$SERVER4"
hold "while the router lets segments without data pass, the headend suspects it" within 12 says "$(headend_log)" "asking whether it lives"
# The headend has 8 seconds, and the client says every 5 where it is.
hold "the session ends" within 12 answers "0 sessions, 0 SAs" service
echo "took: $(since "$BEGIN") s from the firewall to the end of the session"
hold "what was dropped was more than a packet" test "$(waiting)" -ge 3
hold "the log says why" says "$(headend_log)" "WARN.*cTCP connection stalled: a firewall waits.*" 1
hold "with the reason" says "$(headend_log)" 'reason="?stalled"? flow=c0-'
hold "and the remedy for this address and port" says "$(headend_log)" "remedy: .*permit tcp any host $HEADEND4 eq 10000"
hold "and for an ASA" says "$(headend_log)" "remedy: .*set connection advanced-options tcp-state-bypass"
hold "the client has heard its delete and is gone" within 5 not vpnc_runs c1
hold "the connection is reset where the client expects it" within 5 says "$RIG_DIR/relay.log" "reset where it is expected"
hold "nothing is left" within 5 nothing_left
hold "it is counted" answers "1 1" eval "ctl ike --json | jq -r '\"\\(.stalls_suspected) \\(.stalls_ended)\"'"

firewall_goes
hold "another connection" relay_start 40002
hold "vpnc logs in again" vpnc_connect c1 "$ADIT_SCENARIO/vpnc.conf"
hold "with the address that it had" answers "$ADDRESS" vpnc_told c1 INTERNAL_IP4_ADDRESS
hold "the inner server answers" reaches c1 "$SERVER4"
# Quiet for longer than a stall would take: who sends nothing has not stalled.
sleep 12
hold "a quiet connection is none that has stalled" answers "up null" eval 'of_flow "| \"\(.state) \(.stalled_seconds)\""'
hold "and its session stays" reaches c1 "$SERVER4"
hold "the operator ends the connection" answers "1 connections are ended" ctl ctcp clear "$(of_flow .id)"
hold "it is reset where the client expects it" within 5 says "$RIG_DIR/relay.log" "reset where it is expected"
hold "no connection is left" answers "no TCP connections" ctl ctcp
hold "its session is there for the client to come back to" answers "1 sessions, 1 SAs" service
relay_stop
vpnc_kill c1 || true
hold "each connection was reset once, by the headend" within 5 answers "0 2" resets
