#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up

# lossy HOST: 1 % of cTCP's segments that come to this host are lost before anything of it sees them.
lossy() {
  in_ns "$1" nft -f - <<'N'
table inet rig_loss {
  counter lost { }
  chain first {
    type filter hook prerouting priority -400;
    meta l4proto tcp th dport 10000 numgen random mod 100 == 0 counter name lost drop
    meta l4proto tcp th sport 10000 numgen random mod 100 == 0 counter name lost drop
  }
}
N
}
lost() { in_ns "$1" nft -j list counter inet rig_loss lost | jq '.nftables[] | select(.counter) | .counter.packets'; }
lost_on_every_leg() { local host; for host in c1 r h; do [ "$(lost $host)" -gt 20 ] || { echo "got: $host $(lost $host)"; return 1; }; done; }
for host in c1 r h; do lossy $host; done

# 20 MB each way as ourselves.
as_itself() {
  hold "$1: the client logs in" adit_client c1 --group riggroup --transport ctcp
  hold "$1: the inner server answers" within 20 reaches c1 "$SERVER4"
  hold "$1: 20 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" 20
  hold "$1: 20 MB arrive unchanged from server to client" transfers s c1 "$(adit_client_told c1 .address)" 20
  hold "$1: it is the same session" answers "1 sessions, 1 SAs" service
  hold "$1: the client logs out" adit_client_stop c1
  hold "$1: nothing is left" within 30 nothing_left
}

# The tracker sees both directions of the stream after losses, and drops what does not fit.
in_ns r nft -f - <<'N'
table inet rig_tracker {
  counter invalid { }
  chain forward {
    type filter hook forward priority 0;
    ct state invalid counter name invalid drop
  }
}
N
hold "the tracker is strict" answers 0 in_ns r sysctl -n net.netfilter.nf_conntrack_tcp_be_liberal
as_itself "tracker"
echo "tracker: $(in_ns r nft -j list counter inet rig_tracker invalid | jq -c '.nftables[] | select(.counter) | .counter.packets') segments invalid" | tee -a "$RIG_DIR/speeds"
in_ns r nft delete table inet rig_tracker

in_ns r socat TCP4-LISTEN:10000,bind=10.99.1.1,fork,reuseaddr,nodelay "TCP4:$HEADEND4:10000,nodelay" >"$RIG_DIR/proxy.log" 2>&1 &
until_true 5 listens r 10000
export SERVER=10.99.1.1
as_itself "proxy"
hold "segments were lost on every leg" lost_on_every_leg

hold "Cisco's manner: the client logs in through the proxy" within 60 adit_client c1 --group riggroup --transport ctcp --legacy
# stalls: the sender's socket still holds data when its time is up (exit status 124 of timeout).
stalls() { { transfers c1 s "$SERVER4" 20 30 || true; } | grep -E '^error: sending .* ended with 124'; }
hold "Cisco's manner: 20 MB to the server come to a stop" stalls
adit_client_stop c1 || true
