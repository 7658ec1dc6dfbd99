#!/bin/bash
. "$(dirname "$0")/../rig.sh"

topology_up 1 none
capture
strongswan_start h "$ADIT_SCENARIO/headend.swanctl.conf"

as_alice=(--ike 2 --id alice@rig --server-id headend.rig)
sas_there() { strongswan_ctl h --list-sas | awk '/IKEv2/ {ike++} /INSTALLED/ {child++} END {print ike+0, child+0}'; }
drops() { adit_client_ctl c1 drops --json | jq -r '.[] | select(.total > 0 and .name != "no_route") | "\(.name): \(.total)"'; }
# rekeyed WHAT BY: how often the client says so.
rekeyed() { grep -acE "$1 SA rekeyed.*by=\"$2\"" "$RIG_DIR/c1/client.log" || true; }
more_rekeyed() { test "$(rekeyed "$1" "$2")" -gt "$3"; }

# pings_through TEXT: what happened since pings_start cost none.
pings_through() {
  local pings
  hold "$1: packets go on" reaches c1 "$SERVER4"
  pings=$(pings_end c1)
  echo "pings through $1: $pings" | tee -a "$RIG_DIR/speeds"
  hold "$1: no ping was lost" is "${pings%% *} sent, 0 lost" "$pings"
}

hold "the client logs in" adit_client c1 "${as_alice[@]}"
hold "strongSwan holds one IKE SA and one pair of ESP SAs" answers "1 1" sas_there
hold "addresses of strongSwan's pools" eval 'adit_client_told c1 ".addresses | join(\" \")" | grep -E "^10\.30\.0\.[0-9]+ fd30::[0-9a-f]+$"'
hold "and its name server" answers 10.20.0.2 adit_client_told c1 '.dns[0]'
hold "the networks of its traffic selectors are routed, and no other" answers '["10.20.0.0/24","fd20::/64"]' jq -c .routes "$RIG_DIR/c1/client.json"
hold "by ESP in UDP 4500" answers nat-t adit_client_told c1 .transport
for family in 4 6; do
  server=SERVER$family
  address=$(adit_client_told c1 ".addresses[$((family / 2 - 2))]")
  hold "the inner server answers over IPv$family" reaches c1 "${!server}"
  hold "10 MB arrive unchanged over IPv$family from client to server" transfers c1 s "${!server}" 10
  hold "10 MB arrive unchanged over IPv$family from server to client" transfers s c1 "$address" 10
done
hold "ESP in UDP 4500 is on the wire" on_wire 'udp.port == 4500 && udpencap && esp'

for what in child IKE; do
  before=$(rekeyed $what "the peer")
  pings_start c1 "$SERVER4" 0.02
  hold "strongSwan rekeys the $what SA" strongswan_ctl h --rekey "--${what,,}" net
  hold "the client has taken it up" within 10 more_rekeyed $what "the peer" "$before"
  pings_through "strongSwan's rekey of the $what SA"
done
hold "the client dropped nothing" answers "" drops
hold "the client logs out" adit_client_stop c1
hold "strongSwan has forgotten it" within 5 answers "0 0" sas_there
hold "the interface is gone" not ip -n "$RIG-c1" link show adit-c0

hold "a login that rekeys by itself" adit_client c1 "${as_alice[@]}" --esp-rekey 3 --ike-rekey 5
pings_start c1 "$SERVER4" 0.02
for what in child IKE; do
  hold "strongSwan has let the $what SA be replaced, twice" within 20 more_rekeyed $what us 1
done
pings_through "the client's rekeys"
hold "strongSwan holds one of each" within 5 answers "1 1" sas_there
hold "the client logs out" adit_client_stop c1
hold "strongSwan has forgotten it" within 5 answers "0 0" sas_there

# refused EXPECTED_CODE OPTIONS...: a login that comes to nothing, by its exit status.
refused() {
  local expected=$1 code=0
  shift
  adit_client_start c1 "$@"
  wait "$(cat "$RIG_DIR/c1/client.pid")" || code=$?
  is "$expected" "$code"
}
GROUP_SECRET=wrong
hold "a wrong key is no login, and says so" refused 3 "${as_alice[@]}"
hold "the log has the cause" says "$RIG_DIR/c1/client.log" 'cause="refused"'
unset GROUP_SECRET
hold "neither is a headend that is somebody else" refused 3 --ike 2 --id alice@rig --server-id somebody.rig
hold "the log has that cause, too" says "$RIG_DIR/c1/client.log" 'cause="wrong_responder_identity"'
hold "an option of the other version is a wrong command line" refused 2 "${as_alice[@]}" --mode main
hold "nothing is left at strongSwan" within 10 answers "0 0" sas_there
hold "no secret is in the client's log" not grep -aE 'rig-psk-secret' "$RIG_DIR/c1/client.log"
