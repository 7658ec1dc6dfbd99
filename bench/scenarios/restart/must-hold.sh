#!/bin/bash
. "$(dirname "$0")/../rig.sh"

KEPT=$RIG_DIR/h/kept
vpnc_address() { vpnc_told c2 INTERNAL_IP4_ADDRESS; }
# comes_between NAME: somebody who was never here logs in, and takes what is free; and leaves.
comes_between() {
  hold "somebody else logs in before them" adit_client c3 --ike 2 --id "$1@rig" --server-id headend.rig
  local got
  got=$(adit_client_told c3 '.addresses[0]')
  hold "and gets the address of neither" not eval "[ $got = $ALICE ] || [ $got = $BOB ]"
}
# come_back: both clients do, and have what they had.
come_back() {
  hold "strongSwan is back" connect c1 net
  hold "with the address that it had" answers "$ALICE" virtual_ip c1 4
  hold "vpnc is back" vpnc_connect c2 "$ADIT_SCENARIO/vpnc.conf"
  hold "with the address that it had" answers "$BOB" vpnc_address
  hold "both have service" eval "reaches c1 $SERVER4 && reaches c2 $SERVER4"
}
# told KIND: the last event of this kind, as a sentence.
told() {
  in_ns h curl -s --unix-socket "$RIG_DIR/h/aditd.sock" "http://aditd/v1/events?kind=$1&limit=100" | jq -er '.events[-1].sentence'
}
ignored_for() { test "$(ctl ike --json | jq ".ignored[] | select(.name == \"$1\").total")" -gt 0; }
ends() { not kill -0 "$HEADEND_PID"; }
modes() { stat -c '%a %n' "$KEPT" "$KEPT"/* | sed "s#$KEPT#kept#" | paste -sd' '; }

# books LINE COUNT: freeradius has written so many records with this line.
books() { says "$RIG_DIR/radius-1/books" "^	$1\$" "$2"; }

topology_up "$CLIENTS" "$NAT"
capture
ip -n "$RIG-h" link set lo up
freeradius_start 1 127.0.0.2 "$ADIT_SCENARIO/users"
headend_start
client_start c1
hold "strongSwan logs in" connect c1 net
hold "vpnc logs in" vpnc_connect c2 "$ADIT_SCENARIO/vpnc.conf"
ALICE=$(virtual_ip c1 4) BOB=$(vpnc_address)
hold "what is kept is nobody else's to read" answers "700 kept 600 kept/books 600 kept/leases 600 kept/lock" modes

# ---- a clean stop, while the server of the books is silent
hold "the books have a start" within 3 books 'Acct-Status-Type = Start' 1
freeradius_stalls 1
hold "aditd ends when it is told to" headend_stop
hold "strongSwan receives the DELETE" within 5 says "$(client_log c1)" "received DELETE for IKE_SA"
hold "vpnc is told and ends" within 5 not vpnc_runs c2
# What aditd has sent in vain is not for the server to find.
end_process KILL "$(freeradius_pid 1)" || true
freeradius_start 1 127.0.0.2 "$ADIT_SCENARIO/users"
hold "no stop is in the books" not books 'Acct-Status-Type = Stop' 1
headend_start
hold "what no server had taken is sent again" within 5 books 'Acct-Terminate-Cause = Admin-Reboot' 1
hold "once, with its age" eval "radius_records 1 Stop | grep -x 1 && grep -E '^	Acct-Delay-Time = [1-9]' '$RIG_DIR/radius-1/books'"
hold "nobody is here, and two addresses are held" answers "0 2" eval "ctl pools --json | jq -r '.[].ranges[0] | \"\(.in_use) \(.held)\"'"
comes_between carol
come_back
adit_client_stop c3

# ---- kill -9
end_process KILL "$HEADEND_PID" || true
strongswan_kill c1 || true
vpnc_kill c2 || true
headend_start
hold "the session that was killed gets its stop" within 5 books 'Acct-Terminate-Cause = NAS-Reboot' 1
client_start c1
comes_between erin
come_back
adit_client_stop c3

# ---- draining
hold "aditd drains" eval "ctl drain | grep -E '^aditd .*, draining,'"
hold "who watches is told" answers "nobody new is let in; 2 sessions are here" told draining
client_start c3
hold "a new client hears nothing" not connect c3 net 3
hold "and is counted" ignored_for draining
strongswan_stop c3
hold "who is here renews its IKE SA" strongswan_ctl c1 --rekey --ike adit
hold "and its child SA" within 5 eval "strongswan_ctl c1 --rekey --child net"
hold "packets go on" eval "reaches c1 $SERVER4 && reaches c2 $SERVER4"
hold "the operator lets everybody in again" eval "ctl drain --cancel | grep -E '^aditd .*, serving,'"
client_start c3
hold "and the new client comes in" connect c3 net
hold "draining with an end" ctl drain --within 1s --stop
hold "those who are here are told to go" within 5 says "$(client_log c3)" "received DELETE for IKE_SA"
hold "and aditd ends by itself" within 6 ends
hold "with exit code 0" wait "$HEADEND_PID"
hold "for that reason" says "$(headend_log)" 'cause="?drained'
strongswan_stop c3
headend_start
vpnc_stop c2 || true
come_back
hold "aditd ends when it is told to" headend_stop

# ---- a full disk: 64 KiB in aditd's own mount namespace, all taken
cat >"$RIG_DIR/aditd-on-a-full-disk" <<S
#!/bin/sh -e
mount -t tmpfs -o size=64k,mode=700 none "$KEPT"
head -c 70000 /dev/zero >"$KEPT/fill" || true
exec "$ADITD" "\$@"
S
chmod +x "$RIG_DIR/aditd-on-a-full-disk"
ADITD=$RIG_DIR/aditd-on-a-full-disk
headend_start
hold "with a full disk strongSwan logs in" connect c1 net
hold "it has service" reaches c1 "$SERVER4"
hold "who watches is told" within 5 eval "told state_not_written | grep 'leases is not written: No space left'"
hold "and who asks" eval "ctl status | grep '^lacks .*leases is not written'"
rm "/proc/$HEADEND_PID/root$KEPT/fill"
hold "once there is room state is written" within 10 eval "told state_written | grep 'leases is written again'"
hold "all of it" grep -aqF "$(virtual_ip c1 4)" "/proc/$HEADEND_PID/root$KEPT/leases"
hold "nothing is lacking any more" not eval "ctl status | grep '^lacks .*leases'"
hold "strongSwan logs out" disconnect c1 adit
hold "aditd ends when it is told to" headend_stop
