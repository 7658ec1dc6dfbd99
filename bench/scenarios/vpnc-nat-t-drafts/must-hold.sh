#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
in_ns r nft -f - <<N
table inet rig_count {
  counter up_500 { }
  counter down_500 { }
  counter up_ike { }
  counter down_ike { }
  counter other { }
  chain forward {
    type filter hook forward priority 0;
    ip daddr $HEADEND4 udp dport 500 @th,64,64 0 counter name up_500 accept
    ip saddr $HEADEND4 udp sport 500 @th,64,64 0 counter name down_500 accept
    ip daddr $HEADEND4 udp dport 500 counter name up_ike accept
    ip saddr $HEADEND4 udp sport 500 counter name down_ike accept
    ip daddr $HEADEND4 udp dport 4500 counter name other
    ip saddr $HEADEND4 udp sport 4500 counter name other
    ip protocol esp counter name other
  }
}
N
# counted COUNTER packets|bytes
counted() { in_ns r nft -j list counter inet rig_count "$1" | jq ".nftables[] | select(.counter) | .counter.$2"; }
counted_anew() { in_ns r nft reset counters table inet rig_count >/dev/null; }

# by_draft NUMBER: vpnc goes by it and by nothing else.
by_draft() {
  hold "the headend has draft 0$1 alone" says "$RIG_DIR/h/aditd.toml" "nat_traversals = ..draft-0$1.."
  counted_anew
  hold_vpnc
  hold "vpnc has taken draft 0$1" says "$RIG_DIR/c1/vpnc.log" "NAT-T mode: $1"
  hold "ESP travels in UDP 500" answers "nat-t-500" transport
  # Octets, for segments that the kernel has not taken apart yet count as one packet.
  hold "all of it behind eight zero octets, from the client" test "$(counted up_500 bytes)" -ge 20000000
  hold "and from the headend" test "$(counted down_500 bytes)" -ge 20000000
  hold "IKE is there as well" test "$(counted up_ike packets)" -ge 6 -a "$(counted down_ike packets)" -ge 4
  hold "and nothing else" test "$(counted up_ike bytes)" -le 20000 -a "$(counted down_ike bytes)" -le 20000
  hold "nothing went by UDP 4500 or as native ESP" answers 0 counted other packets
  hold_vpnc_goodbye
  hold "nobody was told of an unknown SPI" answers 0 drops unknown_spi
}
drops() { ctl drops --json | jq ".[] | select(.name == \"$1\") | .total"; }

by_draft 1
# SPI both ways as the headend knows it: eight zero octets and then that, where IKE has its cookies.
marked_spi() { sed -n "s/.*child SA installed.* $1=0x\(..\)\(..\)\(..\)\(..\).*/00:00:00:00:00:00:00:00:\1:\2:\3:\4/p" "$(headend_log)" | head -1; }
hold "the capture has it, to the headend" on_wire "udp.dstport == 500 && udp.payload[0:12] == $(marked_spi spi_in)"
hold "and from it" on_wire "udp.srcport == 500 && udp.payload[0:12] == $(marked_spi spi_out)"

counted_anew
# Eight zero octets, an SPI that nobody has, 48 octets of anything.
stranger() { in_ns c1 bash -c "printf '%b' '$(printf '\\0%.0s' {1..8})' '$(printf 'w%.0s' {1..52})' >/dev/udp/$HEADEND4/500"; }
hold "a stranger sends ESP there" stranger
hold "it arrives" within 5 answers 1 counted up_500 packets
hold "its end has a name" within 5 answers 1 drops unknown_spi
hold "and it hears nothing" answers "0 0" eval 'echo "$(counted down_500 packets) $(counted down_ike packets)"'
hold "the headend ends" headend_stop

rm "$RIG_DIR/c1/vpnc.log"
sed 's/draft-01/draft-00/' "$ADIT_SCENARIO/aditd.toml" >"$RIG_DIR/draft-00.toml"
headend_start "$RIG_DIR/draft-00.toml"
by_draft 0
hold "the headend ends" headend_stop

sed '/nat_traversals/d' "$ADIT_SCENARIO/aditd.toml" >"$RIG_DIR/all.toml"
headend_start "$RIG_DIR/all.toml"
hold "vpnc logs in where the headend has all" vpnc_connect c1 "$ADIT_SCENARIO/vpnc.conf"
hold "the inner server answers" reaches c1 "$SERVER4"
hold "the best of them is taken" answers "nat-t" transport
hold_vpnc_goodbye
