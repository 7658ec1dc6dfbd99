#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up

# forbid tcp|udp|nothing: what the router drops from now on, both ways.
forbid() {
  local rule=
  case $1 in
    tcp) rule="tcp dport 10000 drop; tcp sport 10000 drop;" ;;
    udp) rule="meta l4proto udp drop;" ;;
  esac
  in_ns r nft -f - <<E
table inet rig_forbid
delete table inet rig_forbid
table inet rig_forbid { chain forward { type filter hook forward priority -10; $rule }; }
E
}

# switches WHAT OPTIONS...: there and back.
switches() {
  local what=$1 before spis when_tcp when_udp
  shift
  hold "$what: the client logs in by cTCP" adit_client c1 "$@" --transport ctcp,nat-t
  hold "$what: by cTCP, at both ends" answers "ctcp ctcp" ways
  hold "$what: the inner server answers" reaches c1 "$SERVER4"
  before=$(session) spis=$(spis)
  pings_start c1 "$SERVER4" 0.05
  sleep 1
  when_tcp=$EPOCHREALTIME
  forbid tcp
  hold "$what: TCP is dropped, and both ends go by ESP in UDP" within 15 answers "nat-t nat-t" ways
  hold "$what: packets go on" within 5 reaches c1 "$SERVER4"
  sleep 1
  when_udp=$EPOCHREALTIME
  forbid udp
  hold "$what: UDP is dropped instead, and both go back to cTCP" within 15 answers "ctcp ctcp" ways
  hold "$what: packets go on again" within 5 reaches c1 "$SERVER4"
  sleep 1
  pings_end c1 >/dev/null
  forbid nothing
  hold "$what: it took less than 10 s" gap_below 10000 "$when_tcp" "$what, cTCP to NAT-T"
  hold "$what: and so did the way back" gap_below 10000 "$when_udp" "$what, NAT-T to cTCP"
  hold "$what: it is the same session" answers "$before" session
  hold "$what: with the same SAs" answers "$spis" spis
  hold "$what: 10 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" 10
  hold "$what: 10 MB arrive unchanged from server to client" transfers s c1 "$(adit_client_told c1 .address)" 10
  hold "$what: IKE goes there, too: the client logs out" adit_client_stop c1
  hold "$what: nothing is left" within 5 nothing_left
}

switches "IKEv1" --group riggroup
switches "IKEv2" --ike 2 --id alice@rig
nat r ports
switches "IKEv2 behind a NAT" --ike 2 --id alice@rig
