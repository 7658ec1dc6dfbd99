#!/bin/bash
. "$(dirname "$0")/../rig.sh"

interfaces() { in_ns h ls /sys/class/net | sort | paste -sd' '; }
pool_routes() {
  in_ns h ip route show table all root 10.30.0.0/16
  in_ns h ip -6 route show table all root fd30::/64
}

rig_up
hold_of_adit "the headend has its interface" in_ns h ip link show dev adit0
for client in c1 c2; do
  client_start "$client"
  hold "$client logs in" connect "$client" net
done
hold_of_adit "no core dump can hold a key" says "/proc/$HEADEND_PID/limits" "^Max core file size +0 +0 "
begin=$SECONDS
hold "it ends with exit code 0" headend_stop
hold "it takes at most five seconds" test $((SECONDS - begin)) -le 5
for client in c1 c2; do hold "$client receives the DELETE" within 5 says "$(client_log "$client")" "received DELETE for IKE_SA"; done
hold "no UDP socket is left" answers "" in_ns h ss -Hlnu
hold "no interface is left" answers "lan lo wan" interfaces
hold "no route to the pools is left" answers "" pool_routes
hold "its control socket is gone" not test -e "$RIG_DIR/h/aditd.sock"

headend_start
hold "it starts again and c1 logs in" connect c1 net
hold "c1 has service" reaches c1 "$SERVER4"
hold "it ends with exit code 0 again" headend_stop
