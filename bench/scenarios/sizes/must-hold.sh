#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
ip -n "$RIG-h" link set lan mtu 9000
ip -n "$RIG-s" link set eth0 mtu 9000
hold_login
v4=$(virtual_ip c1 4) v6=$(virtual_ip c1 6)

# First: who has been told the MTU announces no more.
hold "10 MB arrive unchanged from server to client" transfers s c1 "$v4" 10 60
clamped() { [ "$(ctl workers --json | jq '[.[].mss_clamped] | add')" -gt 0 ]; }
hold_of_adit "the server's SYN was clamped" clamped

# 1500 less IP 20, UDP 8, ESP 8, IV 8, ICV 16, and body and trailer are a multiple of 4.
for octets in 100 576 1280 1400 1437 1438; do
  hold "IPv4, $octets octets with DF are answered" answered s "$v4" "$octets" do
  hold "IPv6, $octets octets are answered" answered s "$v6" "$octets" do
done
# First without DF: who has been told the MTU cuts by itself.
for octets in 1439 1500 3000 9000; do
  hold "IPv4, $octets octets without DF are answered" answered s "$v4" "$octets" dont
done
fragmented() { [ "$(ctl workers --json | jq '[.[].inner_fragmented] | add')" -ge 4 ]; }
hold_of_adit "they were cut before encryption" fragmented
for octets in 1439 1500 3000 9000; do
  hold_of_adit "IPv4, $octets octets with DF: the sender is told 1438" told s "$v4" "$octets" 1438
  hold_of_adit "IPv6, $octets octets: the sender is told 1438" told s "$v6" "$octets" 1438
  hold "IPv6, $octets octets are answered, cut by their sender" answered s "$v6" "$octets" dont
done
for octets in 1400 3000 9000; do
  hold "IPv4, $octets octets from the client are answered" answered c1 "$SERVER4" "$octets" dont
  hold "IPv6, $octets octets from the client are answered" answered c1 "$SERVER6" "$octets" dont
done
# ECN: the router marks what comes from the client.
hold "expedited packets are answered" answered s "$v4" 200 dont 0xb8
in_ns r nft -f - <<<'table ip rig_mark { chain marks { type filter hook forward priority 0; oifname "wan" udp dport 4500 ip ecn set ce; }; }'
hold_of_adit "marked outside, and its transport knows marks: it passes" answered c1 "$SERVER4" 200 dont 0x02
hold_of_adit "marked outside, and its transport knows none: it is dropped" not answered c1 "$SERVER4" 200 dont 0x00
congested() { [ "$(ctl drops --json | jq '.[] | select(.name == "congested") | .total')" -gt 0 ]; }
hold_of_adit "and counted" congested
in_ns r nft delete table ip rig_mark

capture_end
# seen FILTER: there is such a packet from the headend.
seen() { [ -n "$(tcpdump -c 1 -nr "$RIG_DIR/wan.pcap" "src host $HEADEND4 and udp src port 4500 and ($1)" 2>/dev/null)" ]; }
hold_of_adit "DF is set outside where it is set inside" seen 'ip[6] & 0x40 != 0 and ip[2:2] > 1400'
hold_of_adit "and clear where it is clear" seen 'ip[6] & 0x40 == 0 and ip[2:2] > 1400'
hold_of_adit "DSCP is copied" seen 'ip[1] == 0xb8'
