#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
client_start c1
client_start c2
hold "the first client logs in" connect c1 net
hold "it gets the only address" answers 10.30.0.2 virtual_ip c1 4
hold "the second client's login fails" not connect c2 net
hold "the second client is told INTERNAL_ADDRESS_FAILURE" says "$(client_log c2)" "received INTERNAL_ADDRESS_FAILURE notify"
hold_of_adit "aditd's log names the cause and the pool" says "$(headend_log)" 'session=s[0-9]+ login without child SA: .*cause="pool_empty".*main'
hold "no ESP SA was made for it" is 1 "$(sas)"
# Its IKE SA may live on without a child (RFC 7296 section 2.21.2); it ends with the client.
strongswan_stop c2 || true
hold "only the first client's session is there" within 5 answers "1 sessions, 1 SAs" service
hold "the first client still has service" reaches c1 "$SERVER4"
hold "the first client logs out" disconnect c1 adit
client_start c2
hold "the second client logs in" connect c2 net
hold "it gets the address" answers 10.30.0.2 virtual_ip c2 4
hold "the second client has service" reaches c2 "$SERVER4"
hold "the second client logs out" disconnect c2 adit
hold "nothing is left" within 5 nothing_left
