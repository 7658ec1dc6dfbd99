# shellcheck shell=bash
# Boxes between client c1 and the headend, on the router: what firewalls and proxies do to the TCP connections that pass
# them. Sourced after rig.sh; one box at a time.
#
#   box router       routes, and keeps no state
#   box conntrack    Linux's connection tracking as a strict firewall: what it calls invalid is dropped
#   box synproxy     the same behind nftables' SYN proxy, which makes the handshake itself
#   box haproxy      HAProxy takes the connection and makes another: a full TCP proxy
#   box haproxy-transparent   the same, and to the headend it looks like the client
#   box in-order     follows the stream and waits for what is missing, as an ASA that inspects: in-order-box.py
#
#   long_line MILLISECONDS   between the router and the headend, before the headend starts
#   lose LEG PERCENT   segments with data are lost on the leg: client-box, box-headend, headend-box or box-client;
#                      0 percent for none. lost LEG: how many were.
#   firewall_waits     drops the client's segments with data from now on, and lets the others pass, as one does that waits for what is
#                      missing. firewall_goes: no more. waiting: how many it dropped.
#   count_resets       from now on. resets: how many passed, "<the client's> <the headend's>". A capture's end comes late.

BOX_LEGS="client-box box-headend headend-box box-client"
BOX_PORT=10000

box() {
  box_none
  case $1 in
    router) ;;
    conntrack) box_conntrack "" ;;
    synproxy)
      in_ns r sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0 net.ipv4.tcp_syncookies=1
      # It must promise what the server keeps: no timestamps, no selective acknowledgments. Without timestamps it scales no windows either.
      box_conntrack "tcp dport $BOX_PORT ct state invalid,untracked synproxy mss 1460"
      in_ns r nft "add chain inet rig_box raw { type filter hook prerouting priority raw; }; add rule inet rig_box raw tcp dport $BOX_PORT tcp flags & (fin|syn|rst|ack) == syn notrack"
      ;;
    haproxy) box_haproxy "" ;;
    haproxy-transparent)
      box_haproxy "source 0.0.0.0 usesrc clientip"
      # The headend's answers to the client's address are the proxy's.
      in_ns r ip rule add fwmark 1 lookup 78
      in_ns r ip route add local default dev lo table 78
      in_ns r nft "add chain inet rig_box divert { type filter hook prerouting priority mangle; }; add rule inet rig_box divert iifname wan tcp sport $BOX_PORT socket transparent 1 meta mark set 1 accept"
      ;;
    in-order) box_in_order ;;
    *)
      echo "box: router, conntrack, synproxy, haproxy, haproxy-transparent or in-order, not '$1'" >&2
      return 2
      ;;
  esac
}

box_none() {
  in_ns r nft 'table inet rig_box; delete table inet rig_box'
  [ ! -e "$RIG_DIR/haproxy.pid" ] || end_process TERM "$(cat "$RIG_DIR/haproxy.pid")" || true
  rm -f "$RIG_DIR/haproxy.pid"
  [ ! -e "$RIG_DIR/in-order-box.pid" ] || end_process TERM "$(cat "$RIG_DIR/in-order-box.pid")" || true
  rm -f "$RIG_DIR/in-order-box.pid"
  local table
  for table in 77 78; do
    while in_ns r ip rule del lookup $table 2>/dev/null; do :; done
    in_ns r ip route flush table $table 2>/dev/null || true
  done
}

box_in_order() {
  ip netns exec "$RIG-r" python3 "$SCENARIOS/in-order-box.py" $BOX_PORT >"$RIG_DIR/in-order-box.log" 2>&1 &
  echo $! >"$RIG_DIR/in-order-box.pid"
  until_true 5 grep -q ready "$RIG_DIR/in-order-box.log"
  in_ns r ip link set box0 up
  in_ns r ip route add default dev box0 table 77
  # 6 is TCP: its name needs /etc/protocols, which a small Debian has not.
  in_ns r ip rule add iif lan1 ipproto 6 dport $BOX_PORT lookup 77
  in_ns r ip rule add iif wan ipproto 6 sport $BOX_PORT lookup 77
}

