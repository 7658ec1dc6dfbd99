#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
client_start c1
hold "the client logs in" connect c1 net
hold "the inner server answers" reaches c1 "$SERVER4"

# port_among LOW HIGH: the headend knows the client by a port of this range.
port_among() {
  local port
  port=$(ctl sessions --json | jq -r '.[].peer | split(":")[1]')
  [ "$port" -ge "$1" ] && [ "$port" -le "$2" ] || { printf 'expected: a port from %s to %s\ngot: %s\n' "$1" "$2" "$port"; return 1; }
}
moves() { grep -c 'peer moved' "$(headend_log)" || true; }
below() { [ "$2" -lt "$1" ] || { printf 'expected: less than %s\ngot: %s\n' "$1" "$2"; return 1; }; }
ended() { wait "$1" || { cat "$2"; return 1; }; }

hold_of_adit "the client is known by its first port" port_among 20000 29999
payload 50 >/dev/null
transfers c1 s "$SERVER4" 50 60 10 >"$RIG_DIR/up" 2>&1 &
up=$!
transfers s c1 "$(virtual_ip c1 4)" 50 60 10 >"$RIG_DIR/down" 2>&1 &
down=$!
pings_start c1 "$SERVER4" 0.01
sleep 2 # both transfers are in full flow
rebinds=$EPOCHREALTIME
nat_rebinds r 30000-39999
hold "every octet arrived unchanged from client to server" ended "$up" "$RIG_DIR/up"
hold "every octet arrived unchanged from server to client" ended "$down" "$RIG_DIR/down"
pings=$(pings_end c1)
echo "pings: $pings, interrupted for $(interruption c1 "$rebinds") ms" | tee -a "$RIG_DIR/speeds"
hold "pings were sent all the while" pings_steady c1 "${pings%% *}"
hold_of_adit "the interruption is shorter than 0.3 s" below 300 "$(interruption c1 "$rebinds")"
hold_of_adit "aditctl shows the new port" port_among 30000 39999
# The kernel forgets its connections one by one: what passes meanwhile may get a port that is forgotten, too.
each_once() { [ "$(moves)" -ge 1 ] && [ "$(moves)" -le 2 ] && is "$(moves)" "$(grep 'peer moved' "$(headend_log)" | grep -oE 'to=[^ ]+' | sort -u | wc -l)"; }
hold_of_adit "the move is in the log, once" each_once
MOVED=$(moves)
hold_of_adit "and says that ESP showed it" says "$(headend_log)" 'peer moved.*by="?ESP'

# Whoever recorded the client's packets sends them again from elsewhere.
replayed() { ctl drops --json | jq -r '[.[] | select(.name == "replayed" or .name == "too_old") | .total] | add // 0'; }
if [ "$ADIT_HEADEND" = adit ]; then
  before=$(replayed)
  hold "two recorded packets are sent again from another port" in_ns r python3 "$ADIT_SCENARIO/replay.py" "$RIG_DIR/wan.pcap" "$HEADEND4" 6666
  hold "the headend knows them" within 5 answers $((before + 2)) replayed
  hold "they have moved nobody" answers "$MOVED" moves
  hold "the client is still known by its port" port_among 30000 39999
fi

# Only the server sends, and nothing answers. The client's own first packet (one ping) tells where it is.
in_ns c1 python3 "$ADIT_SCENARIO/stream.py" receive 6 >"$RIG_DIR/arrivals" &
receiver=$!
in_ns s python3 "$ADIT_SCENARIO/stream.py" send "$(virtual_ip c1 4)" 5 &
sender=$!
hold "the stream arrives" within 3 test -s "$RIG_DIR/arrivals"
nat_rebinds r 40000-49999
sleep 1 # the NAT has no mapping for what comes from outside
# again_after BEGIN: milliseconds to the first arrival that came later.
again_after() { awk -v begin="$1" '$1 > begin {printf "%d\n", ($1 - begin) * 1000; exit}' "$RIG_DIR/arrivals"; }
hold "nothing reaches the client meanwhile" answers "" again_after "$(awk -v now="$EPOCHREALTIME" 'BEGIN {printf "%.6f", now - 0.5}')"
begin=$EPOCHREALTIME
in_ns c1 ping -q -c 1 -W 2 "$SERVER4" >/dev/null || true
hold "the stream was sent" wait "$sender"
hold "and received" wait "$receiver"
echo "downwards again $(again_after "$begin") ms after the client's packet" | tee -a "$RIG_DIR/speeds"
hold_of_adit "it arrives again" test -n "$(again_after "$begin")"
hold_of_adit "within 0.3 s of the client's first packet" below 300 "$(again_after "$begin")"
hold_of_adit "aditctl shows the third port" port_among 40000 49999

hold_logout
