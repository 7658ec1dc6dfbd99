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

# in_ns HOST COMMAND...: runs a command in the namespace of c1, c2, ..., r (router), h (headend) or s (server).
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

# nat none|masquerade|ports: what the router does to packets that leave by wan. "ports" also rewrites every source port.
nat() {
  in_ns r nft delete table ip rig_nat 2>/dev/null || true
  local rule
  case $1 in
    none) return 0 ;;
    masquerade) rule='masquerade' ;;
    ports) rule='meta l4proto { tcp, udp } masquerade to :20000-29999; oifname "wan" masquerade' ;;
    *)
      echo "nat: none, masquerade or ports, not '$1'" >&2
      return 2
      ;;
  esac
  in_ns r nft -f - <<<"table ip rig_nat { chain post { type nat hook postrouting priority 100; oifname \"wan\" $rule; }; }"
}

# topology_up CLIENTS NAT: makes every namespace and cable.
topology_up() {
  local clients=$1 i host
  for host in r h s; do make_ns "$host"; done
  for host in r h; do in_ns "$host" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; done
  pair r wan h wan
  address r wan 198.51.100.1/24 2001:db8:100::1/64
  address h wan $HEADEND4/24 $HEADEND6/64
  default_routes h 198.51.100.1 2001:db8:100::1
  pair h lan s eth0
  address h lan 10.20.0.1/24 fd20::1/64
  address s eth0 $SERVER4/24 $SERVER6/64
  default_routes s 10.20.0.1 fd20::1
  for ((i = 1; i <= clients; i++)); do
    make_ns "c$i"
    pair r "lan$i" "c$i" eth0
    address r "lan$i" "10.99.$i.1/24" "fd99:$i::1/64"
    address "c$i" eth0 "10.99.$i.2/24" "fd99:$i::2/64"
    default_routes "c$i" "10.99.$i.1" "fd99:$i::1"
  done
  nat "$2"
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
