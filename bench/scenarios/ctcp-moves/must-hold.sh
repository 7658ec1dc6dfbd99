#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up

connections() { ctl ctcp --json | jq -r '.[].id'; }

# moves WHAT OPTIONS...: away from cTCP.
moves() {
  local what=$1 before spis_before flow when
  shift
  hold "$what: the client logs in by cTCP" adit_client c1 "$@" --transport ctcp,nat-t
  hold "$what: by cTCP, at both ends" answers "ctcp ctcp" ways
  hold "$what: the inner server answers" reaches c1 "$SERVER4"
  before=$(session) spis_before=$(spis) flow=$(connections)
  pings_start c1 "$SERVER4" 0.05
  sleep 1
  when=$EPOCHREALTIME
  hold "$what: the operator has it moved" says <(ctl ctcp move "$flow" --for 8s) "^ctcp is closed to s[0-9]* for 8s, and $flow is reset; what is left: .*nat-t"
  hold "$what: both ends go by ESP in UDP" within 12 answers "nat-t nat-t" ways
  hold "$what: packets go on" within 5 reaches c1 "$SERVER4"
  pings_end c1 >/dev/null
  hold "$what: it took less than 10 s" gap_below 10000 "$when" "$what, moved from cTCP"
  hold "$what: it is the same session" answers "$before" session
  hold "$what: with the same SAs" answers "$spis_before" spis
  hold "$what: 5 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" 5
  hold "$what: 5 MB arrive unchanged from server to client" transfers s c1 "$(adit_client_told c1 .address)" 5
  story=$(ctl why "$(ctl sessions --json | jq -r '.[].id')")
  hold "$what: its story says who did it" says <(echo "$story") 'has closed ctcp to it for 8 s'
  hold "$what: and that it went" says <(echo "$story") 'moved from .* \(ctcp\) to .* \(nat-t\)'
}

moves "IKEv1" --group riggroup
hold "IKEv1: the client logs out" adit_client_stop c1
hold "nothing is left" within 5 nothing_left

moves "IKEv2" --ike 2 --id alice@rig
hold "its time is over: cTCP is open to it again" within 20 says "$(headend_log)" 'all its transports are open to this session again'
pings_start c1 "$SERVER4" 0.05
in_ns r nft -f - <<<"table inet rig_no_udp { chain forward { type filter hook forward priority -10; meta l4proto udp drop; }; }"
hold "UDP is dropped, and it goes back to cTCP" within 15 answers "ctcp ctcp" ways
hold "the inner server answers" within 5 reaches c1 "$SERVER4"
pings_end c1 >/dev/null
hold "the client logs out" adit_client_stop c1
hold "nothing is left" within 5 nothing_left

hold "a client that may come by cTCP alone logs in" adit_client c1 --ike 2 --id bob@tcp.rig --transport ctcp
flow=$(connections)
hold "there is nothing to move it to, and the operator is told" says <(ctl ctcp move "$flow" 2>&1) 's[0-9]* may come by no other transport'
hold "its connection is as it was" answers "$flow" connections
hold "and the inner server answers" reaches c1 "$SERVER4"
hold "who means no connection is told so" says <(ctl ctcp move c0-999 2>&1) 'there is no such connection'
