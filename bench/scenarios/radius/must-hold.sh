#!/bin/bash
. "$(dirname "$0")/../rig.sh"
[ "$ADIT_HEADEND" = adit ] || skip "it asks adit's own client of RADIUS; strongSwan has another"

# server N: freeradius on 127.0.0.N.
server() { freeradius_start "$1" "127.0.0.$1" "$ADIT_SCENARIO/users"; }

# ask USER ANSWERS [OPTION...]: a login; ANSWERS are the lines that are typed. Prints what comes, and the exit status.
ask() {
  local user=$1 answers=$2 code=0
  shift 2
  # shellcheck disable=SC2059 # the answers are one format
  printf "$answers\n" | in_ns h "$ADITCTL" aaa test --config "$RIG_DIR/h/aditd.toml" "$@" "$user" || code=$?
  echo "status $code"
}

# lines N: "<starts> <interims> <stops>" that server N has written. records N: the same, each counted once that was written
# again because its answer was lost: freeradius keeps no answers to accounting requests, so whoever reads its books goes by
# what is in them, and a repeat is the same to the last octet. Only the server's own time of receipt differs.
lines() { counted "$1" cat; }
records() { counted "$1" sort -u; }
counted() {
  local books=$RIG_DIR/radius-$1/books
  [ -e "$books" ] || { echo "0 0 0"; return; }
  awk -v RS= -v FS='\n' '{for (i = 2; i <= NF; i++) if ($i !~ /\tTimestamp = /) printf "%s;", $i; print ""}' "$books" | "${@:2}" |
    awk '/Acct-Status-Type = Start/ {a++} /Acct-Status-Type = Interim-Update/ {b++} /Acct-Status-Type = Stop/ {c++} END {print a+0, b+0, c+0}'
}

# configuration PASSWORD: how passwords go to the servers.
configuration() { sed "s#@LARA@#$LARA#; s#@PASSWORD@#$1#; s#/run/adit/aditd.sock#$RIG_DIR/h/aditd.sock#" "$ADIT_SCENARIO/aditd.toml" >"$RIG_DIR/h/aditd.toml"; }

make_ns h
mkdir -p "$RIG_DIR/h"
LARA=$(echo lara-pass | "$ADITCTL" hash-password)
configuration pap
chmod 600 "$RIG_DIR/h/aditd.toml"
server 1
server 2

hold "the configuration is right" "$ADITD" --check "$RIG_DIR/h/aditd.toml"

welcome='accept: RADIUS server 127.0.0.1:1812
address: 10.30.7.7
class: sales
filter: split-sales
session timeout: 3600 s
idle timeout: 600 s
interim records: every 300 s
message: Hello Alice
status 0'
for password in pap chap mschapv2; do
  configuration "$password"
  hold "by $password a user is let in with what is hers" answers "$welcome" ask alice alice-pass
  hold "by $password a wrong password is refused" answers $'reject: the RADIUS server refused\nmessage: Not today\nstatus 1' ask alice wrong
done
hold "a passcode that is asked for goes as pap" answers $'challenge: Passcode?\naccept: RADIUS server 127.0.0.1:1812\ninterim records: every 600 s\nstatus 0' ask otto 'otto-pass\n123456'
configuration pap
hold "an unknown user is refused" answers $'reject: the RADIUS server refused\nmessage: Not today\nstatus 1' ask mallory mallory-pass
hold "a wrong passcode is refused" answers $'challenge: Passcode?\nreject: the RADIUS server refused\nmessage: Not today\nstatus 1' ask otto 'otto-pass\n654321'
hold "a welcome without Message-Authenticator lets nobody in" answers $'unavailable: no server answered\nstatus 3' ask unsigned alice-pass

hold "a local user is let in without RADIUS" answers $'accept: local user\naddress: 10.30.8.8\ninterim records: every 600 s\nstatus 0' ask lara lara-pass
hold "a local user's wrong password is not asked of RADIUS" answers $'reject: wrong password\nstatus 1' ask lara alice-pass
hold "a locked user stays out" answers $'reject: the user is locked\nstatus 1' ask lotte lara-pass

hold "start, interim and stop are written" says <(ask alice alice-pass --account) 'accounting: .* is written' 3
hold "each is in the books once" answers "1 1 1" lines 1
hold "they are of one session" is 1 "$(grep -c . <(grep -h 'Acct-Session-Id' "$RIG_DIR/radius-1/books" | sort -u))"
hold "with the class that the server gave" says "$RIG_DIR/radius-1/books" 'Class = 0x73616c6573' 3

# Every second packet of the servers is lost, the first among them.
in_ns h nft -f - <<'RULES'
table inet loss {
  chain in {
    type filter hook input priority 0;
    udp sport { 1812, 1813 } numgen inc mod 2 == 0 drop
  }
}
RULES
hold "with lost answers a user is let in" answers "$welcome" ask alice alice-pass
hold "with lost answers start, interim and stop are written" says <(ask alice alice-pass --account) 'accounting: .* is written' 3
hold "each is in the books once more, repeats being the same" answers "2 2 2" records 1
in_ns h nft delete table inet loss
hold "the other server has not been asked for books" answers "0 0 0" lines 2

freeradius_stalls 1
hold "a silent server is passed over" answers "${welcome/127.0.0.1/127.0.0.2}" ask alice alice-pass
freeradius_goes_on 1
freeradius_stop 1 || true
hold "without the first server, the second keeps the books" says <(ask alice alice-pass --account) 'accounting: .* is written' 3
hold "each is in its books once" answers "1 1 1" lines 2
freeradius_stop 2 || true
hold "without servers nobody is let in" answers $'unavailable: no server answered\nstatus 3' ask alice alice-pass
hold "but local users are" says <(ask lara lara-pass) '^accept: local user$'

server 1
cp "$RIG_DIR/h/aditd.toml" "$RIG_DIR/daemon.toml"
headend_start "$RIG_DIR/daemon.toml"
hold "the daemon shows its servers" answers '["127.0.0.1:1812 logins ready","127.0.0.2:1812 logins ready","127.0.0.1:1813 accounting ready","127.0.0.2:1813 accounting ready"]' \
  eval "ctl aaa --json | jq -c '[.servers[] | .server + \" \" + .port + \" \" + .state]'"
hold "the daemon ends as it should" headend_stop
