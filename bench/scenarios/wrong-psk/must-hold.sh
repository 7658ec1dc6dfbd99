#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
client_start c1
hold "the login fails" not connect c1 net
hold "the client is told AUTHENTICATION_FAILED" says "$(client_log c1)" "received AUTHENTICATION_FAILED notify"
hold_of_adit "aditd's log names the cause" says "$(headend_log)" 'session=s[0-9]+ login refused: .*cause="wrong_psk".*identity=alice@rig'
hold "nothing is left" within 5 nothing_left
