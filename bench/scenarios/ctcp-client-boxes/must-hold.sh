#!/bin/bash
. "$(dirname "$0")/../rig.sh"
. "$(dirname "$0")/../boxes.sh"

rig_up
lossy() { for leg in $BOX_LEGS; do lose "$leg" 1; done; }
lost_on_every_leg() { for leg in $BOX_LEGS; do [ "$(lost "$leg")" -gt 0 ] || { echo "got: none $leg"; return 1; }; done; }

for box in conntrack haproxy; do
  box $box
  lossy
  hold "$box: the client logs in" adit_client c1 --group riggroup --transport ctcp
  hold "$box: the inner server answers" within 20 reaches_somehow c1 "$SERVER4"
  hold "$box: 10 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" 10
  hold "$box: 10 MB arrive unchanged from server to client" transfers s c1 "$(adit_client_told c1 .address)" 10
  hold "$box: it is the same session" answers "1 sessions, 1 SAs" service
  [ $box != conntrack ] || echo "$box: $(invalid) segments invalid" | tee -a "$RIG_DIR/speeds"
  hold "$box: segments were lost on every leg" lost_on_every_leg
  hold "$box: the client logs out" adit_client_stop c1
  # The client's reset makes a proxy throw away what it has not passed on: then the headend has not heard the goodbye.
  [ $box = haproxy ] || hold "$box: nothing is left" within 30 nothing_left
done
hold "the proxy had one connection" answers 1 proxied

hold "Cisco's manner: the client logs in through the proxy" within 60 adit_client c1 --group riggroup --transport ctcp --legacy
# stalls: the sender's socket still holds data when its time is up (exit status 124 of timeout).
stalls() {
  local said
  said=$(transfers c1 s "$SERVER4" 10 12) || true
  grep -E '^error: sending .* ended with 124' <<<"$said"
}
hold "Cisco's manner: 10 MB to the server come to a stop" stalls
adit_client_stop c1 || true

# A ring that does not hold what is under way while the proxy waits: something else has to stand in the place of what is lost.
headend_stop
{ cat "$ADIT_SCENARIO/aditd.toml"; printf '\n[ctcp]\nring = "16KiB"\n'; } >"$RIG_DIR/small.toml"
headend_start "$RIG_DIR/small.toml"
hold "a small ring: the client logs in through the proxy" adit_client c1 --group riggroup --transport ctcp
lose headend-box 2
address=$(adit_client_told c1 .address)
ip netns exec "$RIG-c1" python3 "$SCENARIOS/packets.py" receive "$address" 7000 2000 6 0 >"$RIG_DIR/down.json" 2>"$RIG_DIR/down.ready" &
receiver=$!
until_true 10 grep -q ready "$RIG_DIR/down.ready"
ip netns exec "$RIG-s" python3 "$SCENARIOS/packets.py" send "$address" 7000 2000 6 0
fillers() { [ "$(ctl ctcp --json | jq '[.[].down.filled // 0] | add')" -gt 0 ]; }
hold "a small ring: frames of nothing stood in for what was lost" fillers
sleep 1
kill "$receiver"
wait "$receiver" || true
jq -r '"a small ring: \(100 * .received / .sent | round) % of the packets"' "$RIG_DIR/down.json" | tee -a "$RIG_DIR/speeds"
hold "a small ring: most packets arrive" jq -e '.received > 0.7 * .sent' "$RIG_DIR/down.json"
hold "a small ring: the client logs out" adit_client_stop c1
