#!/bin/bash
. "$(dirname "$0")/../rig.sh"
. "$(dirname "$0")/../boxes.sh"

# tcp_relay_start PORT: what strongSwan on c1 says to the headend by UDP 4500 leaves in a connection to this TCP port.
tcp_relay_start() {
  : >"$RIG_DIR/relay.log"
  ip netns exec "$RIG-c1" python3 "$SCENARIOS/../../deploy/rig/tcp-relay.py" 4600 "$HEADEND4" "$1" >>"$RIG_DIR/relay.log" 2>&1 &
  RELAY=$!
  until_true 5 grep -q ready "$RIG_DIR/relay.log"
}
# another_connection: the relay resets its connection and makes another for the next packet.
another_connection() {
  local before
  before=$(grep -c connected "$RIG_DIR/relay.log")
  kill -USR1 "$RELAY"
  until_true 5 says "$RIG_DIR/relay.log" connected $((before + 1))
}
drops() { ctl drops --json | jq -r '.[] | select(.name == "'"$1"'") | .total'; }
sizes() { hold "$1: $2 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" "$2" &&
  hold "$1: $2 MB arrive unchanged from server to client" transfers s c1 "$(virtual_ip c1 4)" "$2"; }
prefixed() { frames "$1" -X "lua_script:$ADIT_SCENARIO/rfc9329.lua"; }

SNAPLEN=0
topology_up 1 none
capture
headend_start
in_ns c1 nft -f - <<NFT
table ip rig_relay { chain out { type nat hook output priority -100; ip daddr $HEADEND4 udp dport 4500 redirect to :4600; }; }
NFT
client_start c1

tcp_relay_start 4500
hold "the client logs in" connect c1 net
hold "one session with one SA pair" answers "1 sessions, 1 SAs" service
hold "in TCP" answers tcp transport
hold "the inner IPv4 server answers" reaches c1 "$SERVER4"
hold "the inner IPv6 server answers" reaches c1 "$SERVER6"
hold "the client rekeys its child SA" strongswan_ctl c1 --rekey --child net
hold "and its IKE SA" strongswan_ctl c1 --rekey --ike adit
hold "the inner server still answers" reaches c1 "$SERVER4"
# Behind the rekeys, so that they are in the capture: tcpdump loses the last that it has seen.
sizes "port 4500" 1
hold_logout
tcp_relay_stop() { end_process TERM "$RELAY" || true; }
tcp_relay_stop
capture_end
hold "the capture has IKE" eval '[ "$(prefixed isakmp)" -ge 10 ]'
hold "one handshake" answers 1 prefixed "tcp.flags.syn == 1 && tcp.flags.ack == 0"
hold "the headend's end of TCP is in order" answers 0 prefixed "ip.src == $HEADEND4 && (tcp.checksum.status == 0 || tcp.analysis.flags && !tcp.analysis.duplicate_ack && !tcp.analysis.window_update)"
hold "nothing travels in anything else" answers 0 prefixed "udp || ip.proto == 50"
hold "tshark finds the prefix" answers 1 prefixed "rfc9329.prefix"
hold "and IKE, both ways" eval '[ $(prefixed "isakmp && ip.src == $HEADEND4") -ge 4 ] && [ $(prefixed "isakmp && ip.dst == $HEADEND4") -ge 4 ]'
hold "and ESP, both ways" eval '[ $(prefixed "esp && ip.src == $HEADEND4") -ge 300 ] && [ $(prefixed "esp && ip.dst == $HEADEND4") -ge 300 ]'
hold "nothing of it malformed" answers 0 prefixed "_ws.malformed || rfc9329.short"

for port in 4500 10000; do
  # shellcheck disable=SC2034 # boxes.sh
  BOX_PORT=$port
  tcp_relay_start $port
  hold "port $port: the client logs in" connect c1 net
  hold "port $port: in TCP" answers tcp transport
  sizes "port $port" 20
  for leg in client-box headend-box; do lose $leg 1; done
  sizes "port $port, 1 % lost" 20
  for leg in client-box headend-box; do hold "port $port: segments were lost $leg" test "$(lost $leg)" -gt 20; lose $leg 0; done
  pings_start c1 "$SERVER4" 0.02
  hold "port $port: another connection" another_connection
  hold "port $port: takes the session over" within 5 reaches c1 "$SERVER4"
  pings=$(pings_end c1)
  echo "port $port: pings onto another connection: $pings" | tee -a "$RIG_DIR/speeds"
  hold "port $port: it is the same session" answers "1 sessions, 1 SAs" service
  hold "port $port: the operator ends the connection" answers '{"cleared":1}' ctl ctcp clear "$(ctl ctcp --json | jq -r '.[] | select(.kind == "tcp") | .id')" --json
  hold "port $port: the relay hears of it" within 5 says "$RIG_DIR/relay.log" "closed by the headend"
  hold "port $port: a third connection takes the session over" within 5 reaches c1 "$SERVER4"
  hold "port $port: it is still the same session" answers "1 sessions, 1 SAs" service
  hold_logout
  tcp_relay_stop
done

BOX_PORT=4500
box haproxy
for leg in $BOX_LEGS; do lose $leg 1; done
tcp_relay_start 4500
hold "haproxy: the client logs in" connect c1 net
hold "haproxy: in TCP" answers tcp transport
sizes "haproxy, 1 % lost on each leg" 5
for leg in $BOX_LEGS; do hold "haproxy: segments were lost $leg" test "$(lost $leg)" -gt 0; done
hold_logout
tcp_relay_stop
hold "the proxy had one connection" answers 1 proxied
hold "no stream was broken" answers 0 drops broken_stream
