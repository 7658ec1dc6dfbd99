#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
client_start c1
hold "strongSwan logs in" connect c1 net
hold "our client logs in by cTCP" adit_client c2 --group riggroup --transport ctcp
ADDRESS1=$(virtual_ip c1 4) ADDRESS2=$(adit_client_told c2 .address)
session_of() { ctl sessions --json | jq -r ".[] | select(.identity == \"$1\") | .id"; }
SESSION1=$(session_of alice@rig) SESSION2=$(session_of alice)

# capture_begin NAME SESSION OPTIONS...: aditctl writes $RIG_DIR/NAME.pcapng until it ends; its process is in PID_NAME.
declare -A PID
capture_begin() {
  local name=$1 before
  before=$(running)
  shift
  # Not by ctl: the process that is interrupted has to be aditctl's.
  "$ADITCTL" --socket "$RIG_DIR/h/aditd.sock" capture "$@" -w "$RIG_DIR/$name.pcapng" >"$RIG_DIR/$name.out" 2>&1 &
  PID[$name]=$!
  until_true 5 eval "[ \$(running) -gt $before ]" && until_true 5 test -s "$RIG_DIR/$name.pcapng"
}
running() { ctl captures --json | jq '[.[] | select(.state == "running")] | length'; }
# capture_stop NAME: as Ctrl-C does.
capture_stop() { kill -INT "${PID[$1]}" && wait "${PID[$1]}"; }
capture_wait() { wait "${PID[$1]}"; }
# count NAME FILTER: so many packets of the file are like this.
count() { packets "$RIG_DIR/$1.pcapng" "${@:2}"; }
inner() { count "$1" "frame.interface_name == \"inner\" && $2"; }
outer() { count "$1" "frame.interface_name == \"outer\" && $2"; }
pings() { all_answered "$1" "$2" -i 0.1 -W 2 "$SERVER4"; }
both_ping() {
  pings c1 12 &
  local other=$!
  pings c2 9 && wait $other
}

hold "a capture of strongSwan's session begins" capture_begin c1 "$SESSION1"
hold "and one of our client's" capture_begin c2 "$SESSION2"
hold "both ping" both_ping
hold "Ctrl-C ends the first" capture_stop c1
hold "and the second" capture_stop c2
hold "aditctl says why" says "$RIG_DIR/c1.out" "packets, .* an operator has stopped it"
hold "capinfos reads both" capinfos -M "$RIG_DIR/c1.pcapng" "$RIG_DIR/c2.pcapng"
for host in c1 c2; do
  address=$ADDRESS1 n=12
  [ $host = c1 ] || { address=$ADDRESS2 n=9; }
  hold "$host: inside are its pings" answers $n inner $host "icmp.type == 8 && ip.src == $address"
  hold "$host: and their answers" answers $n inner $host "icmp.type == 0 && ip.dst == $address"
  hold "$host: and nothing of anybody else's" answers 0 inner $host "!(ip.addr == $address)"
  hold "$host: as many ESP packets come outside" answers $n outer $host "esp && frame.packet_flags_direction == 1"
  hold "$host: and as many go" answers $n outer $host "esp && frame.packet_flags_direction == 2"
  hold "$host: none is malformed" answers 0 count $host "_ws.malformed"
done
hold "strongSwan's ESP is in UDP 4500, from its public address" answers 12 outer c1 "esp && udp.srcport == 4500 && udp.dstport == 4500 && ip.src == 10.99.1.2"
hold "our client's is in TCP 10000, as Cisco frames it" answers 9 outer c2 "tcpencap && esp && tcp.dstport == 10000 && ip.src == 10.99.2.2"
hold "TCP's checksums are good" answers 0 count c2 'tcp.checksum.status == "Bad"' -o tcp.check_checksum:TRUE

hold "a capture of the inside alone begins" capture_begin dropped "$SESSION1" --what inner
in_ns s ping -q -c 1 -W 1 -M do -s 1472 "$ADDRESS1" >/dev/null 2>&1 || true
hold "it ends" capture_stop dropped
hold "what was too big for the tunnel is in it, with the reason" answers 1 inner dropped 'icmp.type == 8 && frame.comment contains "too_big"'
hold "and the answer to its sender is not: it did not go that way" answers 0 inner dropped 'icmp.type == 3'
hold "there is no other side" answers 0 outer dropped frame

rekeys() {
  strongswan_ctl c1 --rekey --child net && within 5 says "$(client_log c1)" "outbound CHILD_SA net.* established" 1 &&
    strongswan_ctl c1 --rekey --ike adit
}
hold "a capture of the outside alone begins" capture_begin rekey "$SESSION1" --what outer --snap 200
hold "child and IKE SA are replaced" rekeys
hold "both still reach the server" reaches c1 "$SERVER4"
hold "it ends" capture_stop rekey
hold "IKE is in it, both ways" eval '[ "$(outer rekey "isakmp && frame.packet_flags_direction == 1")" -ge 2 ] && [ "$(outer rekey "isakmp && frame.packet_flags_direction == 2")" -ge 2 ]'

hold "a capture of two seconds begins" capture_begin time "$SESSION1" --seconds 2
hold "it ends by itself" capture_wait time
hold "for that reason" says "$RIG_DIR/time.out" "its time is over"
hold "one of 100 kB begins" capture_begin size "$SESSION1" --size 100kB
hold "2 MB go up" transfers c1 s "$SERVER4" 2
hold "it ends by itself" capture_wait size
hold "for that reason" says "$RIG_DIR/size.out" "as long as it may be"
hold "no longer than it may be" eval '[ "$(stat -c %s "$RIG_DIR/size.pcapng")" -le 100000 ] && capinfos -M "$RIG_DIR/size.pcapng"'
# With three it has enough, and aditctl nobody to write to.
live() { { ctl capture "$SESSION2" --what inner -w - 2>"$RIG_DIR/live.out" || true; } | tshark -l -n -c 3 -r - 2>/dev/null | wc -l; }
look_live() {
  local code=0
  pings_start c2 "$SERVER4" 0.1
  answers 3 live || code=1
  pings_end c2 && return $code
}
hold "tshark reads packets as they come" look_live

as_group() {
  # shellcheck disable=SC2016 # the inner shell has its own arguments
  in_ns h sh -c 'mount --bind "$0" /mnt && exec setpriv --reuid 65534 --regid 0 --clear-groups "$@"' "$RIG_DIR/h" \
    "$ADITCTL" --socket /mnt/aditd.sock "$@" 2>&1
}
chmod g+x "$RIG_DIR/h"
hold "who may only look sees which there are" answers "no captures" as_group captures
hold "and gets none" eval 'not as_group capture "$SESSION1" -w - | grep -a "may look, not change"'

hold "a capture begins once more" capture_begin session "$SESSION1"
hold "strongSwan logs out" disconnect c1 adit
hold "the capture ends with the session" capture_wait session
hold "for that reason" says "$RIG_DIR/session.out" "its session has ended"
hold "no file is left" answers "" ls "$RIG_DIR/h/state/captures"
events() { curl -s --unix-socket "$RIG_DIR/h/aditd.sock" "http://a/v1/events?kind=$1&limit=1000" | jq '[.events[] | select(.by == "uid 0")] | length'; }
hold "each is among the events, with who wanted it" answers "8 8" eval 'echo "$(events capture_started) $(events capture_ended)"'
hold "our client logs out" adit_client_stop c2
hold "nothing is left" within 5 nothing_left
