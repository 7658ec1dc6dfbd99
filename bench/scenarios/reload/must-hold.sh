#!/bin/bash
. "$(dirname "$0")/../rig.sh"

# Each is a file that differs from the one before the changes (sed), and for those that are not taken what has to be said of it.
HASH='$argon2id$v=19$m=19456,t=2,p=1$SYlJttmyRZ8N1qPLuqQE7Q$xP4gPUWRCcht2AO7RUO2lXQSym6R2EXVC0ZLEelRlYM'
RIGHT=(
  's/^burst = .*/burst = 32/' 's/^spin = .*/spin = "10us"/' 's/^coalesce = .*/coalesce = "0us"/' 's/^level = .*/level = "debug"/'
  's/^dpd_delay = .*/dpd_delay = "7s"/' 's/^half_open_limit = .*/half_open_limit = 64/' 's/^session_limit = .*/session_limit = 2/'
  's/^mss_clamp = .*/mss_clamp = "off"/' 's/^moves_per_minute = .*/moves_per_minute = 6/' 's/^rekey_time = .*/rekey_time = "2h"/'
  's#10.30.0.0/24#10.30.0.0/16#' 's/^dns = .*/dns = []/' 's/^psk = .*/psk = "another secret than that"/' 's/^banner = .*/banner = "Good morning"/'
  's/aes128gcm16"\]/aes256gcm16"]/' 's#^networks = .*#networks = ["10.20.0.0/16", "fd20::/60"]#' 's/"\*@rig"/"*@rig", "*@lab"/'
  's/x25519/x25519-ecp256/' 's/^identity = .*/identity = "other.rig"/' '$a [[pool]]\nname = "lab"\naddresses = ["10.31.0.0/24"]'
  "\$a [[user]]\nname = \"carol\"\npassword_hash = \"$HASH\"" 's/^replay_window = .*/replay_window = 128/'
  's/^transports = .*/transports = ["nat-t"]/' 's/^natt_keepalive = .*/natt_keepalive = "5s"/'
)
WRONG=(
  's/^burst = /brust = /~\[workers\] brust.*burst' 's/^dpd_delay = .*/dpd_delay = "soon"/~\[ike\] dpd_delay.*soon'
  's/^pools = .*/pools = ["mian"]/~pools.*mian.*main' 's/^burst = .*/burst = 0/~\[workers\] burst' 's/^\[ike\]/[ikee]/~ikee.*ike'
  's#10.30.0.0/24#10.30.0.0/44#~\[\[pool\]\].*10.30.0.0/44' 's/aes128gcm16"\]/aes129gcm16"]/~esp_proposals.*aes129gcm16'
  's/^mss_clamp = .*/mss_clamp = "maybe"/~\[esp\] mss_clamp.*maybe' 's/^psk = .*/psk = ""/~psk' '$a [[pool~TOML'
  "\$a [[user]]\nname = \"dave\"~password_hash" 's/^name = "main"/name = ""/~name'
)
RESTART=('s/^mtu = .*/mtu = 1300/~\[tun\] mtu: 1400 → 1300: needs a restart' 's/^cores = .*/cores = [0]/~\[workers\] cores'
  's/^natt_port = .*/natt_port = 4501/~\[listen\] natt_port: 4500 → 4501' 's/^name = "adit0"/name = "adit1"/~\[tun\] name'
  's/^mtu = .*/mtu = 1300/; s/^burst = .*/burst = 16/~\[workers\] burst: 64 → 16: at once' 's/^locked = .*/locked = true/; s/^mtu = .*/mtu = 1300/~\[tun\] mtu')
# What a plan says before it is carried out; nothing of it happens.
PLANS=('s/^locked = .*/locked = true/~1 session is this user.s and ends: s[0-9]+ bob' 's#10.30.0.0/24#10.40.0.0/24#~2 sessions have addresses outside'
  's#^networks = .*#networks = ["10.21.0.0/24"]#~has a child SA for more' 's/^transports = .*/transports = ["esp"]/~2 sessions come otherwise|1 session comes otherwise'
  's/^name = "ezvpn"/name = "other"/~\[\[connection\]\] ezvpn removed: at once; 1 session is of this connection' 's/^burst = .*/burst = 8/~\[workers\] burst: 64 → 8: at once; no session ends'
  's/^psk = .*/psk = "yet another secret"/~psk changed: for new logins' 's/^rekey_time = .*/rekey_time = "3h"/~\[esp\] rekey_time: 1h → 3h')

