#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
SECOND=10.20.0.3
ip -n "$RIG-s" addr add "$SECOND/24" dev eth0
client_start c1
hold "the client logs in" connect c1 one
hold "a second child SA is made" connect c1 two
hold_of_adit "one session with two SA pairs" answers "1 sessions, 2 SAs" service

# carried ADDRESS: whether the child SA to this server has carried more than 10 MB each way.
carried() {
  ctl sa --json | jq -e --arg net "$1/32" 'map(select(.local == [$net] and .state == "active")) | length == 1 and
    .[0].bytes_in > 10000000 and .[0].bytes_out > 10000000'
}
# idle ADDRESS: whether it has carried next to nothing.
idle() {
  ctl sa --json | jq -e --arg net "$1/32" 'map(select(.local == [$net] and .state == "active")) | length == 1 and
    .[0].bytes_in < 100000 and .[0].bytes_out < 100000'
}

# downloads ADDRESS MEGABYTES: from this address of the server's to the client; the hashes must agree.
downloads() {
  local file port
  file=$(payload "$2")
  port=$((20000 + RANDOM % 10000))
  in_ns s timeout 60 socat -u -b 262144 "OPEN:$file,rdonly" "TCP4-LISTEN:$port,bind=$1,reuseaddr" &
  local sender=$!
  until_true 10 listens s "$port" || { echo "error: the sender does not listen"; return 1; }
  local got
  got=$(in_ns c1 timeout 60 socat -u -b 262144 "TCP4:$1:$port" - | sha256sum | cut -d' ' -f1)
  wait "$sender" || true
  is "$(sha256sum <"$file" | cut -d' ' -f1)" "$got"
}

hold "20 MB arrive at the first server" transfers c1 s "$SERVER4" 20
hold "20 MB arrive from the first server" downloads "$SERVER4" 20
hold_of_adit "they went by the first child SA" carried "$SERVER4"
hold_of_adit "and not by the second" idle "$SECOND"
hold "20 MB arrive at the second server" transfers c1 s "$SECOND" 20
hold "20 MB arrive from the second server" downloads "$SECOND" 20
hold_of_adit "they went by the second child SA" carried "$SECOND"

hold "the second child SA is rekeyed" strongswan_ctl c1 --rekey --child two
hold "both servers answer" reaches c1 "$SERVER4"
hold "both servers answer" reaches c1 "$SECOND"
hold "two SA pairs are left" within 10 answers "1 sessions, 2 SAs" service
hold "the second child SA is deleted" strongswan_ctl c1 --terminate --child two --timeout 10
hold "one SA pair is left" within 10 answers "1 sessions, 1 SAs" service
hold "the first server answers" reaches c1 "$SERVER4"
hold "the client logs out" disconnect c1 adit
hold "nothing is left" within 5 nothing_left
