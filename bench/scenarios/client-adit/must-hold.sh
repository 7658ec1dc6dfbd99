#!/bin/bash
. "$(dirname "$0")/../rig.sh"

pki_make
rig_up
# To see that nobody answers takes the client a while: it asks while the other one logs in and out.
SERVER=198.51.100.1 adit_client_start c2 --group riggroup
# The wire says how packets really travelled.
filter() {
  case $1 in
    nat-t) echo 'udp.port == 4500 && udpencap && esp' ;;
    esp) echo 'ip.proto == 50' ;;
    cisco-udp) echo 'udp.port == 10000' ;;
  esac
}
for way in nat-t esp cisco-udp; do
  for mode in aggressive main; do
    hold "$way, $mode mode: the client logs in" adit_client c1 --group riggroup --transport $way --mode $mode
    hold "$way, $mode mode: one session with one SA pair" answers "1 sessions, 1 SAs" service
    hold "$way, $mode mode: both ends say so" answers "$way $way" eval 'echo "$(adit_client_told c1 .transport) $(transport)"'
    hold "$way, $mode mode: the address is the headend's word" answers "$(ctl sessions --json | jq -r '.[].addresses[0]')" \
      adit_client_told c1 .address
    hold "$way, $mode mode: so are banner, name server and routes" \
      answers 'Welcome to the rig 10.20.0.2 10.20.0.0/24' adit_client_told c1 '"\(.banner) \(.dns[0]) \(.routes[0])"'
    hold "$way, $mode mode: the inner server answers" reaches c1 "$SERVER4"
    hold "$way, $mode mode: 10 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" 10
    hold "$way, $mode mode: 10 MB arrive unchanged from server to client" transfers s c1 "$(adit_client_told c1 .address)" 10
    hold "$way, $mode mode: the client logs out" adit_client_stop c1
    hold "$way, $mode mode: nothing is left" within 5 nothing_left
  done
  hold "$way: it is on the wire" on_wire "$(filter $way)"
done

for way in nat-t esp; do
  hold "$way, IKEv2: the client logs in" adit_client c1 --ike 2 --id alice@rig --transport $way
  hold "$way, IKEv2: one session with one SA pair" answers "1 sessions, 1 SAs" service
  hold "$way, IKEv2: both ends say so" answers "$way $way v2" \
    eval 'echo "$(adit_client_told c1 .transport) $(transport) $(ctl sessions --json | jq -r ".[].ike")"'
  hold "$way, IKEv2: name server and routes are the headend's" answers '10.20.0.2 10.20.0.0/24' adit_client_told c1 '"\(.dns[0]) \(.routes[0])"'
  hold "$way, IKEv2: the inner server answers" reaches c1 "$SERVER4"
  hold "$way, IKEv2: 10 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" 10
  hold "$way, IKEv2: 10 MB arrive unchanged from server to client" transfers s c1 "$(adit_client_told c1 .address)" 10
  hold "$way, IKEv2: the client logs out" adit_client_stop c1
  hold "$way, IKEv2: nothing is left" within 5 nothing_left
done

# A client lets nobody in: whoever got an answer in aggressive mode could guess the secret with it, at leisure.
stranger() { in_ns r ike-scan --retry=2 --timeout=400 --backoff=1 -M --trans=7/256,2,65001,14 --vendor=09002689dfd6b712 "$@" 10.99.1.2; }
handshake() { stranger "$@" | grep -E 'Handshake returned|Notify message'; }
counted() { test "$(adit_client_ctl c1 ike --json | jq '[.ignored[] | select(.name == "client_only").total] | add')" -ge "$1"; }
no_gateway_changed() { answers "$routes_before" in_ns c1 ip route show; }
routes_before=$(in_ns c1 ip route show)
hold "the client logs in, and wants everything in the tunnel" adit_client c1 --group riggroup --route 0.0.0.0/0
hold "a stranger's aggressive mode gets no answer from the client" not handshake -A --id=anybody --idtype=11 --dhgroup=14
hold "nor does main mode" not handshake
hold "and the client has counted both" counted 2
hold "it says so" answers 0.0.0.0/0 adit_client_told c1 '.routes[]'
hold "what is anywhere goes into the tunnel" eval "in_ns c1 ip route get 203.0.113.7 | grep 'dev adit-c0'"
hold "the headend's neighbours, too" eval "in_ns c1 ip route get 198.51.100.3 | grep 'dev adit-c0'"
hold "the headend itself does not" eval "in_ns c1 ip route get $HEADEND4 | grep 'via 10.99.1.1 dev eth0'"
hold "the inner server answers" reaches c1 "$SERVER4"
hold "10 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" 10
hold "the client logs out" adit_client_stop c1
hold "the host's routes are as they were" no_gateway_changed
hold "nothing is left" within 5 nothing_left

for mode in aggressive main; do
  hybrid="--group hybrid --hybrid-ca $RIG_DIR/pki/ca.crt --mode $mode"
  # shellcheck disable=SC2086
  hold "hybrid, $mode mode: the client logs in" adit_client c1 $hybrid --server-id headend.rig
  hold "hybrid, $mode mode: it is the connection with a certificate" answers hybrid \
    eval 'ctl sessions --json | jq -r ".[].connection"'
  hold "hybrid, $mode mode: the inner server answers" reaches c1 "$SERVER4"
  hold "hybrid, $mode mode: the client logs out" adit_client_stop c1
  hold "hybrid, $mode mode: nothing is left" within 5 nothing_left
done
# shellcheck disable=SC2086
hold "a certificate of somebody else's is none" not adit_client c1 $hybrid --server-id somebody.rig
hold "and the log says so" says "$RIG_DIR/c1/client.log" 'login failed.*cause="wrong_responder_identity"|cause="wrong_responder_identity".*login failed'

# ended HOST CODE
ended() {
  local code=0
  wait "$(cat "$RIG_DIR/$1/client.pid")" || code=$?
  is "$2" "$code"
}
hold "where nobody answers there is no login" ended c2 3
adit_client c1 --group riggroup
hold "the headend leaves, and says goodbye" headend_stop
hold "the client notices, and says so by its exit status" ended c1 4
hold "its interface is gone" not ip -n "$RIG-c1" link show adit-c0
