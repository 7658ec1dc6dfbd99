#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
SERVER=$HEADEND6
filter() {
  case $1 in
    nat-t) echo 'ipv6 && udp.port == 4500 && udpencap && esp' ;;
    esp) echo 'ipv6.nxt == 50' ;;
    ctcp) echo 'ipv6 && tcp.port == 10000 && tcp.len > 100' ;;
  esac
}
for version in 1 2; do
  as=(--ike 2 --id alice@rig)
  [ $version = 2 ] || as=(--group riggroup)
  for way in nat-t esp ctcp; do
    what="IKEv$version, $way"
    # Each has its own capture, which is long enough for all of it.
    capture_end
    capture
    hold "$what: the client logs in" adit_client c1 "${as[@]}" --transport $way
    hold "$what: both ends say so" answers "$way $way v$version" \
      eval 'echo "$(adit_client_told c1 .transport) $(transport) $(ctl sessions --json | jq -r ".[].ike")"'
    hold "$what: over IPv6" eval "ctl sessions --json | jq -r '.[].peer' | grep -F '[fd99:1::2]:'"
    hold "$what: the inner server answers" reaches c1 "$SERVER4"
    hold "$what: 10 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" 10
    hold "$what: 10 MB arrive unchanged from server to client" transfers s c1 "$(adit_client_told c1 .address)" 10
    [ $version = 1 ] || hold "$what: the inner server answers over IPv6, too" reaches c1 "$SERVER6"
    hold "$what: the client logs out" adit_client_stop c1
    hold "$what: nothing is left" within 5 nothing_left
    hold "$what: it is on the wire" on_wire "$(filter $way)"
    hold "$what: nothing went over IPv4" not_on_wire "ip.addr == $HEADEND4"
  done
done
