#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
client_start c1
hold "the client logs in" connect c1 net
hold "the inner server answers" reaches c1 "$SERVER4"
if [ "$ADIT_HEADEND" != adit ]; then
  echo "not asked of $ADIT_HEADEND: it receives on what was agreed on, and nothing else"
  hold_logout
  exit 0
fi

CLIENT=10.99.1.2
transport() { ctl sessions --json | jq -r '.[].transport'; }
peer() { ctl sessions --json | jq -r '.[].peer'; }
moves() { grep -c 'peer moved' "$(headend_log)" || true; }
moves_to() { ctl workers --json | jq "[.[].moved_to_$1] | add"; }
drops() { ctl drops --json | jq "[.[] | select(.name == \"$1\") | .total] | add // 0"; }
below() { [ "$2" -lt "$1" ] || { printf 'expected: less than %s\ngot: %s\n' "$1" "$2"; return 1; }; }
at_least() { [ "$2" -ge "$1" ] || { printf 'expected: at least %s\ngot: %s\n' "$1" "$2"; return 1; }; }

uses_ciscos_port() { tcpdump -c 1 -nr "$RIG_DIR/wan.pcap" "src $CLIENT and udp dst port 10000" 2>/dev/null | grep -q .; }

# sent_by WAY: the router's box sends the client's ESP on like that. What it replaces ends here, and so does what the client
# could not read. While both ways of a packet work, the kernel's is the first to arrive.
sent_by() {
  case $1 in
    esp)
      ip netns exec "$RIG-r" python3 "$ADIT_SCENARIO/rewrap.py" lan1 wan "$CLIENT" "$HEADEND4" >"$RIG_DIR/box" 2>&1 &
      box=$!
      until_true 10 grep -q ready "$RIG_DIR/box"
      switched=$EPOCHREALTIME
      in_ns r nft -f - <<E
table ip box {
  chain way {
    type filter hook prerouting priority -300
    iifname "lan1" udp dport 4500 udp length > 16 @th,64,32 != 0 drop
    iifname "wan" ip daddr $CLIENT ip protocol esp drop
    iifname "wan" ip daddr $CLIENT udp sport 10000 drop
  }
}
E
      ;;
    cisco-udp)
      switched=$EPOCHREALTIME
      kill -USR1 "$box"
      ;;
    nat-t)
      switched=$EPOCHREALTIME
      in_ns r nft delete table ip box
      end_process TERM "$box" || true
      ;;
  esac
}

hold "it came by NAT-T" answers nat-t transport
ike=$(peer)
pings_start c1 "$SERVER4" 0.02
begun=$EPOCHREALTIME
moved=0
for way in esp cisco-udp nat-t; do
  sent_by $way
  if [ $way = cisco-udp ]; then
    on=esp
    hold "what comes another way is received" within 5 uses_ciscos_port
  else
    on=$way
    moved=$((moved + 1))
    hold "its packets take the session to $way" within 3 answers $way transport
    hold "the log says so" says "$(headend_log)" "peer moved.*transport=\"?$way.*by=\"?ESP"
    hold "and counts it" answers 1 moves_to "${way//-/_}"
  fi
  hold "IKE is where it was" answers "$ike" peer
  hold "10 MB arrive unchanged from client to server by $way" transfers c1 s "$SERVER4" 10 30
  hold "10 MB arrive unchanged from server to client by $way" transfers s c1 "$(virtual_ip c1 4)" 10 30

  # Whoever recorded the client's packets sends them again, and changed, from elsewhere and by all three.
  replayed=$(drops replayed) too_old=$(drops too_old) forged=$(drops bad_icv)
  hold "recorded packets come again by every transport, as they were and changed" in_ns r python3 "$ADIT_SCENARIO/intrude.py" "$RIG_DIR/wan.pcap" "$HEADEND4"
  more() { at_least $((replayed + too_old + 3)) $(($(drops replayed) + $(drops too_old))) && at_least $((forged + 3)) "$(drops bad_icv)"; }
  hold "the headend knows them for what they are" within 5 more
  hold "they have moved nothing" answers $moved moves
  hold "the session is still by $on" answers $on transport
  echo "interrupted for $(interruption c1 "$switched") ms when it was sent by $way" | tee -a "$RIG_DIR/speeds"
  hold "that interrupts nothing for as long as 0.3 s" below 300 "$(interruption c1 "$switched")"
done
pings=$(pings_end c1)
echo "pings: $pings in $(since "$begun") s" | tee -a "$RIG_DIR/speeds"
hold "pings were sent all the while" pings_steady c1 "${pings%% *}"
no_icmp() { is "" "$(tcpdump -nr "$RIG_DIR/wan.pcap" "icmp and src $HEADEND4 and icmp[0] == 3" 2>/dev/null | head -3)"; }
hold "the headend's kernel has answered none of it" no_icmp

hold_logout
