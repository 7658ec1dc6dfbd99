#!/bin/bash
. "$(dirname "$0")/../rig.sh"
. "$(dirname "$0")/../boxes.sh"

rig_up
SOCKET=$RIG_DIR/h/aditd.sock
# curl_events FILE: server-sent events from the first one on, as they come.
curl_events() {
  ip netns exec "$RIG-h" curl -sN --unix-socket "$SOCKET" -H 'accept: text/event-stream' 'http://aditd/v1/events?since=0' >"$1" 2>&1 &
  LAST_READER=$!
}
curl_events "$RIG_DIR/events" && READER=$LAST_READER
curl_events "$RIG_DIR/asleep" && SLEEPER=$LAST_READER
ip netns exec "$RIG-h" "$ADITCTL" --socket "$SOCKET" watch --json --since 0 >"$RIG_DIR/watch" 2>"$RIG_DIR/watch.err" &
WATCH=$!
trap 'kill -KILL "$READER" "$SLEEPER" "$WATCH" 2>/dev/null || true' EXIT
hold "curl hears that the daemon has started" within 5 says "$RIG_DIR/events" '^event: daemon_started$'
hold "so does a second" within 5 says "$RIG_DIR/asleep" '^event: daemon_started$'
hold "and aditctl watch" within 5 says "$RIG_DIR/watch" '"kind":"daemon_started"'
kill -STOP "$SLEEPER"

# of WHOM JQ: of what watch has heard about this identity, in order, each once on end.
of() { jq -r "select(.identity == \"$1\") | $2" "$RIG_DIR/watch" | uniq; }
told() { of "$1" .kind | paste -sd' '; }

# strongSwan: its NAT forgets it, it rekeys, it leaves.
client_start c1
hold "strongSwan logs in" connect c1 net
hold "the inner server answers" reaches c1 "$SERVER4"
nat_rebinds r 30000-39999
hold "and after its NAT has forgotten it" reaches c1 "$SERVER4"
hold "the move is told" within 5 answers "login transport_moved" told alice@rig
hold "strongSwan rekeys its child SA" strongswan_ctl c1 --rekey --child net
hold "that is told" within 5 answers "login transport_moved rekey" told alice@rig
hold "strongSwan rekeys its IKE SA" strongswan_ctl c1 --rekey --ike adit
hold "and that" within 5 answers "child peer
ike peer" of alice@rig 'select(.kind == "rekey") | "\(.subject) \(.by)"'
hold "strongSwan leaves" disconnect c1 adit
hold "its whole story was told in order" within 5 answers "login transport_moved rekey logout" told alice@rig
hold "a login says how it came" answers "v2 nat-t road-warriors" of alice@rig 'select(.kind == "login") | "\(.ike) \(.transport) \(.connection)"'
ports() { of alice@rig 'select(.kind == "transport_moved") | "\(.peer_before) \(.peer)"' | head -1 | grep -E ':2[0-9]{4} .*:3[0-9]{4}$'; }
hold "a move says from where and to where" ports
hold "a logout says why" answers peer_deleted of alice@rig 'select(.kind == "logout") | .reason'

# vpnc: a wrong password.
hold "vpnc is refused" not vpnc_connect c2 "$ADIT_SCENARIO/wrong-password.conf"
hold "that is told, once, with the user and the cause" within 5 answers "login_refused wrong_password" of bob '"\(.kind) \(.reason)"'
hold "aditctl why tells it" says <(ctl why bob) 'refused .*\[wrong_password\], from '

# cTCP in Cisco's manner: nothing with data comes up any more.
hold "a client by cTCP logs in" adit_client c3 --group riggroup --transport ctcp --legacy
hold "the inner server answers" reaches c3 "$SERVER4"
firewall_waits
hold "nothing comes up any more" not reaches_somehow c3 "$SERVER4"
gone() { [[ $(told alice) == "login stall_suspected"*"stall_found logout" ]] || { printf 'got: %s\n' "$(told alice)"; return 1; }; }
hold "the stall is suspected, found, and the end of the session" within 20 gone
stall() { of alice "select(.kind == \"stall_found\") | $1"; }
hold "with its finding, the path and the leg" answers "stalled in-order client_side" stall '"\(.reason) \(.diagnosis.path) \(.diagnosis.leg)"'
hold "and the remedy for this address" says <(stall '.remedy[]') "permit tcp any host $HEADEND4 eq 10000"
hold "the session ends for the same cause" answers stalled of alice 'select(.kind == "logout") | .reason'
SESSION=$(of alice 'select(.kind == "stall_found") | .session')
ctl why "$SESSION" >"$RIG_DIR/why"
hold "aditctl why says who it was and how it came" says "$RIG_DIR/why" 'logged in by IKEv1 .*ESP by ctcp'
hold "where it lost" says "$RIG_DIR/why" 'between the client and the firewall'
hold "why it ended" says "$RIG_DIR/why" '^ended .*\[stalled\]$'
hold "and what to do" says "$RIG_DIR/why" 'permit tcp any host'
hold "the identity is as good as the session's name" cmp "$RIG_DIR/why" <(ctl why alice)
end_process KILL "$(cat "$RIG_DIR/c3/client.pid")" || true

# Both readers have heard the same, and all of it. The sleeper has kept nobody waiting, and hears it when it wakes.
ids() { sed -n 's/^id: //p' "$1"; }
as_watch() { cmp <(jq -r .id "$RIG_DIR/watch") <(ids "$RIG_DIR/$1"); }
hold "curl has heard what watch has" as_watch events
hold "without a gap" answers "$(wc -l <"$RIG_DIR/watch")" jq -s '.[-1].number' "$RIG_DIR/watch"
kill -CONT "$SLEEPER"
hold "who has slept catches up" within 5 as_watch asleep
hold "no secret was told" not grep -aE 'rig-psk-secret|alice-pass|not-the-password' "$RIG_DIR/events"
hold "a page has the same" answers "$(jq -r 'select(.kind == "logout") | .id' "$RIG_DIR/watch")" \
  eval "in_ns h curl -s --unix-socket $SOCKET 'http://aditd/v1/events?kind=logout' | jq -r '.events[].id'"

hold "the daemon leaves" headend_stop
hold "its last words are heard" within 5 says "$RIG_DIR/events" '^event: daemon_leaving$'
hold "and the stream ends in good order" wait "$READER"
headend_start
hold "watch goes on with the next daemon" within 10 answers 2 eval "grep -c daemon_started $RIG_DIR/watch"
kill -INT "$WATCH"
hold "and ends as it should when it is told to" wait "$WATCH"
