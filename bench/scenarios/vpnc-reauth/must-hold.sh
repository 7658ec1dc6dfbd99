#!/bin/bash
. "$(dirname "$0")/../rig.sh"

# reauthenticate MODE: vpnc logs in anew, again and again, while pings and files pass.
reauthenticate() {
  local lines
  lines=$(wc -l <"$(headend_log)")
  sed "s/@MODE@/$1/" "$ADIT_SCENARIO/vpnc.conf" >"$RIG_DIR/$1.conf"
  hold "vpnc logs in ($1)" vpnc_connect c1 "$RIG_DIR/$1.conf"
  local address session pings lost rekeys logins
  address=$(vpnc_told c1 INTERNAL_IP4_ADDRESS)
  session=$(session_id)
  pings_start c1 "$SERVER4" 0.02
  hold "6 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" 6 60 1
  hold "6 MB arrive unchanged from server to client" transfers s c1 "$address" 6 60 1
  pings=$(pings_end c1)
  echo "pings ($1): $pings" | tee -a "$RIG_DIR/speeds"
  tail -n "+$((lines + 1))" "$(headend_log)" >"$RIG_DIR/$1.log"
  hold "vpnc has logged in anew, twice" says "$RIG_DIR/$1.log" 'the client has re-authenticated' 2
  hold "the headend has replaced ESP keys under the new ISAKMP SA" keys_replaced_after_login "$RIG_DIR/$1.log"
  # While vpnc logs in it leaves packets in its sockets, which hold some 100 of them, and takes those up afterwards: half a
  # second's pings at most are lost. Of ESP keys it has one pair at a time: what is under way then is lost.
  rekeys=$(grep -c 'child SA rekeyed' "$RIG_DIR/$1.log") logins=$(grep -c 're-authenticated' "$RIG_DIR/$1.log")
  lost=${pings##*sent, } lost=${lost%% *}
  hold "few pings were lost" test "$lost" -le $((rekeys + 25 * logins))
  hold "it is the same session with one SA pair" within 5 answers "$session 1 sessions, 1 SAs" eval 'echo "$(session_id) $(service)"'
  hold "and has its address" answers "$address" eval "ctl sessions --json | jq -r '.[].addresses[0]' | cut -d/ -f1"
  hold_vpnc_goodbye
}
session_id() { ctl sessions --json | jq -r '.[].id'; }
keys_replaced_after_login() { awk '/re-authenticated/ {new = 1} /child SA rekeyed/ {after += new} END {exit !after}' "$1"; }

rig_up
reauthenticate none
reauthenticate cisco-udp
