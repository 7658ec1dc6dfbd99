#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
for client in c1 c2; do
  client_start "$client"
  hold "$client logs in" connect "$client" net
done
hold_of_adit "two sessions with an SA pair each" answers "2 sessions, 2 SAs" service
workers_in_use() { ctl sessions --json | jq -c 'map(.worker) | sort'; }
hold_of_adit "each has a worker of its own" answers "[0,1]" workers_in_use
hold "their inner addresses differ" not is "$(virtual_ip c1 4)" "$(virtual_ip c2 4)"
for client in c1 c2; do
  hold "the inner IPv4 server answers $client" reaches "$client" "$SERVER4"
  hold "the inner IPv6 server answers $client" reaches "$client" "$SERVER6"
done
hold_of_adit "c1 reaches c2 through the headend" reaches c1 "$(virtual_ip c2 4)"
hold_of_adit "c2 reaches c1 over IPv6" reaches c2 "$(virtual_ip c1 6)"
# last_hop FAMILY: who tells c1 that its packet to c2 had no hop left.
last_hop() {
  { in_ns c1 ping "-$1" -n -c 1 -t 1 -W 2 "$(virtual_ip c2 "$1")" || true; } | sed -nE 's/^From (\S+) icmp_seq=1 Time (to live )?exceeded.*/\1/p'
}
hold_of_adit "between c1 and c2 there is one hop, the headend" answers 10.30.0.1 last_hop 4
hold_of_adit "over IPv6, too" answers fd30::1 last_hop 6

all_at_once() {
  local jobs=() job
  payload 50 >/dev/null
  for client in c1 c2; do
    transfers "$client" s "$SERVER4" 50 150 &
    jobs+=($!)
    transfers s "$client" "$(virtual_ip "$client" 4)" 50 150 &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do wait "$job" || return 1; done
}
hold "four transfers of 50 MB at once arrive unchanged" all_at_once
for client in c1 c2; do hold "$client logs out" disconnect "$client" adit; done
hold "nothing is left" within 5 nothing_left
