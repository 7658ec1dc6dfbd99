#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
as() { case $1 in 1) echo --group riggroup ;; 2) echo --ike 2 --id alice@rig ;; esac; }
holds_one() { ctl ike --json | jq -c '[.holdings.half_open, .holdings.sessions, .holdings.ike_sas]'; }

for version in 1 2; do
  # shellcheck disable=SC2046
  hold "IKEv$version: the client logs in" adit_client c1 $(as $version) --transport auto
  hold "IKEv$version: by the first way" answers "nat-t nat-t" eval 'echo "$(adit_client_told c1 .transport) $(transport)"'
  hold "IKEv$version: one session, and nothing else" answers '[0,1,1]' holds_one
  hold "IKEv$version: the client logs out" adit_client_stop c1
  hold "IKEv$version: nothing is left" within 5 nothing_left
done
hold "the other way was not even tried" not_on_wire 'tcp.port == 10000'

nat r masquerade
for version in 1 2; do
  # shellcheck disable=SC2046
  hold "IKEv$version: behind a NAT native ESP leads nowhere, and the client logs in" adit_client c1 $(as $version) --transport esp,nat-t
  hold "IKEv$version: by the next way" answers "nat-t nat-t" eval 'echo "$(adit_client_told c1 .transport) $(transport)"'
  hold "IKEv$version: the inner server answers" reaches c1 "$SERVER4"
  hold "IKEv$version: the client logs out" adit_client_stop c1
  hold "IKEv$version: nothing is left" within 5 nothing_left
done
in_ns r nft delete table ip rig_nat

in_ns r nft 'table inet rig_forbid { chain forward { type filter hook forward priority -10; meta l4proto udp drop; }; }'
# It tries for as long as the other one logs in and out twice.
adit_client_start c2 --ike 2 --id alice@rig --transport nat-t
for version in 1 2; do
  begin=$EPOCHREALTIME
  # shellcheck disable=SC2046
  hold "IKEv$version: UDP is dropped, and the client logs in" adit_client c1 $(as $version) --transport auto
  echo "IKEv$version: logged in by cTCP after $(since "$begin") s" | tee -a "$RIG_DIR/speeds"
  hold "IKEv$version: by cTCP" answers "ctcp ctcp" eval 'echo "$(adit_client_told c1 .transport) $(transport)"'
  hold "IKEv$version: nothing of the other call is there" answers '[0,1,1]' holds_one
  hold "IKEv$version: the inner server answers" reaches c1 "$SERVER4"
  hold "IKEv$version: the client logs out" adit_client_stop c1
  hold "IKEv$version: nothing is left" within 5 nothing_left
done
hold "who may use UDP alone still tries" answers connecting eval "adit_client_ctl c2 sessions --json | jq -r '.[].state'"
hold "and is not logged in" not test -s "$RIG_DIR/c2/client.json"
