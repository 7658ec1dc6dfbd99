#!/bin/bash
. "$(dirname "$0")/../rig.sh"
. "$(dirname "$0")/../boxes.sh"

SNAPLEN=0
topology_up 1 none
capture

# Neither kernel may say a word on the connections.
count_resets
# segments FILTER: segments of the capture that match. framed FILTER: the same where what the headend repeats is taken apart, too.
segments() { frames "tcp && $1"; }
framed() { frames "$1" -o tcp.analyze_sequence_numbers:FALSE -d tcp.port==10000,tcpencap; }

# a_login WHO MEGABYTES OPTIONS...: login, pings, megabytes each way, logout; by IKEv1 unless the options begin with `--ike 2`.
# Where the line loses packets REACHES is reaches_somehow.
a_login() {
  local who=$1 megabytes=$2 as=(--group riggroup)
  shift 2
  [ "${1:-} ${2:-}" != "--ike 2" ] || as=()
  hold "$who: the client logs in" adit_client c1 "$@" "${as[@]}" --transport ctcp
  hold "$who: one session with one SA pair" answers "1 sessions, 1 SAs" service
  hold "$who: by cTCP, at both ends" answers "ctcp ctcp" eval 'echo "$(adit_client_told c1 .transport) $(transport)"'
  hold "$who: the inner server answers" "${REACHES:-reaches}" c1 "$SERVER4"
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
    hold "nothing travels in anything else" not_on_wire "ip.proto == 17 || ip.proto == 50"
    hold "what the client sends is TCPENCAP" test "$(framed "tcpencap && ip.dst == $HEADEND4")" -ge 100
    hold "none of it malformed" answers 0 framed _ws.malformed

    # In Cisco's manner, in both directions: as a capture of Cisco's own would look.
    capture
    a_login "in Cisco's manner, watched" 1 --legacy
    capture_end
    hold "in Cisco's manner: whatever has data is TCPENCAP" answers 0 framed "tcp.len > 0 && !tcpencap"
    for end in src dst; do
      hold "in Cisco's manner: there is some, ip.$end the headend" test "$(framed "tcpencap && ip.$end == $HEADEND4")" -ge 100
    done
    hold "in Cisco's manner: none of it is malformed" answers 0 framed _ws.malformed
    hold "in Cisco's manner: no checksum is bad" answers 0 frames "tcp.checksum.status == 0" -o tcp.check_checksum:TRUE
    hold "in Cisco's manner: every TCP header has 20 octets" answers 0 framed "tcp && tcp.hdr_len != 20"
    hold "in Cisco's manner: every window is 65535" answers 0 framed "tcp && tcp.window_size_value != 65535"
  fi
  for manner in ours legacy; do
    option=$([ $manner = legacy ] && echo --legacy || true)
    lose headend-box 0
    # Once so much that the headend's window goes round often; for what the modes and manners differ in, less will do.
    megabytes=$([ $mode = adaptive ] && [ $manner = ours ] && echo 100 || echo 20)
    # shellcheck disable=SC2086
    a_login "$mode, $manner, nothing lost" "$megabytes" $option
    lose headend-box 1
    # shellcheck disable=SC2086
    REACHES=reaches_somehow a_login "$mode, $manner, 1 % of the headend's segments lost" 20 $option
    hold "$mode, $manner: segments were lost" test "$(lost headend-box)" -gt 50
  done
  lose headend-box 0
  a_login "$mode, IKEv2, nothing lost" 20 --ike 2 --id alice@rig
  if [ $mode = adaptive ]; then
    for leg in client-box headend-box; do lose $leg 1; done
    REACHES=reaches_somehow a_login "$mode, IKEv2, 1 % of the segments lost each way" 20 --ike 2 --id alice@rig
    for leg in client-box headend-box; do
      hold "$mode, IKEv2: segments were lost on $leg" test "$(lost $leg)" -gt 20
      lose $leg 0
    done
  fi
  hold "$mode: the headend ends as it should" headend_stop
done
