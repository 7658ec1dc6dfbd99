#!/bin/bash
. "$(dirname "$0")/../rig.sh"
. "$(dirname "$0")/../boxes.sh"

topology_up 1 none
headend_start "$ADIT_SCENARIO/aditd.toml"

# carries WHO MEGABYTES [reaches_somehow]: what a session has to; the last where the line loses packets.
carries() {
  hold "$1: by TCP, at both ends" answers "tcp tcp" eval 'echo "$(adit_client_told c1 .transport) $(transport)"'
  hold "$1: the inner server answers" "${3:-reaches}" c1 "$SERVER4"
  hold "$1: $2 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" "$2"
  hold "$1: $2 MB arrive unchanged from server to client" transfers s c1 "$(adit_client_told c1 .address)" "$2"
}
# shown: what aditctl has to say of connections: kind, state and whose.
shown() { ctl ctcp --json | jq -r '.[] | "\(.kind) \(.state) \(.identity) \(.local)"'; }
# goes WHO: it logs out, and nothing is left, no connection either, but for what a real TCP ends with (TIME-WAIT).
goes() {
  hold "$1: the client logs out" adit_client_stop c1
  hold "$1: nothing is left" within 15 nothing_left
  hold "$1: nor a connection" within 15 answers '[]' tcp_left
}
tcp_left() { ctl ctcp --json | jq -c '[.[] | select(.state != "ends") | [.id, .kind, .state, .session, .peer]]'; }

for port in 4500 10000; do
  hold "port $port: the client logs in" adit_client c1 --ike 2 --id alice@rig --transport tcp --port $port
  carries "port $port" 10
  hold "port $port: aditctl shows the connection" answers "tcp up alice@rig $HEADEND4:$port" shown
  hold "port $port: with 10 MB each way" test "$(ctl ctcp --json | jq '[.[0].up.octets, .[0].down.octets] | min')" -gt 10000000
  goes "port $port"
done

for leg in client-box headend-box; do lose $leg 1; done
hold "1 % lost: the client logs in" adit_client c1 --ike 2 --id alice@rig --transport tcp --port 10000
carries "1 % lost" 2 reaches_somehow
hold "1 % lost: aditctl shows what was sent again" test "$(ctl ctcp --json | jq '.[0].down.resent')" -gt 5
for leg in client-box headend-box; do
  hold "1 % lost: segments were lost on $leg" test "$(lost $leg)" -gt 5
  lose $leg 0
done
goes "1 % lost"

box haproxy
hold "HAProxy: the client logs in" adit_client c1 --ike 2 --id alice@rig --transport tcp --port 10000
carries "HAProxy" 5
hold "HAProxy: it had one connection" answers 1 proxied
goes "HAProxy"
box router

hold "by TCP first: the client logs in" adit_client c1 --ike 2 --id alice@rig --transport tcp,nat-t --switch-after 3
carries "by TCP first" 1
in_ns r nft "table inet rig_wall { chain forward { type filter hook forward priority filter; meta l4proto tcp drop; }; }"
hold "TCP is dropped: the session goes on by NAT-T" within 15 reaches c1 "$SERVER4"
hold "TCP is dropped: the headend has followed" answers nat-t transport
hold "TCP is dropped: it is the session of before" answers "1 sessions, 1 SAs" service
goes "TCP is dropped"
hold "the headend ends as it should" headend_stop
