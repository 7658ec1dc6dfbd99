#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
client_start c1
hold "the login fails" not connect c1 net
hold "the client is told NO_PROPOSAL_CHOSEN" says "$(client_log c1)" "received NO_PROPOSAL_CHOSEN notify"
hold_of_adit "aditd's log names the cause" says "$(headend_log)" 'session=s[0-9]+ login without child SA: .*cause="no_child_proposal".*offered=".*wanted="'
hold "no ESP SA was made" is 0 "$(sas)"
# The IKE SA may live on without a child (RFC 7296 section 2.21.2); it ends with the client.
strongswan_stop c1 || true
hold "nothing is left" within 5 nothing_left
