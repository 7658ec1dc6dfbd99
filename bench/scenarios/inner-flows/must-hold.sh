#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
client_start c1
hold "the client logs in" connect c1 net
# The cable to the inner server goes, and a line of 10 ms comes in its place. It carries segment by segment, so that one of a hundred of them
# is lost: the client's behind the headend, the server's in front of it.
in_ns h python3 "$SCENARIOS/long-line.py" 10 "$RIG-s" >"$RIG_DIR/long-line.log" 2>&1 &
until_true 5 grep -q ready "$RIG_DIR/long-line.log"
ip -n "$RIG-h" link del lan
ip -n "$RIG-h" link set far0 name lan up
ip -n "$RIG-s" link set far1 name eth0 up
address h lan 10.20.0.1/24 fd20::1/64
address s eth0 $SERVER4/24 $SERVER6/64
default_routes s 10.20.0.1 fd20::1
for end in "h lan" "s eth0"; do
  in_ns "${end% *}" nft -f - <<NFT
table inet rig_loss {
  chain first {
    type filter hook prerouting priority -500;
    iifname "${end#* }" meta l4proto tcp meta length > 1000 numgen inc mod 100 == 99 drop
  }
}
NFT
done

# flow JQ: the flows that JQ lets pass, as one JSON list.
flow() { ctl flows --json --limit 1000 | jq -c "[.flows[] | select($1)]"; }
# holds_of FLOWS JQ: there is one, and JQ is true of it.
holds_of() { jq -e "length == 1 and (.[0] | $2)" <<<"$1" || { printf 'expected: %s\ngot: %s\n' "$2" "$1"; return 1; }; }

# ctl_jq ASK JQ: what aditctl tells, through jq.
ctl_jq() {
  # shellcheck disable=SC2086 # several words
  ctl $1 --json --limit 1000 | jq -c "$2"
}

# iperf UP_OR_DOWN: four seconds of TCP; iperf3's own words are in iperf-UP_OR_DOWN.json.
iperf() {
  local port=$((20000 + RANDOM % 10000)) reverse=()
  [ "$1" = up ] || reverse=(-R)
  in_ns s iperf3 -s -1 -B "$SERVER4" -p "$port" >"$RIG_DIR/iperf-$1.server" 2>&1 &
  local server=$!
  until_true 10 listens s "$port"
  echo "$port" >"$RIG_DIR/iperf-$1.port"
  in_ns c1 iperf3 -c "$SERVER4" -p "$port" -t 4 --json "${reverse[@]}" >"$RIG_DIR/iperf-$1.json" || { cat "$RIG_DIR/iperf-$1.json"; return 1; }
  wait "$server" || true
}
# data_flow UP_OR_DOWN: the flow of that run's data, not iperf3's own questions beside it.
data_flow() { flow ".protocol == \"tcp\" and .server == \"$SERVER4:$(cat "$RIG_DIR/iperf-$1.port")\"" | jq -c "[max_by(.$1.bytes)]"; }
# counted UP_OR_DOWN FLOW: what went this way, less 52 octets of headers a packet, is no less than iperf3 received, and no more than it sent with
# what its TCP says that it sent again; each within 1 %.
counted() {
  local received sent
  received=$(jq .end.sum_received.bytes "$RIG_DIR/iperf-$1.json")
  sent=$(jq '.end.sum_sent | .bytes + 1348 * .retransmits' "$RIG_DIR/iperf-$1.json")
  holds_of "$2" ".$1 | .bytes - 52 * .packets | . >= $received * 0.99 and . <= $sent * 1.01"
}
# repeated UP_OR_DOWN FLOW: about as many segments were seen again or late as the sender's TCP says that it sent again.
repeated() {
  local again
  again=$(jq .end.sum_sent.retransmits "$RIG_DIR/iperf-$1.json")
  holds_of "$2" ".tcp.retransmitted_$1 | . > 0 and . >= $again / 2 and . <= $again * 2"
}
fast() { ctl flows --json --limit 1 | jq -e '.flows[0] | .up.bits_per_second > 100000 and .idle_ms < 1000'; }

hold "the inner server answers" reaches c1 "$SERVER4"
if [ "$ADIT_HEADEND" = adit ]; then
  echo_flow=$(flow '.protocol == "icmp"')
  hold "three echoes are a flow of the session's" holds_of "$echo_flow" \
    '.session == "s1" and .identity == "alice@rig" and .up == {packets: 3, bytes: 252, bits_per_second: .up.bits_per_second}
      and .down.packets == 3 and .client != .server and .tcp == null'
fi

iperf up &
uploading=$!
hold_of_adit "while the client sends, its flow is the first and has a rate" within 4 fast
hold "iperf3 sends for four seconds" wait "$uploading"
hold "iperf3 receives for four seconds" iperf down
if [ "$ADIT_HEADEND" = adit ]; then
  up=$(data_flow up)
  down=$(data_flow down)
  hold "what went up are iperf3's octets" counted up "$up"
  hold "what came down are iperf3's octets" counted down "$down"
  hold "segments that were lost behind the headend were seen again" repeated up "$up"
  hold "segments that were lost in front of it were seen late" repeated down "$down"
  hold "the server is 20 ms away" holds_of "$up" \
    '.tcp.server_rtt | .least_us >= 19000 and .smoothed_us >= 19000 and .smoothed_us < 80000'
  hold "the client is nearer" holds_of "$down" '.tcp.client_rtt.least_us < 15000'
  hold "both ends were told of segments that fit the tunnel" holds_of "$up" \
    '(.tcp.client_mss | . > 1200 and . < 1400) and (.tcp.server_mss | . > 1200 and . < 1400)'
  hold "the connections are over" holds_of "$up" '.tcp.state | . == "closed" or . == "closing" or . == "reset"'
  hold "a page can be asked for by session" answers true \
    ctl_jq 'flows --session s1' '(.flows | length) >= 5 and all(.flows[]; .session == "s1")'
  hold "each packet is some flow's" answers 0 ctl_jq flows '[.tables[].unattributed_packets] | add'
  hold "nobody else has any" not ctl flows --session s2
fi
hold "the client logs out" disconnect c1 adit
hold_of_adit "its flows are gone with it" within 5 answers 0 ctl_jq flows '.flows | length'
hold "nothing is left" within 5 nothing_left
