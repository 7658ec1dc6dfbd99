#!/bin/bash
# One cell: STALL_BOX, STALL_LEG, STALL_LOSS (percent), STALL_MODE, STALL_CLIENT (legacy, repaired), STALL_DIRECTION (both, up, down),
# STALL_RATE (packets a second), STALL_SECONDS, STALL_FAR (milliseconds from the box to the headend; 0: no line of its own). The result goes to STALL_OUT as one object of JSON.
. "$(dirname "$0")/../../scenarios/rig.sh"
. "$(dirname "$0")/../../scenarios/boxes.sh"

topology_up 1 none
[ "$STALL_FAR" = 0 ] || long_line "$STALL_FAR"
sed "s/@MODE@/$STALL_MODE/" "$ADIT_SCENARIO/aditd.toml" >"$RIG_DIR/cell.toml"
headend_start "$RIG_DIR/cell.toml"
box "$STALL_BOX"
manner=
[ "$STALL_CLIENT" = repaired ] || manner=--legacy
# shellcheck disable=SC2086
hold "the client logs in" adit_client c1 --group riggroup --transport ctcp $manner
address=$(adit_client_told c1 .address)
# What routes and neighbours need is there before anything counts.
hold "a packet passes" within 5 reaches c1 "$SERVER4"
[ "$STALL_LEG" = none ] || lose "$STALL_LEG" "$STALL_LOSS"

# listen_for HOST ADDRESS NAME, send_to HOST ADDRESS: in the background; receivers listen before anybody sends.
receivers=() senders=()
# What is fast at once on a long line is past every window before anybody can say anything.
[ "$STALL_FAR" = 0 ] && ramp=0 || ramp=2
listen_for() {
  ip netns exec "$RIG-$1" python3 "$SCENARIOS/packets.py" receive "$2" 7000 "$STALL_RATE" "$STALL_SECONDS" $ramp >"$RIG_DIR/$3.json" 2>"$RIG_DIR/$3.ready" &
  receivers+=($!)
  until_true 10 grep -q ready "$RIG_DIR/$3.ready"
}
send_to() {
  ip netns exec "$RIG-$1" python3 "$SCENARIOS/packets.py" send "$2" 7000 "$STALL_RATE" "$STALL_SECONDS" $ramp &
  senders+=($!)
}
echo '{"received":null}' | tee "$RIG_DIR/up.json" >"$RIG_DIR/down.json"
[ "$STALL_DIRECTION" = down ] || listen_for s "$SERVER4" up
[ "$STALL_DIRECTION" = up ] || listen_for c1 "$address" down
begin=$EPOCHREALTIME
[ "$STALL_DIRECTION" = down ] || send_to c1 "$SERVER4"
[ "$STALL_DIRECTION" = up ] || send_to s "$address"
ended=null ended_at_headend=null
client=$(cat "$RIG_DIR/c1/client.pid")
# ended_with STATUS: so the client ended.
ended_with() {
  local code=0
  wait "$client" || code=$?
  is "$1" "$code"
}
for ((i = 0; i < STALL_SECONDS * 10; i++)); do
  if [ "$ended_at_headend" = null ] && grep -Eq 'logout.*cause="(stalled|unheard)"' "$RIG_DIR/h/aditd.log"; then ended_at_headend=$(since "$begin"); fi
  if [ "$ended" = null ] && ! kill -0 "$client" 2>/dev/null; then
    ended=$(since "$begin")
    # A client that crashed, or gave up for another reason, has known nothing of its session.
    hold "the client says by its exit status that it lost the session" ended_with 4
  fi
  sleep 0.1
done
wait "${senders[@]}"
sleep 1
kill "${receivers[@]}"
wait "${receivers[@]}"
[ "$STALL_LEG" = none ] && lost=0 || lost=$(lost "$STALL_LEG")

jq -cn --slurpfile up "$RIG_DIR/up.json" --slurpfile down "$RIG_DIR/down.json" --argjson ended "$ended" --argjson headend "$ended_at_headend" --argjson lost "$lost" \
  --argjson seconds "$STALL_SECONDS" '
  def share: if .received == null then null else 10000 * .received / .sent | round / 100 end;
  def dead: select(.received != null) | .last | select(. < $seconds - 3);
  $up[0] as $up | $down[0] as $down |
  {box: env.STALL_BOX, loss_leg: env.STALL_LEG, loss_percent: (env.STALL_LOSS | tonumber), mode: env.STALL_MODE, client: env.STALL_CLIENT,
   direction: env.STALL_DIRECTION, delivered_up: ($up | share), delivered_down: ($down | share),
   longest_gap_s: ([$up, $down | .gap // 0] | max), dead_at_s: ([$up, $down | dead] | min), ended_cleanly_s: $ended, ended_at_headend_s: $headend, segments_lost: $lost,
   up: $up.buckets, down: $down.buckets}' >"$RIG_DIR/cell.json"
cp "$RIG_DIR/cell.json" "$STALL_OUT"
hold "the cell is measured" jq -e . "$STALL_OUT"
adit_client_stop c1 || true