changes=0 door=0
FILE=$RIG_DIR/h/aditd.toml
# change SED: the file is the first one, but for this.
change() {
  changes=$((changes + 1))
  sed "$1" "$RIG_DIR/first.toml" >"$FILE.part" && mv "$FILE.part" "$FILE"
}
reloads() { grep -ac 'reload: ' "$RIG_DIR/h/aditd.log" || true; }
more_reloads() { test "$(reloads)" -gt "$1"; }
# ask: reloads by the doors in turn; what is said is in $RIG_DIR/said, and ends with "exit 0" if it was done.
ask() {
  local before code=0
  before=$(reloads)
  door=$(((door + 1) % 3))
  case $door in
    0) ctl reload >"$RIG_DIR/said" 2>&1 || code=1 ;;
    1)
      printf 'POST /v1/reload HTTP/1.1\r\nhost: aditd\r\nconnection: close\r\n\r\n' |
        socat -t 5 - "UNIX-CONNECT:$RIG_DIR/h/aditd.sock,shut-none" >"$RIG_DIR/answer.http"
      sed '1,/^\r$/d' "$RIG_DIR/answer.http" >"$RIG_DIR/answer"
      jq -r '.mistakes[].text, (.changes[] | if .from == "" then "\(.section) \(.key) \(.to): \(.sentence)" else "\(.section) \(.key): \(.from) → \(.to): \(.sentence)" end), .summary' "$RIG_DIR/answer" >"$RIG_DIR/said"
      head -1 "$RIG_DIR/answer.http" | grep -q ' 200 ' || code=1
      ;;
    2)
      kill -HUP "$HEADEND_PID"
      until_true 5 more_reloads "$before"
      tail -n "+$(($(grep -an 'reload: ' "$RIG_DIR/h/aditd.log" | tail -2 | head -1 | cut -d: -f1) + 1))" "$RIG_DIR/h/aditd.log" >"$RIG_DIR/said"
      grep -qE 'reload: (applied|nothing to do)' "$RIG_DIR/said" || code=1
      ;;
  esac
  echo "exit $code" >>"$RIG_DIR/said"
}
# configuration: the one in force, but for what is secret.
configuration() { ctl config --json | jq -c .settings; }
# another_configuration EDIT: it is neither the first nor the one before. Of a secret one sees that what the one before had has gone.
another_configuration() {
  local now
  now=$(configuration) && [ -n "$now" ] && not is "$previous" "$now" || return 1
  case $1 in
    's/^psk'*) is "$first" "$now" ;;
    *) not is "$first" "$now" ;;
  esac
}
# The service as it is: who is there, with which keys, what the daemon says of itself, and its configuration.
service_now() {
  ctl sessions --json | jq -c '[.[] | {id, state, identity, connection, addresses, ike_spis, worker, transport}]'
  ctl status --json | jq -c 'del(.up_seconds, .commands_waiting, .half_open)'
  ctl sa --json | jq -c '[.[] | {session, spi_in, spi_out}]'
  in_ns h ip -o addr show dev adit0
  configuration
}
as_before() { is "$(cat "$RIG_DIR/before")" "$(service_now)"; }

rig_up
client_start c1
hold "strongSwan logs in" connect c1 net
hold "vpnc logs in" vpnc_connect c2 "$ADIT_SCENARIO/vpnc.conf"
hold "two sessions" answers "2 sessions, 2 SAs" service
cp "$FILE" "$RIG_DIR/first.toml"
sessions_at_first=$(ctl sessions --json | jq -c '[.[] | {id, ike_spis, addresses}]')
sessions_as_at_first() { is "$sessions_at_first" "$(ctl sessions --json | jq -c '[.[] | {id, ike_spis, addresses}]')"; }
for client in c1 c2; do pings_start "$client" "$SERVER4" 0.05; done
service_now >"$RIG_DIR/before"
first=$(configuration) previous=

for edit in "${RIGHT[@]}"; do
  change "$edit"
  ask
  hold "taken: $edit" says "$RIG_DIR/said" '^exit 0$'
  hold "and no session ends by it" says "$RIG_DIR/said" 'reload: applied: .*no session ended|^applied: .*no session ended'
  hold "both are still there" sessions_as_at_first
  hold "another configuration is in force" another_configuration "$edit"
  previous=$(configuration)
done
# An IPv6 address is once on an interface: it must not go with the network that it had before.
change 's#fd30::/64#fd30::/56#'
ask
hold "taken: another prefix length of an IPv6 pool" says "$RIG_DIR/said" '^exit 0$'
hold "the interface has its IPv6 address with that network" eval "in_ns h ip -6 -o addr show dev adit0 | grep -q 'inet6 fd30::1/56 '"
hold "and the route" eval "in_ns h ip -6 route show dev adit0 | grep -q '^fd30::/56 '"
hold "the former network is gone" eval "! in_ns h ip -6 route show dev adit0 | grep -q '^fd30::/64 '"
change ''
hold "the first file comes back" ctl reload
hold "the route of before, too" eval "in_ns h ip -6 route show dev adit0 | grep -q '^fd30::/64 '"
hold "everything is as it was" as_before

for both in "${WRONG[@]}" "${RESTART[@]}"; do
  change "${both%~*}"
  ask
  hold "not taken: ${both%~*}" says "$RIG_DIR/said" '^exit 1$'
  hold "and it is said why" says "$RIG_DIR/said" "${both##*~}"
  hold "everything is as it was" as_before
done
hold "the log names file, line, key and the nearest key" says "$RIG_DIR/h/aditd.log" "aditd.toml:1[0-9]: \[workers\] brust: .*burst"

for both in "${PLANS[@]}"; do
  change "${both%~*}"
  ctl reload --dry-run >"$RIG_DIR/said" 2>&1 || true
  hold "planned: ${both##*~}" says "$RIG_DIR/said" "${both##*~}"
  hold "everything is as it was" as_before
done
hold "51 changes and one back" answers 52 echo "$changes"

hold "vpnc has lost nothing" eval "pings_end c2 | grep -E '^[0-9]{2,} sent, 0 lost'"
change 's/^locked = .*/locked = true/'
hold "its user is locked" ctl reload
hold "only strongSwan's session is left" answers '["alice@rig"]' eval "ctl sessions --json | jq -c '[.[] | select(.state == \"up\") | .identity]'"
hold "vpnc is told and ends" within 5 not vpnc_runs c2
hold "the log says why" says "$RIG_DIR/h/aditd.log" 'cause="?reconfigured'
hold "strongSwan has lost nothing" eval "pings_end c1 | grep -E '^[0-9]{2,} sent, 0 lost'"
hold "who watches is told" answers "another configuration is in force: 1 changes, 1 sessions ended" \
  eval "in_ns h curl -s --unix-socket '$RIG_DIR/h/aditd.sock' 'http://aditd/v1/events?kind=reloaded&limit=1000' | jq -r '.events[-1].sentence'"