box_conntrack() {
  in_ns r nft -f - <<E
table inet rig_box {
  counter invalid { }
  chain forward {
    type filter hook forward priority filter;
    $1
    tcp dport $BOX_PORT ct state invalid counter name invalid drop
    tcp sport $BOX_PORT ct state invalid counter name invalid drop
  }
}
E
  # Tracking begins with the first rule that asks for it.
  in_ns r sysctl -qw net.netfilter.nf_conntrack_tcp_be_liberal=0
}
# invalid: packets that the firewall called so.
invalid() { box_counter rig_box invalid; }
box_counter() { in_ns r nft -j list counter inet "$1" "$2" | jq '.nftables[] | select(.counter) | .counter.packets'; }

box_haproxy() {
  cat >"$RIG_DIR/haproxy.cfg" <<E
global
  stats socket $RIG_DIR/haproxy.sock mode 600
defaults
  mode tcp
  timeout connect 5s
  timeout client 300s
  timeout server 300s
frontend client
  bind :$BOX_PORT
  default_backend headend
backend headend
  server headend $HEADEND4:$BOX_PORT
  $1
E
  ip netns exec "$RIG-r" haproxy -db -f "$RIG_DIR/haproxy.cfg" >"$RIG_DIR/haproxy.log" 2>&1 &
  echo $! >"$RIG_DIR/haproxy.pid"
  in_ns r nft -f - <<E
table inet rig_box { chain take { type nat hook prerouting priority dstnat; iifname "lan1" ip daddr $HEADEND4 tcp dport $BOX_PORT redirect to :$BOX_PORT; }; }
E
  until_true 5 listens r $BOX_PORT
}
# proxied: connections that the proxy has taken so far.
proxied() { echo "show stat" | socat - "UNIX-CONNECT:$RIG_DIR/haproxy.sock" | awk -F, '$1 == "client" && $2 == "FRONTEND" {print $8}'; }

# The cable goes, and another one comes under its name and with its addresses.
long_line() {
  ip netns exec "$RIG-r" python3 "$SCENARIOS/long-line.py" "$1" "$RIG-h" >"$RIG_DIR/long-line.log" 2>&1 &
  until_true 5 grep -q ready "$RIG_DIR/long-line.log"
  ip -n "$RIG-r" link del wan
  ip -n "$RIG-r" link set far0 name wan up
  ip -n "$RIG-h" link set far1 name wan up
  address r wan 198.51.100.1/24 2001:db8:100::1/64
  address h wan $HEADEND4/24 $HEADEND6/64
  ip -n "$RIG-h" route add default via 198.51.100.1
}

lose() {
  local leg=$1 percent=$2 hook port device
  case $leg in
    client-box) hook="prerouting priority -350" device='iifname "lan1"' port="tcp dport $BOX_PORT" ;;
    box-headend) hook="postrouting priority 350" device='oifname "wan"' port="tcp dport $BOX_PORT" ;;
    headend-box) hook="prerouting priority -350" device='iifname "wan"' port="tcp sport $BOX_PORT" ;;
    box-client) hook="postrouting priority 350" device='oifname "lan1"' port="tcp sport $BOX_PORT" ;;
    *)
      echo "lose: client-box, box-headend, headend-box or box-client, not '$leg'" >&2
      return 2
      ;;
  esac
  local table=rig_lose_${leg//-/_}
  in_ns r nft "table inet $table; delete table inet $table"
  [ "$percent" != 0 ] || return 0
  # Handshakes and acknowledgments alone pass.
  in_ns r nft -f - <<E
table inet $table {
  counter lost { }
  chain lose { type filter hook $hook; $device $port meta length > 80 numgen random mod 10000 < $(awk -v p="$percent" 'BEGIN {print int(p * 100)}') counter name lost drop; }
}
E
}
lost() { box_counter "rig_lose_${1//-/_}" lost; }

count_resets() {
  in_ns r nft -f - <<E
table inet rig_resets {
  counter of_client { }
  counter of_headend { }
  chain forward {
    type filter hook forward priority filter;
    tcp dport $BOX_PORT tcp flags & rst == rst counter name of_client
    tcp sport $BOX_PORT tcp flags & rst == rst counter name of_headend
  }
}
E
}
resets() { echo "$(box_counter rig_resets of_client) $(box_counter rig_resets of_headend)"; }

firewall_waits() {
  in_ns r nft -f - <<'N'
table inet rig_in_order {
  counter waiting { }
  chain forward {
    type filter hook forward priority 0;
    tcp dport 10000 ip length > 40 counter name waiting drop
  }
}
N
}
firewall_goes() { in_ns r nft delete table inet rig_in_order; }
waiting() { box_counter rig_in_order waiting; }
