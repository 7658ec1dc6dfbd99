#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
client_start c1
hold "the client logs in" connect c1 net
hold_of_adit "one session with one SA pair" answers "1 sessions, 1 SAs" service
hold "the inner IPv4 server answers" reaches c1 "$SERVER4"
hold "the inner IPv6 server answers" reaches c1 "$SERVER6"
hold_of_adit "aditd says that it uses system calls" answers "system calls" status .io
hold "200 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" 200
hold "200 MB arrive unchanged from server to client" transfers s c1 "$(virtual_ip c1 4)" 200
hold "the client logs out" disconnect c1 adit
hold "nothing is left" within 5 nothing_left
