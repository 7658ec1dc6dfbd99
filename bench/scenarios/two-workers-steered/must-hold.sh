#!/bin/bash
. "$(dirname "$0")/../rig.sh"

# What a client's packets would have to be for its worker to be another than that of the addresses: handed over.
workers_of_sessions() { ctl sessions --json | jq -c 'map(.worker) | sort'; }
handed_over() { ctl workers --json | jq 'map(.handed_off + .taken_over) | add'; }
# carried: how many workers have received more than 10 000 packets from each side.
carried() { ctl workers --json | jq 'map(select(.outer_received > 10000 and .inner_received > 10000)) | length'; }

rig_up
hold_of_adit "the kernel takes the steering program" answers '[]' status '.lacks | map(select(test("steering"))) | tojson'
for client in c1 c2; do
  client_start "$client"
  hold "$client logs in" connect "$client" net
done
hold_of_adit "each worker has one of the sessions" answers '[0,1]' workers_of_sessions
for client in c1 c2; do
  for server in "$SERVER4" "$SERVER6"; do hold "$server answers $client" reaches "$client" "$server"; done
  hold "30 MB arrive from $client to the server" transfers "$client" s "$SERVER4" 30
  hold "30 MB arrive from the server to $client" transfers s "$client" "$(virtual_ip "$client" 4)" 30
  hold "30 MB arrive from the server to $client over IPv6" transfers s "$client" "$(virtual_ip "$client" 6)" 30
done
hold_of_adit "both workers carried their client's packets" answers 2 carried
hold_of_adit "no packet was handed over" answers 0 handed_over
