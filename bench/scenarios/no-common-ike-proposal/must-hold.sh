#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
client_start c1
hold "the login fails" not connect c1 net
hold "the client is told NO_PROPOSAL_CHOSEN" says "$(client_log c1)" "received NO_PROPOSAL_CHOSEN notify"
hold_of_adit "aditd's log names the cause" says "$(headend_log)" 'login refused: .*cause="no_ike_proposal".*offered="aes256-sha384-prfsha384-ecp384".*wanted="aes128gcm16-prfsha256-x25519"'
hold "nothing is left" within 5 nothing_left
