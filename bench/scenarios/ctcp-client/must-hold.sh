#!/bin/bash
. "$(dirname "$0")/../rig.sh"

SNAPLEN=0
topology_up 1 none
capture

# lossy PERCENT: the router loses so many of the headend's segments that have data; the handshake and pure acknowledgments pass.
lossy() {
  in_ns r nft -f - <<N
table inet rig_loss
delete table inet rig_loss
table inet rig_loss {
  counter lost { }
  chain forward {
    type filter hook forward priority 0;
    tcp sport 10000 ip length > 60 numgen random mod 100 < $1 counter name lost drop
  }
}
N
}
lost() { in_ns r nft -j list counter inet rig_loss lost | jq '.nftables[] | select(.counter) | .counter.packets'; }
# Neither kernel may say a word on the connections: a capture's end comes late, so the router counts.
in_ns r nft -f - <<'N'
table inet rig_resets {
  counter up { }
  counter down { }
  chain forward {
    type filter hook forward priority 0;
    tcp dport 10000 tcp flags & rst == rst counter name up
    tcp sport 10000 tcp flags & rst == rst counter name down
  }
}
N
resets() {
  in_ns r nft -j list counters | jq -r '[.nftables[].counter | select(. != null and .table == "rig_resets")] | sort_by(.name) |
    "\(.[1].packets) \(.[0].packets)"'
}
# segments FILTER: segments of the capture that match.
segments() { tshark -r "$RIG_DIR/wan.pcap" -Y "tcp && $1" 2>/dev/null | wc -l; }

# a_login WHO OPTIONS...: login, pings, megabytes each way, logout.
a_login() {
  local who=$1 megabytes=$2
  shift 2
  hold "$who: the client logs in" adit_client c1 --group riggroup --transport ctcp "$@"
  hold "$who: one session with one SA pair" answers "1 sessions, 1 SAs" service
  hold "$who: by cTCP, at both ends" answers "ctcp ctcp" eval 'echo "$(adit_client_told c1 .transport) $(transport)"'
  hold "$who: the inner server answers" reaches c1 "$SERVER4"
  hold "$who: $megabytes MB arrive unchanged from client to server" transfers c1 s "$SERVER4" "$megabytes"
  hold "$who: $megabytes MB arrive unchanged from server to client" transfers s c1 "$(adit_client_told c1 .address)" "$megabytes"
  hold "$who: the client logs out" adit_client_stop c1
  hold "$who: nothing is left" within 5 nothing_left
}

for mode in adaptive stateless; do
  sed "s/@MODE@/$mode/" "$ADIT_SCENARIO/aditd.toml" >"$RIG_DIR/$mode.toml"
  headend_start "$RIG_DIR/$mode.toml"
  if [ $mode = adaptive ]; then
    a_login "first" 1
    capture_end
    hold "the client ends its connection, once: its kernel says nothing on it, nor the headend's" answers "1 0" resets
    hold "one handshake" answers "1 1" eval 'echo "$(segments "tcp.flags.syn == 1 && tcp.flags.ack == 0") $(segments "tcp.flags.syn == 1 && tcp.flags.ack == 1")"'
    hold "nothing travels in anything else" not on_wire "ip.proto == 17 || ip.proto == 50"
    frames() { tshark -r "$RIG_DIR/wan.pcap" -d tcp.port==10000,tcpencap -Y "$1" 2>/dev/null | wc -l; }
    hold "what the client sends is TCPENCAP" test "$(frames "tcpencap && ip.dst == $HEADEND4")" -ge 100
    hold "none of it malformed" answers 0 frames _ws.malformed
  fi
  for manner in ours legacy; do
    option=$([ $manner = legacy ] && echo --legacy || true)
    lossy 0
    # shellcheck disable=SC2086
    a_login "$mode, $manner, nothing lost" $([ $mode = adaptive ] && echo 100 || echo 20) $option
    lossy 1
    # shellcheck disable=SC2086
    a_login "$mode, $manner, 1 % of the headend's segments lost" 20 $option
    hold "$mode, $manner: segments were lost" test "$(lost)" -gt 50
  done
  hold "$mode: the headend ends as it should" headend_stop
done
