#!/bin/bash
. "$(dirname "$0")/../rig.sh"

topology_up 1 none
ip -n "$RIG-h" link set lo up
freeradius_start first 127.0.0.2 "$ADIT_SCENARIO/users"
freeradius_start second 127.0.0.3 "$ADIT_SCENARIO/users"
headend_start

# records SERVER: how many starts and stops it has written.
records() { echo "$(radius_records "$1" Start) starts, $(radius_records "$1" Stop) stops"; }

hold "accept: vpnc logs in" vpnc_connect c1 "$ADIT_SCENARIO/alice.conf"
hold "with the address that the server gave" answers 10.30.7.7 vpnc_told c1 INTERNAL_IP4_ADDRESS
hold "the inner server answers" reaches c1 "$SERVER4"
hold "accounting has begun" within 3 answers "1 starts, 0 stops" records first
vpnc_stop c1 || true
hold "nothing is left" within 5 nothing_left
hold "accounting has ended, once" within 3 answers "1 starts, 1 stops" records first

sed 's/^Xauth username .*/Xauth username ALICE/' "$ADIT_SCENARIO/alice.conf" >"$RIG_DIR/ALICE.conf"
hold "name: vpnc logs in as ALICE" vpnc_connect c1 "$RIG_DIR/ALICE.conf"
identity() { ctl sessions --json | jq -r '.[].identity'; }
hold "who is alice, as the server says" answers alice identity
vpnc_stop c1 || true
hold "nothing is left" within 5 nothing_left
users_in_books() { grep -ohE 'User-Name = .*' "$RIG_DIR/radius-first/books" | sort -u; }
hold "she is so in the books, too" within 3 answers "2 starts, 2 stops" records first
hold "and nobody else" answers 'User-Name = "alice"' users_in_books

hold "reject: a wrong password is refused" not vpnc_connect c1 "$ADIT_SCENARIO/wrong.conf"
hold "the log says why" says "$(headend_log)" 'cause="?server_refused'
hold "the server has seen it" says "$RIG_DIR/radius-first/log" 'Login incorrect'
hold "no accounting for it" answers "2 starts, 2 stops" records first

hold "challenge: the token's code is asked for and taken" vpnc_connect c1 "$ADIT_SCENARIO/otto.conf" --xauth-inter --password-helper "$ADIT_SCENARIO/token.sh"
hold "the inner server answers" reaches c1 "$SERVER4"
vpnc_stop c1 || true
hold "nothing is left" within 5 nothing_left

hold "session timeout: bob logs in" vpnc_connect c1 "$ADIT_SCENARIO/bob.conf"
hold "and is out after the four seconds that the server gave" within 8 nothing_left
hold "the log says so" says "$(headend_log)" 'logout: .*cause="?session_timeout'
hold "each session was accounted for once" within 3 answers "4 starts, 4 stops" records first

freeradius_stalls first
hold "failover: alice logs in by the second server" vpnc_connect c1 "$ADIT_SCENARIO/alice.conf"
hold "the log reports the first one" says "$(headend_log)" 'RADIUS server does not answer.*127\.0\.0\.2'
hold "the second accounts for it" within 6 answers "1 starts, 0 stops" records second
vpnc_stop c1 || true
hold "nothing is left" within 5 nothing_left
hold "to the end" within 6 answers "1 starts, 1 stops" records second
freeradius_goes_on first

sleep 1
# twice SERVER: records that it has more than once.
twice() {
  awk '/Acct-Status-Type/ {type = $3} /Acct-Session-Id/ {id = $3} /^$/ {if (id) print type, id; id = ""}' "$RIG_DIR/radius-$1/books" | sort | uniq -d
}
hold "the first one has nothing twice, though it has slept through some of it" answers "" twice first
hold "nor has the second" answers "" twice second
freeradius_stalls first
freeradius_stalls second
hold "no server: nobody gets in" not vpnc_connect c1 "$ADIT_SCENARIO/alice.conf"
hold "the log says why" says "$(headend_log)" 'cause="?aaa_unavailable'
freeradius_goes_on first
freeradius_goes_on second
hold "nothing is left" within 35 nothing_left
