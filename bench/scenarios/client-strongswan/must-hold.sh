#!/bin/bash
. "$(dirname "$0")/../rig.sh"

# strongSwan warns of aggressive mode with a pre-shared key by this name, and so do we: it is what Cisco's groups are.
# What is half open it forgets after 10 s instead of 30.
STRONGSWAN_MORE='cisco_unity = yes
  half_open_timeout = 10
  i_dont_care_about_security_and_use_aggressive_mode_psk = yes'
topology_up 1 none
capture
strongswan_start h "$ADIT_SCENARIO/headend.swanctl.conf" 'ike = 2
    cfg = 2'

as() { case $1 in main) echo --id alice@rig --mode main ;; aggressive) echo --group riggroup --mode aggressive ;; esac; }
sas_there() { strongswan_ctl h --list-sas | awk '/IKEv1/ {ike++} /INSTALLED/ {child++} END {print ike+0, child+0}'; }
installed() { grep -ac "CHILD_SA $1{[0-9]*} established" "$(client_log h)" || true; }
client_sas() { adit_client_ctl c1 sa --json | jq '[.[] | select(.state == "active")] | length'; }
# log_lines REGEX: so many lines of the client's log are like this.
log_lines() { grep -acE "$1" "$RIG_DIR/c1/client.log" || true; }
drops() { adit_client_ctl c1 drops --json | jq -r '.[] | select(.total > 0 and .name != "no_route") | "\(.name): \(.total)"'; }

for way in main aggressive; do
  # shellcheck disable=SC2046
  hold "$way: the client logs in" adit_client c1 $(as $way) --esp-rekey 600
  hold "$way: strongSwan holds one ISAKMP SA and one pair of ESP SAs" answers "1 1" sas_there
  hold "$way: an address of strongSwan's pool" eval 'adit_client_told c1 .address | grep -E "^10\.30\.0\.[0-9]+$"'
  hold "$way: and its name server" answers 10.20.0.2 adit_client_told c1 '.dns[0]'
  hold "$way: the route that strongSwan names, and no other" answers '["10.20.0.0/24"]' jq -c .routes "$RIG_DIR/c1/client.json"
  hold "$way: by ESP in UDP 4500" answers nat-t adit_client_told c1 .transport
  hold "$way: the inner server answers" reaches c1 "$SERVER4"
  hold "$way: 10 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" 10
  hold "$way: 10 MB arrive unchanged from server to client" transfers s c1 "$(adit_client_told c1 .address)" 10

  before=$(log_lines 'child SA in use .* by="the peer"')
  pings_start c1 "$SERVER4" 0.02
  hold "$way: strongSwan begins a quick mode" strongswan_ctl h --rekey --child $way
  hold "$way: the client has taken it up" within 10 says "$RIG_DIR/c1/client.log" 'child SA in use .* by="the peer"' $((before + 1))
  hold "$way: packets go on" reaches c1 "$SERVER4"
  pings=$(pings_end c1)
  echo "$way: pings through strongSwan's quick mode: $pings" | tee -a "$RIG_DIR/speeds"
  hold "$way: no ping was lost" is "${pings%% *} sent, 0 lost" "$pings"
  hold "$way: the client dropped nothing" answers "" drops
  hold "$way: the client logs out" adit_client_stop c1
  hold "$way: strongSwan has forgotten it" within 5 answers "0 0" sas_there
  hold "$way: the interface is gone" not ip -n "$RIG-c1" link show adit-c0
done

hold "a login that begins a quick mode itself" adit_client c1 --group riggroup --esp-rekey 4
before=$(installed aggressive)
pings_start c1 "$SERVER4" 0.02
hold "strongSwan has answered it" within 15 eval "[ \$(installed aggressive) -gt $before ]"
hold "packets go on" reaches c1 "$SERVER4"
pings=$(pings_end c1)
echo "pings through the client's quick mode: $pings" | tee -a "$RIG_DIR/speeds"
hold "no ping was lost" is "${pings%% *} sent, 0 lost" "$pings"
hold "the client logs out" adit_client_stop c1
hold "strongSwan has forgotten it" within 5 answers "0 0" sas_there

# refused EXPECTED_CODE VARIABLE=VALUE...: a login that comes to nothing, by its exit status.
refused() {
  local code=0
  (export "$2" && adit_client_start c1 --group riggroup && cp "$RIG_DIR/c1/client.pid" "$RIG_DIR/c1/refused.pid" && wait $!) || code=$?
  is "$1" "$code"
}
hold "no login has failed so far" answers 0 log_lines 'login failed'
hold "a wrong password is no login, and says so" refused 3 PASSWORD=wrong
hold "the log has the cause" says "$RIG_DIR/c1/client.log" 'login failed.*cause="refused"'
hold "a wrong group secret is none either" refused 3 GROUP_SECRET=wrong
hold "the log has that cause, too" says "$RIG_DIR/c1/client.log" 'login failed.*cause="wrong_psk"'
hold "each failed once, and for nothing else" answers 2 log_lines 'login failed'
hold "nothing is left at strongSwan" within 40 answers "0 0" sas_there
# It was for what was wrong that they failed.
hold "with both right the client logs in" adit_client c1 --group riggroup
hold "the inner server answers" reaches c1 "$SERVER4"
hold "the client logs out" adit_client_stop c1
hold "strongSwan has forgotten it" within 5 answers "0 0" sas_there
hold "no secret is in the client's log" not grep -aE 'alice-pass|rig-psk-secret' "$RIG_DIR/c1/client.log"
