#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
for i in 1 2; do
  ip -n "$RIG-r" link set "lan$i" mtu 1280
  ip -n "$RIG-c$i" link set eth0 mtu 1280
done
in_ns r nft -f - <<<'table ip rig_icmp { chain out { type filter hook output priority 0; oifname "wan" meta l4proto icmp drop; }; }'

learned() { ctl workers --json | jq '[.[].mtu_learned] | add'; }
# What fits 1280 octets with AES-GCM: less IP (20 or 40), UDP 8, ESP 8, IV 8, ICV 16, trailer 2.
learns=0
for line in "c1 IPv4 1218" "c2 IPv6 1198"; do
  read -r client outside fits <<<"$line"
  client_start "$client"
  hold "$outside outside: the client logs in" connect "$client" net
  v4=$(virtual_ip "$client" 4) v6=$(virtual_ip "$client" 6)
  hold "$outside outside: 10 MB arrive unchanged from server to client, before anything is known of the line" transfers s "$client" "$v4" 10 60
  hold "$outside outside: and over IPv6" transfers s "$client" "$v6" 10 60
  hold "$outside outside: a ping of 1400 octets with DF passes, in fragments outside" answered s "$v4" 1400 do
  hold "$outside outside: 10 MB arrive unchanged from client to server, in outer fragments" transfers "$client" s "$SERVER4" 10 60
  hold "$outside outside: and over IPv6" transfers "$client" s "$SERVER6" 10 60
  learns=$((learns + 1))
  hold_of_adit "$outside outside: the tunnel has learned its MTU from them" is "$learns" "$(learned)"
  hold_of_adit "$outside outside: aditctl shows it" is "$fits" "$(ctl sa --json | jq '[.[].inner_mtu] | min')"
  hold_of_adit "$outside outside: who sends 1400 octets with DF is told $fits" told s "$v4" 1400 "$fits"
  hold_of_adit "$outside outside: who sends $((fits + 1)) octets with DF is told $fits" told s "$v4" $((fits + 1)) "$fits"
  hold "$outside outside: $fits octets with DF are answered" answered s "$v4" "$fits" do
  hold "$outside outside: 1400 octets without DF are answered" answered s "$v4" 1400 dont
  hold_of_adit "$outside outside: who sends 1400 octets of IPv6 is told 1280, which every path must carry" told s "$v6" 1400 1280
  hold "$outside outside: 1280 octets of IPv6 are answered" answered s "$v6" 1280 do
  hold "$outside outside: 5000 octets of IPv6 are answered" answered "$client" "$SERVER6" 5000 dont
  hold "$outside outside: 10 MB arrive unchanged from server to client, clamped" transfers s "$client" "$v4" 10 60
  hold "$outside outside: and over IPv6" transfers s "$client" "$v6" 10 60
done
clamped() { [ "$(ctl workers --json | jq '[.[].mss_clamped] | add')" -gt 0 ]; }
hold_of_adit "SYNs were clamped" clamped
