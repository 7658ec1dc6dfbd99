#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
ip netns exec "$RIG-s" python3 "$ADIT_SCENARIO/echo.py" 7007 >"$RIG_DIR/echo.log" 2>&1 &
echoes() { in_ns s ss -Hlun "sport = :7007" | grep -q .; }
until_true 10 echoes

tuns() { ip -n "$RIG-c1" -o link show type tun | wc -l; }
# told FIELD: of the load's line, which is the last one. ended CODE: the client has ended by itself, with this status.
load_told() { tail -1 "$RIG_DIR/c1/client.json" | jq -r "$1"; }
ended() {
  local code=0
  wait "$(cat "$RIG_DIR/c1/client.pid")" || code=$?
  is "$1" "$code"
}
load_says() { answers "$1" load_told '"\(.sent) sent, \(.received) received, \(.lost_percent) % lost, \(.again) again, \(.foreign) foreign"'; }
in_order() { load_told '.round_trip_us | [.least, .quarter, .median, .three_quarters, .most] | . == sort and .[0] > 0' | grep -qx true; }

hold "with an interface there is one to be seen" adit_client c1 --group riggroup
hold "and it is of the kind that is looked for below" answers 1 tuns
hold "the client logs out" adit_client_stop c1
hold "nothing is left" within 5 nothing_left

# From here on the client cannot make an interface, whatever it tries.
REAL_BENCH=$ADIT_BENCH
ADIT_BENCH=$RIG_DIR/bench-without-net-admin
printf '#!/bin/sh\nexec setpriv --bounding-set=-net_admin "%s" "$@"\n' "$REAL_BENCH" >"$ADIT_BENCH"
chmod 755 "$ADIT_BENCH"
adit_client_start c1 --group riggroup
hold "with an interface such a client does not come far" ended 1
hold "and says why" says "$RIG_DIR/c1/client.log" 'making the TUN interface is not permitted'

# thousand WHAT TRANSPORT TARGET OPTIONS...
thousand() {
  local what=$1 transport=$2 target=$3
  # To reserve its ports cTCP wants CAP_NET_ADMIN itself, whatever is inside.
  local ADIT_BENCH=$ADIT_BENCH
  [ "$transport" != ctcp ] || ADIT_BENCH=$REAL_BENCH
  shift 3
  hold "$what: the client logs in" adit_client c1 "$@" --transport "$transport" --inner load --load-to "$target" --load-rate 500 --load-seconds 2
  hold "$what: one session, by $transport" answers "1 sessions, 1 SAs, $transport" eval 'echo "$(service), $(transport)"'
  hold "$what: it has no interface" answers 0 tuns
  hold "$what: nor does it say so" answers "null 0" eval 'head -1 "$RIG_DIR/c1/client.json" | jq -r "\"\(.tun) \(.routes | length)\""'
  hold "$what: it logs out by itself when it is done" ended 0
  hold "$what: all have come back" load_says "1000 sent, 1000 received, 0 % lost, 0 again, 0 foreign"
  hold "$what: it says how long they took" in_order
  echo "$what: $(load_told -c)" >>"$RIG_DIR/speeds"
  hold "$what: nothing is left" within 5 nothing_left
}
thousand "IKEv1 by NAT-T" nat-t "$SERVER4:7007" --group riggroup
thousand "IKEv1 by cTCP" ctcp "$SERVER4:7007" --group riggroup
thousand "IKEv2 by NAT-T" nat-t "$SERVER4:7007" --ike 2 --id alice@rig
thousand "IKEv2 by NAT-T, IPv6 inside" nat-t "[$SERVER6]:7007" --ike 2 --id alice@rig
thousand "IKEv2 by cTCP, the largest packets" ctcp "$SERVER4:7007" --ike 2 --id alice@rig --load-size 1200

adit_client_start c1 --group riggroup --inner load --load-to "$SERVER4:7008" --load-rate 100 --load-seconds 1
hold "where nobody echoes all is lost, and that is no failure" ended 0
hold "the kernel's words about it are no echoes" answers "100 sent, 0 received" load_told '"\(.sent) sent, \(.received) received"'
hold "the client logs in for an hour" adit_client c1 --group riggroup --inner load --load-to "$SERVER4:7007" --load-seconds 3600
sleep 1
hold "SIGTERM ends it, with a logout" adit_client_stop c1
hold "what came back until then is said" answers true load_told '.received > 0 and .received < 1000'
hold "nothing is left of it" within 5 nothing_left
adit_client_start c1 --group riggroup --inner load --load-to "[$SERVER6]:7007"
hold "an address of the other family cannot be sent to" ended 1
hold "and the client says why" says "$RIG_DIR/c1/client.log" 'the headend gave no address of that family'

# wrong TEXT OPTIONS...: status 2, and this text.
wrong() {
  local text=$1
  shift
  : >"$RIG_DIR/c1/client.log"
  adit_client_start c1 --group riggroup "$@"
  ended 2 && says "$RIG_DIR/c1/client.log" "$text"
}
hold "a load needs somebody to send to" wrong 'by --load-to ADDRESS\[:PORT\]' --inner load
hold "without a load there is no rate" wrong '--load-rate: it belongs to --inner load' --load-rate 5
hold "an interface and a load are two things" wrong '--tun: --inner load makes no interface' --inner load --load-to "$SERVER4" --tun adit-c1
hold "so are routes" wrong '--route: --inner load makes no interface' --inner load --load-to "$SERVER4" --route 10.0.0.0/8
hold "what is longer than the MTU is not sent" wrong 'with headers 1401 octets, more than --mtu 1400' --inner load --load-to "$SERVER4" --load-size 1373
hold "a name is no address" wrong 'not ADDRESS, ADDRESS:PORT or \[ADDRESS\]:PORT' --inner load --load-to server.rig

# The headend is gone without a word: to say goodbye takes a while, in which nothing more is sent.
hold "the client logs in for another hour" adit_client c1 --ike 2 --id alice@rig --inner load --load-to "$SERVER4:7007" --load-rate 500 --load-seconds 3600
sleep 1
in_ns r nft 'table inet rig_forbid { chain forward { type filter hook forward priority -10; meta l4proto udp drop; }; }'
hold "SIGTERM ends it" adit_client_stop c1
hold "what is sent then is not counted as lost" answers true load_told '.received > 0 and .sent - .received < 700'
