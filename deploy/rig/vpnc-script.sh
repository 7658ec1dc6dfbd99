#!/bin/sh
# What vpnc calls to set its interface up: address and routes in the namespace it runs in, and nothing else. What vpnc
# was told stays in $VPNC_DIR for the scenario to look at.
env | grep -E '^(reason|VPNGATEWAY|TUNDEV|INTERNAL_|CISCO_)' | sort >"$VPNC_DIR/vpnc-env.part"
case "$reason" in
connect)
  ip link set dev "$TUNDEV" up mtu "${INTERNAL_IP4_MTU:-1390}"
  ip addr add "$INTERNAL_IP4_ADDRESS/32" dev "$TUNDEV"
  i=0
  while [ "$i" -lt "${CISCO_SPLIT_INC:-0}" ]; do
    eval "address=\$CISCO_SPLIT_INC_${i}_ADDR length=\$CISCO_SPLIT_INC_${i}_MASKLEN"
    ip route replace "$address/$length" dev "$TUNDEV"
    i=$((i + 1))
  done
  # Without a list everything goes through the tunnel, but for what carries it.
  if [ "${CISCO_SPLIT_INC:-0}" -eq 0 ]; then
    ip route replace 0.0.0.0/1 dev "$TUNDEV"
    ip route replace 128.0.0.0/1 dev "$TUNDEV"
    ip route replace "$VPNGATEWAY/32" via "$(ip route show default | sed -n 's/.*via \([0-9.]*\).*/\1/p')"
  fi
  ;;
disconnect)
  ip addr flush dev "$TUNDEV" 2>/dev/null
  ip route del "$VPNGATEWAY/32" 2>/dev/null
  ;;
esac
mv "$VPNC_DIR/vpnc-env.part" "$VPNC_DIR/vpnc-env.$reason"
exit 0
