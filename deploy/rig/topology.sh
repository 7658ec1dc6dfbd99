# shellcheck shell=bash
# The test network: namespaces that a rig makes for itself. Sourced, never run.
#
#   $RIG-c1 eth0 10.99.1.2, fd99:1::2 ──┐ $RIG-r router, NAT      $RIG-h headend
#   $RIG-c2 eth0 10.99.2.2, fd99:2::2 ──┤ wan 198.51.100.1   ──── wan 198.51.100.2   lan 10.20.0.1 ──── $RIG-s inner server
#   ...                                 └     2001:db8:100::1         2001:db8:100::2     fd20::1           10.20.0.2, fd20::2
#
# The router knows no way to 10.20/16, 10.30/16, fd20::/64 or fd30::/64, so that cleartext cannot pass a broken tunnel.
# RIG is the prefix of every namespace. Everything that runs for a rig carries ADIT_RIG=$RIG in its environment; that is
# how deploy/rig/down.sh finds it again.

HEADEND4=198.51.100.2
HEADEND6=2001:db8:100::2
SERVER4=10.20.0.2
SERVER6=fd20::2

# in_ns HOST COMMAND...: runs a command in the namespace of c1, c2, ..., r (router), r2 (second router), h (headend) or
# s (server).
in_ns() {
  local host=$1
  shift
  ip netns exec "$RIG-$host" "$@"
}

make_ns() {
  ip netns add "$RIG-$1"
  in_ns "$1" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
    net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 \
    net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
    net.ipv4.conf.all.promote_secondaries=1 net.ipv4.conf.default.promote_secondaries=1
  ip -n "$RIG-$1" link set lo up
}

# pair HOST IFNAME HOST IFNAME: a virtual cable; it is never seen outside the two namespaces.
pair() {
  ip link add name "$2" netns "$RIG-$1" type veth peer name "$4" netns "$RIG-$3"
  ip -n "$RIG-$1" link set "$2" up
  ip -n "$RIG-$3" link set "$4" up
}

# address HOST IFNAME IPV4/LEN IPV6/LEN
address() {
  ip -n "$RIG-$1" addr add "$3" dev "$2"
  ip -n "$RIG-$1" addr add "$4" dev "$2" nodad
}

# default_routes HOST IPV4 IPV6
default_routes() {
  ip -n "$RIG-$1" route add default via "$2"
  ip -n "$RIG-$1" -6 route add default via "$3"
}

# nat HOST none|masquerade|ports [RANGE]: what a router does to packets that leave by wan. "ports" also rewrites every
# source port, into RANGE. The new rules take the old ones' place at once; mappings that there are stay.
nat() {
  local rule
  case $2 in
    none) return 0 ;;
    masquerade) rule='masquerade' ;;
    ports) rule="meta l4proto { tcp, udp } masquerade to :${3:-20000-29999}; oifname \"wan\" masquerade" ;;
    *)
      echo "nat: none, masquerade or ports, not '$2'" >&2
      return 2
      ;;
  esac
  in_ns "$1" nft -f - <<E
table ip rig_nat
delete table ip rig_nat
table ip rig_nat { chain post { type nat hook postrouting priority 100; oifname "wan" $rule; }; }
E
}

# nat_rebinds HOST RANGE: the router gives every mapping another source port, as if it had started anew.
nat_rebinds() {
  nat "$1" ports "$2"
  # Asks the kernel to forget the connections that it tracks in this namespace (IPCTNL_MSG_CT_DELETE without a filter).
  in_ns "$1" python3 -c '
import socket, struct
netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
netlink.send(struct.pack("=IHHIIBBH", 20, 1 << 8 | 2, 5, 1, 0, 0, 0, 0))
raise SystemExit(struct.unpack_from("=i", netlink.recv(4096), 16)[0] != 0)'
}

# topology_up CLIENTS NAT [SECOND_NAT]: makes every namespace and cable. With a second NAT there is one more router,
# $RIG-r2, between the clients and the first one: wan 10.98.0.2, fd98::2.
topology_up() {
  local clients=$1 second=${3:-} i host access=r
  local routers=(r)
  [ -z "$second" ] || { routers+=(r2) access=r2; }
  for host in "${routers[@]}" h s; do make_ns "$host"; done
  for host in "${routers[@]}" h; do in_ns "$host" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; done
  pair r wan h wan
  address r wan 198.51.100.1/24 2001:db8:100::1/64
  address h wan $HEADEND4/24 $HEADEND6/64
  default_routes h 198.51.100.1 2001:db8:100::1
  pair h lan s eth0
  address h lan 10.20.0.1/24 fd20::1/64
  address s eth0 $SERVER4/24 $SERVER6/64
  default_routes s 10.20.0.1 fd20::1
  if [ -n "$second" ]; then
    pair r lan0 r2 wan
    address r lan0 10.98.0.1/24 fd98::1/64
    address r2 wan 10.98.0.2/24 fd98::2/64
    default_routes r2 10.98.0.1 fd98::1
    ip -n "$RIG-r" route add 10.99.0.0/16 via 10.98.0.2
    ip -n "$RIG-r" -6 route add fd99::/16 via fd98::2
    nat r2 "$second"
  fi
  for ((i = 1; i <= clients; i++)); do
    make_ns "c$i"
    pair "$access" "lan$i" "c$i" eth0
    address "$access" "lan$i" "10.99.$i.1/24" "fd99:$i::1/64"
    address "c$i" eth0 "10.99.$i.2/24" "fd99:$i::2/64"
    default_routes "c$i" "10.99.$i.1" "fd99:$i::1"
  done
  nat r "$2"
}

# until_true SECONDS COMMAND...: polls until the command succeeds. The only way a rig waits for anything.
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}
