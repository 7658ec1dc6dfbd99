#!/bin/bash
. "$(dirname "$0")/../rig.sh"

topology_up "$CLIENTS" "$NAT"
ip -n "$RIG-h" link set lo up
freeradius_start first 127.0.0.2 "$ADIT_SCENARIO/users"
headend_start
FILE=$RIG_DIR/h/aditd.toml

# session JQ: of the session that is up by the connection road-warriors.
session() { ctl sessions --json | jq -r ".[] | select(.state == \"up\" and .connection == \"road-warriors\") | $1"; }
dropped() { test "$(session ".drops.$1 // 0")" -gt 0 || { session .drops; return 1; }; }
# change SED: another file, and a reload; what is said of it is in $RIG_DIR/said.
change() { sed -i "$1" "$FILE" && ctl reload >"$RIG_DIR/said"; }

# iperf NAME SECONDS OPTIONS...: what the receiver got in bits a second, by iperf3 on c1; in $RIG_DIR/NAME.
iperf() {
  local name=$1 time=$2 port=$((20000 + RANDOM % 10000))
  shift 2
  in_ns s iperf3 -s -1 -B "$SERVER4" -p "$port" >"$RIG_DIR/iperf-$name.server" 2>&1 &
  local server=$!
  until_true 10 listens s "$port"
  in_ns c1 iperf3 -c "$SERVER4" -p "$port" -O 1 -t "$time" --json "$@" >"$RIG_DIR/iperf-$name.json" || { cat "$RIG_DIR/iperf-$name.json"; return 1; }
  wait "$server" || true
  # Of UDP the receiver's sums are those of what was not lost.
  jq '.end | if .sum_received then .sum_received.bits_per_second else .sum.bits_per_second * (1 - .sum.lost_percent / 100) end | floor' \
    "$RIG_DIR/iperf-$name.json" | tee "$RIG_DIR/$name"
}
# comes_to NAME LEAST MOST LIMIT: what it got is so many percent of LIMIT Mbit/s.
comes_to() {
  awk -v got="$(cat "$RIG_DIR/$1")" -v least="$2" -v most="$3" -v limit="$4" 'BEGIN {
    part = got / limit / 10000; printf "measured: '"$1"' %.2f Mbit/s, %.1f %% of %s\n", got / 1e6, part, limit; exit !(part >= least && part <= most)}' |
    tee -a "$RIG_DIR/measured"
  return "${PIPESTATUS[0]}"
}

# What the machine has may be BBR, which takes losses for a short buffer and goes far below the rate.
TCP=(-C cubic)
client_start c1
hold "strongSwan logs in" connect c1 net
hold "its class is shown" answers "bronze 10000000 20000000" session '"\(.class) \(.rate_up) \(.rate_down)"'
ID=$(session .id)
hold "TCP from the client runs" iperf tcp-up 3 "${TCP[@]}"
hold "at 80 to 105 % of 10 Mbit/s" comes_to tcp-up 80 105 10
hold "TCP to the client runs" iperf tcp-down 3 -R "${TCP[@]}"
hold "at 80 to 105 % of 20 Mbit/s" comes_to tcp-down 80 105 20
hold "UDP at 40 Mbit/s to the client runs" iperf udp-down 2 -R -u -b 40M -l 1200
hold "and arrives at 20 Mbit/s" comes_to udp-down 90 105 20
hold "the session's own drops tell of both directions: up" dropped over_rate_up
hold "and down" dropped over_rate_down
hold "aditctl why says it in words" eval "ctl why $ID | grep 'packets of its own: more comes for the client than its session may receive \[over_rate_down\]'"

hold "a reload gives it another class" change 's/^class = .*/class = "gold"/'
hold "and says whom that touches" says "$RIG_DIR/said" 'class: "bronze" → "gold": at once; 1 session goes on with it'
hold "the session is the same, and as fast as its new class" answers "$ID gold 80000000" session '"\(.id) \(.class) \(.rate_down)"'
hold "TCP to the client runs" iperf tcp-gold 2 -R "${TCP[@]}"
# Far more than the class before had; a burst is 5 % of two seconds.
hold "at 40 to 110 % of 80 Mbit/s" comes_to tcp-gold 40 110 80

client_start c2
hold "a second login of the same identity stays out" not connect c2 net
hold "the log says why" says "$(headend_log)" 'login refused: .*cause="?login_limit'
hold "the first one goes on" answers "$ID" session .id
hold "from now on the oldest makes place" change 's/^at_max_logins = .*/at_max_logins = "replace"/'
hold "the second one comes in" connect c2 net
hold "it is another session" other "$ID" session .id
hold "and the first one has ended by it" within 5 says "$(headend_log)" "logout: .*cause=\"?replaced"

hold "an idle timeout comes" change 's/^idle_timeout = .*/idle_timeout = "3s"/'
hold "the session ends by it" within 8 answers "" session .id
hold "the log says so" says "$(headend_log)" 'logout: .*cause="?idle_timeout'
hold "and the client has heard of it" within 5 answers "0 0" sas_of c2

hold "vpnc logs in by RADIUS" vpnc_connect c3 "$ADIT_SCENARIO/carol.conf"
hold "Filter-Id is its class, and WISPr's rate wins" answers "gold 2000000 80000000 3" \
  eval "ctl sessions --json | jq -r '.[] | select(.identity == \"carol\") | \"\(.class) \(.rate_up) \(.rate_down) \(.max_logins)\"'"
vpnc_stop c3 || true
hold "nothing is left" within 5 nothing_left
cat "$RIG_DIR/measured"
