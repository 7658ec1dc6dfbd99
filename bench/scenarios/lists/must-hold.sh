#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
client_start c1
hold "strongSwan logs in" connect c1 net
hold "vpnc logs in" vpnc_connect c2 "$ADIT_SCENARIO/c2.conf"
hold "our client logs in by cTCP" adit_client c3 --group riggroup --transport ctcp
declare -A ADDRESS=([c1]=$(virtual_ip c1 4) [c2]=$(vpnc_told c2 INTERNAL_IP4_ADDRESS) [c3]=$(adit_client_told c3 .address))
declare -A WHO=([c1]=alice@rig [c2]=bob [c3]=alice)
# of HOST LIST JQ: of the lines of a list that are this client's.
of() { ctl "$2" --json | jq -r "[.[] | select(.identity == \"${WHO[$1]}\")] | $3"; }
session_of() { of "$1" sessions '.[0].id'; }

how() { of "$1" sessions '.[] | [.health, .ike, .transport, .connection, .addresses[0], (.peer | sub(":[0-9]+$"; ""))] | join(" ")'; }
hold "strongSwan's session is as it is" answers "UP v2 nat-t road-warriors ${ADDRESS[c1]} 10.99.1.2" how c1
hold "vpnc's session is as it is" answers "UP v1 esp ezvpn ${ADDRESS[c2]} 10.99.2.2" how c2
hold "our client's session is as it is" answers "UP v1 ctcp ezvpn ${ADDRESS[c3]} 10.99.3.2" how c3
hold "there are no others" answers 3 sessions
hold "a filter finds the one by cTCP" answers alice eval 'ctl sessions --transport ctcp --json | jq -r ".[].identity"'
hold "and the one with this address" answers bob eval 'ctl sessions --address "${ADDRESS[c2]}" --json | jq -r ".[].identity"'

transports() { ctl transports --json | jq -r '[.[] | select(.sessions > 0) | "\(.transport) \(.sessions) \(.listen | length > 0)"] | sort | join(", ")'; }
hold "each is counted for its transport, which is listened for" answers "ctcp 1 true, esp 1 true, nat-t 1 true" transports
hold "and for no other" answers 3 eval 'ctl transports --json | jq "[.[].sessions] | add"'

algorithms() { of "$1" sa '.[] | select(.state == "active") | .algorithms'; }
hold "strongSwan's child SA has what it asked for" answers aes128gcm16 algorithms c1
hold "vpnc's has what vpnc says" eval 'algorithms c2 | grep -E "^aes256-sha1|^aes128-sha1|^aes256-md5"'
hold "our client's is ours" eval 'algorithms c3 | grep -E "^aes"'
leases() { ctl leases --json | jq -r "[.[] | select(.identity == \"${WHO[$1]}\" and .state == \"in_use\") | .address] | sort | .[0]"; }
for host in c1 c2 c3; do
  hold "$host: its lease is listed" answers "${ADDRESS[$host]}" leases "$host"
done
hold "the pool counts them" answers 3 eval 'ctl pools --json | jq ".[0].ranges[0].in_use"'
hold "the only cTCP connection is our client's" answers "$(session_of c3) alice up" eval 'ctl ctcp --json | jq -r ".[] | [.session, .identity, .state] | join(\" \")"'

# payload_of HOST in|out: octets of the session's that are no headers.
payload_of() { of "$1" sessions ".[0] | .bytes_$2 - 52 * .packets_$2"; }
# moves HOST: 5 MB each way, paced. What the session counts meanwhile is no less than iperf3 received and no more than it sent, with what its TCP sent
# again, each within 1 %: at its end iperf3 does not wait for what is under way.
moves() {
  local host=$1 way reverse port before received sent counted
  for way in in out; do
    reverse=()
    [ $way = in ] || reverse=(-R)
    port=$((20000 + RANDOM % 10000))
    in_ns s iperf3 -s -1 -B "$SERVER4" -p "$port" >"$RIG_DIR/iperf-$host-$way.server" 2>&1 &
    local server=$!
    until_true 10 listens s "$port" || return 1
    before=$(payload_of "$host" $way)
    in_ns "$host" iperf3 -c "$SERVER4" -p "$port" -n 5M -l 8K -b 50M --json "${reverse[@]}" >"$RIG_DIR/iperf-$host-$way.json" || return 1
    wait "$server" || true
    received=$(jq .end.sum_received.bytes "$RIG_DIR/iperf-$host-$way.json")
    sent=$(jq '.end.sum_sent | .bytes + 1348 * .retransmits' "$RIG_DIR/iperf-$host-$way.json")
    counted=$(($(payload_of "$host" $way) - before))
    echo "$host $way: iperf3 sent $sent and received $received, the session counts $counted"
    awk -v s="$sent" -v r="$received" -v c="$counted" 'BEGIN {exit !(r > 4.5e6 && c > 0.99 * r && c < 1.01 * s)}' || return 1
  done
}
for host in c1 c2 c3; do
  hold "$host: what its session counts is what iperf3 moved" moves "$host"
  hold "$host: its child SA has counted as much" eval '[ "$(of '$host' sa "[.[].bytes_in] | add")" = "$(of '$host' sessions "[.[].bytes_in] | add")" ]'
done
took() { ctl ike --json | jq -r '[.login_times[] | "\(.phase) \(.count)"] | join(", ")'; }
hold "each phase of the three logins was timed once" answers "ike_auth 1, phase_1 2, xauth 2, mode_config 2, quick_mode 2" took
# What the client sends at once, the end of XAUTH and the question for an address, comes at one time.
hold "those that wait for the client took time" answers true \
  eval 'ctl ike --json | jq "[.login_times[] | select(.phase == \"ike_auth\" or .phase == \"phase_1\" or .phase == \"xauth\") | .sum_us > 0] | all"'
worker() { ctl workers --json | jq "[.[] | $1] | all"; }
hold "the worker says how full its bursts were, and what is free" answers true worker \
  '.burst_packets > 10000 and .burst_packets >= .turns - .idle_turns and .full_bursts < .turns and .buffers_free > 100 and .handoffs_waiting == 0'
flows_of() { ctl flows --json --limit 1000 --session "$(session_of "$1")" | jq '[.flows[] | select(.protocol == "tcp" and (.up.bytes > 4500000 or .down.bytes > 4500000))] | length'; }
for host in c1 c2 c3; do
  hold "$host: both transfers are among its flows" answers 2 flows_of "$host"
done
hold "our client logs out" adit_client_stop c3
hold "vpnc logs out" vpnc_stop c2
hold "strongSwan logs out" disconnect c1 adit
hold "nothing is left" within 5 nothing_left
