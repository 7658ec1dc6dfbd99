#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
# try NAME: logs in with <name>.conf, which must fail; what vpnc said is kept without what is random.
try() {
  : >"$RIG_DIR/c1/vpnc.log" 2>/dev/null || true
  not vpnc_connect c1 "$ADIT_SCENARIO/$1.conf" || return 1
  grep -vE 'cookie|spi|[0-9a-f]{16}|^ \[20' "$RIG_DIR/c1/vpnc.log" | tail -3 >"$RIG_DIR/heard-$1"
}
for wrong in group secret user password locked; do
  hold "$wrong: refused" try "$wrong"
done
hold "a wrong group and a wrong secret sound alike" cmp "$RIG_DIR/heard-group" "$RIG_DIR/heard-secret"
hold "a wrong user and a wrong password sound alike" cmp "$RIG_DIR/heard-user" "$RIG_DIR/heard-password"
hold "a locked user and a wrong password sound alike" cmp "$RIG_DIR/heard-locked" "$RIG_DIR/heard-password"
hold "a refused user is asked once more" says "$RIG_DIR/heard-user" 'password'
log=$(headend_log)
hold "the log names the group" within 8 says "$log" 'cause="?unknown_identity.*nosuchgroup'
hold "the secret, as far as the client lets it be known" within 8 says "$log" 'cause="?(wrong_psk|half_open_timeout).*riggroup'
hold "the user" says "$log" 'cause="?unknown_user'
hold "the password" says "$log" 'cause="?wrong_password'
hold "the lock" says "$log" 'cause="?user_locked'
hold "no password is in the log" not grep -aE 'alice-pass|not-the-password|rig-psk-secret|not-the-secret' "$log"
hold "nothing is left" within 10 nothing_left
hold "the right one still gets in" vpnc_connect c1 "$ADIT_SCENARIO/vpnc.conf"
