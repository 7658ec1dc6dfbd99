#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
client_start c1
hold "the client logs in" connect c1 net
hold "the inner server answers" reaches c1 "$SERVER4"
strongswan_kill c1 || true
hold "DPD removes the session and its SAs" within 60 nothing_left
hold_of_adit "the log says why" says "$(headend_log)" 'session=s[0-9]+ logout: .*cause="peer_dead"'

client_start c1
hold "the client logs in again, with the only address there is" connect c1 net
hold "the inner server answers again" reaches c1 "$SERVER4"
strongswan_kill c1 || true
client_start c1
hold "the client logs in at once after the next death" connect c1 net 8
hold "the inner server answers at once" reaches c1 "$SERVER4"
hold "only the new session is left" within 5 answers "1 sessions, 1 SAs" service
hold "the client logs out" disconnect c1 adit
hold "nothing is left" within 5 nothing_left
