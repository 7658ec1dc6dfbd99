# shellcheck shell=bash
# What a scenario's must-hold.sh can say. Sourced by it, as its first line; the runner (`adit-bench scenario run`) has set
#
#   ADIT_RIG       the prefix of this run's namespaces      ADIT_RUN_DIR       private folder; logs and captures stay here
#   ADIT_SCENARIO  the scenario's folder                    ADITD, ADITCTL, ADIT_BENCH     the binaries under test
#   ADIT_HEADEND   adit, or strongswan: the reference in adit's place, to tell a wrong scenario from a wrong daemon
#
# and the scenario's settings (CLIENTS, NAT, ...). The runner removes everything afterwards, whatever happened.
set -euo pipefail

RIG=$ADIT_RIG
RIG_DIR=$ADIT_RUN_DIR
SCENARIOS=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=../../deploy/rig/topology.sh
. "$SCENARIOS/../../deploy/rig/topology.sh"
# shellcheck source=../../deploy/rig/strongswan.sh
. "$SCENARIOS/../../deploy/rig/strongswan.sh"
# shellcheck source=../../deploy/rig/vpnc.sh
. "$SCENARIOS/../../deploy/rig/vpnc.sh"
# shellcheck source=../../deploy/rig/client.sh
. "$SCENARIOS/../../deploy/rig/client.sh"
# shellcheck source=../../deploy/rig/freeradius.sh
. "$SCENARIOS/../../deploy/rig/freeradius.sh"
# shellcheck source=../../deploy/rig/pki.sh
. "$SCENARIOS/../../deploy/rig/pki.sh"

# ---- what must hold -------------------------------------------------------------------------------------------------

# hold "TEXT" COMMAND...: the command must succeed; its output is shown if it does not. The first broken one ends the run.
hold() {
  local text=$1 code=0
  shift
  "$@" >"$RIG_DIR/hold.out" 2>&1 || code=$?
  if [ "$code" -eq 0 ]; then
    echo "holds: $text"
    return 0
  fi
  echo "BROKEN: $text"
  echo "  asked: $*"
  sed 's/^/  /' "$RIG_DIR/hold.out" | tail -40
  local got
  got=$(grep -aE '^(expected|got|error)' "$RIG_DIR/hold.out" || tail -1 "$RIG_DIR/hold.out")
  echo "$text: $(head -2 <<<"$got" | cut -c1-200 | paste -sd' ')" >"$RIG_DIR/reason"
  exit 1
}

# hold_of_adit: a hold that only adit can be asked, not the reference in its place.
hold_of_adit() {
  if [ "$ADIT_HEADEND" = adit ]; then hold "$@"; else echo "not asked of $ADIT_HEADEND: $1"; fi
}

# skip "WHY": this machine cannot run the scenario. The runner counts it, and in CI counts it as failed.
skip() {
  echo "$1" >"$RIG_DIR/reason"
  exit 77
}

trap 'code=$?; [ $code -eq 0 ] || [ -e "$RIG_DIR/reason" ] || echo "line $LINENO: \"$BASH_COMMAND\" ended with $code" >"$RIG_DIR/reason"' ERR

# is EXPECTED GOT
is() {
  [ "$1" = "$2" ] && return 0
  printf 'expected: %s\ngot: %s\n' "$1" "$2"
  return 1
}

# answers EXPECTED COMMAND...: the command prints exactly this, and succeeds.
answers() {
  local expected=$1 got code=0
  shift
  got=$("$@" 2>&1) || code=$?
  is "$expected" "$got" || return 1
  [ "$code" -eq 0 ] || { printf 'expected: success, for it answers as it should\ngot: exit status %s\n' "$code"; return 1; }
}

# within SECONDS COMMAND...: it may take that long to become true; the last output is the one that counts.
within() {
  local end=$((SECONDS + $1)) limit=$1 out
  shift
  until out=$("$@" 2>&1); do
    if [ "$SECONDS" -ge "$end" ]; then
      printf '%s\n(for %s s)\n' "$out" "$limit"
      return 1
    fi
    sleep 0.2
  done
}

# other EXPECTED COMMAND...: the command succeeds, and what it prints is something, and something else.
other() {
  local unwanted=$1 got
  shift
  got=$("$@") && [ -n "$got" ] && [ "$got" != "$unwanted" ] && return 0
  printf 'expected: other than %s\ngot: %s\n' "$unwanted" "${got:-nothing}"
  return 1
}

# not COMMAND...: the command must fail.
not() {
  if "$@"; then
    printf 'expected: failure\ngot: success\n'
    return 1
  fi
}

# says FILE REGEX [COUNT]: the file has at least COUNT (1) lines like this.
says() {
  local count
  count=$(grep -acE -- "$2" "$1" || true)
  [ "$count" -ge "${3:-1}" ] && return 0
  printf 'expected: at least %s lines like /%s/ in %s\ngot: %s, the last lines being\n' "${3:-1}" "$2" "${1##*/}" "$count"
  tail -8 "$1"
  return 1
}

client_log() { echo "$RIG_DIR/$1/charon.log"; }
headend_log() { if [ "$ADIT_HEADEND" = adit ]; then echo "$RIG_DIR/h/aditd.log"; else client_log h; fi; }

# child_number, ike_number: what strongSwan on c1 calls its newest child SA and IKE SA that serve, #3 of net{3} or #2 of adit[2]. While
# they are being replaced they are nothing.
child_number() { strongswan_ctl c1 --list-sas | grep -oE '^  net: #[0-9]+, reqid [0-9]+, INSTALLED' | grep -oE '#[0-9]+' | tail -1; }
ike_number() { strongswan_ctl c1 --list-sas | grep -oE '^adit: #[0-9]+, ESTABLISHED' | grep -oE '#[0-9]+' | tail -1; }

# hold_login: client c1 logs in, has one session and reaches the inner server over both families.
hold_login() {
  client_start c1
  hold "the client logs in" connect c1 net
  hold_of_adit "one session with one SA pair" answers "1 sessions, 1 SAs" service
  hold "the inner IPv4 server answers" reaches c1 "$SERVER4"
  hold "the inner IPv6 server answers" reaches c1 "$SERVER6"
}

# hold_transfers [MEGABYTES]: so much, or 50 MB, each way between client c1 and the inner server, over IPv4.
hold_transfers() {
  local megabytes=${1:-50}
  hold "$megabytes MB arrive unchanged from client to server" transfers c1 s "$SERVER4" "$megabytes"
  hold "$megabytes MB arrive unchanged from server to client" transfers s c1 "$(virtual_ip c1 4)" "$megabytes"
}

# hold_logout: client c1 logs out, and the headend has forgotten it.
hold_logout() {
  hold "the client logs out" disconnect c1 adit
  hold "nothing is left" within 5 nothing_left
}

# hold_vpnc [OPTIONS]: vpnc logs in on c1 with <scenario>/vpnc.conf, has been told what the operator wrote, and moves
# $MEGABYTES, or 20 MB, each way.
hold_vpnc() {
  local megabytes=${MEGABYTES:-20}
  hold "vpnc logs in" vpnc_connect c1 "$ADIT_SCENARIO/vpnc.conf" "$@"
  hold "one session with one SA pair" answers "1 sessions, 1 SAs" service
  hold "an address from the pool" vpnc_told_like INTERNAL_IP4_ADDRESS '^10\.30\.[0-9]+\.[0-9]+$'
  hold "the banner arrives" answers "Welcome to the rig" vpnc_told c1 CISCO_BANNER
  hold "the name server" answers "10.20.0.2" vpnc_told c1 INTERNAL_IP4_DNS
  hold "the default domain" answers "rig.example" vpnc_told c1 CISCO_DEF_DOMAIN
  hold "the network behind the headend, and no other" answers "1 10.20.0.0/24" split_routes
  hold "the inner server answers" reaches c1 "$SERVER4"
  hold "$megabytes MB arrive unchanged from client to server" transfers c1 s "$SERVER4" "$megabytes"
  hold "$megabytes MB arrive unchanged from server to client" transfers s c1 "$(vpnc_told c1 INTERNAL_IP4_ADDRESS)" "$megabytes"
}
split_routes() {
  echo "$(vpnc_told c1 CISCO_SPLIT_INC) $(vpnc_told c1 CISCO_SPLIT_INC_0_ADDR)/$(vpnc_told c1 CISCO_SPLIT_INC_0_MASKLEN)"
}
vpnc_told_like() { vpnc_told c1 "$1" | grep -E "$2" || { printf 'expected: %s\ngot: %s\n' "$2" "$(vpnc_told c1 "$1")"; return 1; }; }

# hold_vpnc_goodbye: vpnc says goodbye, and the headend has forgotten it.
hold_vpnc_goodbye() {
  vpnc_stop c1 || true
  hold "nothing is left" within 5 nothing_left
}

# transport: how the only session's ESP travels.
transport() { ctl sessions --json | jq -r '.[].transport'; }
# ways: the transport of the only session, at client c1's end and at the headend's; both ends are adit's.
ways() { echo "$(adit_client_ctl c1 sessions --json | jq -r '.[].transport') $(transport)"; }
# What a session that only moves keeps: its name, addresses and IKE SA, and its SAs.
session() { ctl sessions --json | jq -c '.[] | [.id, .addresses, .ike_spis]'; }
spis() { ctl sa --json | jq -c '[.[] | .spi_in]'; }

# on_wire FILTER: the capture has packets like this (tshark's display filter), so far. not_on_wire FILTER: it has none, though it has
# others, and goes on until now.
on_wire() {
  local number
  number=$(packets "$RIG_DIR/wan.pcap" "$1") || return 1
  [ "$number" -gt 0 ] || { printf 'expected: packets like this\ngot: none\n'; return 1; }
}
not_on_wire() {
  capture_goes_on || return 1
  on_wire frame || return 1
  answers 0 packets "$RIG_DIR/wan.pcap" "$1"
}
# frames FILTER [TSHARK_OPTIONS]: how many packets of the capture are like this; none at all is said of one that goes on until now.
frames() { capture_goes_on && packets "$RIG_DIR/wan.pcap" "$@"; }
# packets FILE FILTER [TSHARK_OPTIONS]: how many packets of a file are like this.
packets() {
  local file=$1 filter=$2
  shift 2
  dissect "$file" -Y "$filter" "$@" | wc -l
}
# dissect FILE TSHARK_OPTIONS: what tshark has to say. A file that is still written ends in the middle of a packet; nothing else that
# tshark complains of is passed over.
dissect() {
  local file=$1 complaint=$RIG_DIR/tshark.$BASHPID code=0
  shift
  tshark -r "$file" "$@" 2>"$complaint" || code=$?
  if [ "$code" -ne 0 ] && ! grep -q 'cut short in the middle of a packet' "$complaint"; then
    printf 'error: tshark ended with %s: %s\n' "$code" "$(grep -v '^Running as user' "$complaint" | head -3 | tr '\n' ' ')" >&2
    return "$code"
  fi
  rm -f "$complaint"
}
# capture_goes_on: it has not ended by itself, with all that it may have.
capture_goes_on() {
  [ "$(stat -c %s "$RIG_DIR/wan.pcap")" -lt "$CAPTURE_LIMIT" ] && return 0
  echo "error: the capture ended by itself, with its $CAPTURE_LIMIT octets: of what came later it knows nothing" >&2
  return 1
}

# count_passing NAME RULE: from now on the router counts what it passes on and nft's RULE describes. passed NAME: so many packets. For what a
# capture is too short for.
count_passing() {
  in_ns r nft -f - <<E
table inet rig_passing_$1 {
  counter passed { }
  chain forward {
    type filter hook forward priority 10;
    $2 counter name passed
  }
}
E
}
passed() { in_ns r nft -j list counter inet "rig_passing_$1" passed | jq '.nftables[] | select(.counter) | .counter.packets'; }

# ---- up ------------------------------------------------------------------------------------------------------------

# rig_up: the network as the settings describe it, a capture on the router's outer side, the headend.
rig_up() {
  topology_up "${CLIENTS:-1}" "${NAT:-none}" "${SECOND_NAT:-}"
  capture
  headend_start
}

CAPTURE_LIMIT=20000000
# capture: the first bytes of what passes the router, 20 MB at most (-C with one file would overwrite the beginning). head keeps up
# to 128 KiB back, which may be all there is where the kernel joins packets: without a buffer it does not. Pipes, since Debian's AppArmor profile
# lets tcpdump write files of few names and places.
capture() {
  mkdir -p "$RIG_DIR"
  # What an earlier one said is not what this one says.
  rm -f "$RIG_DIR/tcpdump.pid" "$RIG_DIR/tcpdump.out"
  # shellcheck disable=SC2016 # the inner shell tells its own pid
  in_ns r sh -c 'echo $$ >"$0"; exec "$@"' "$RIG_DIR/tcpdump.pid" tcpdump -ni wan -U -s "${SNAPLEN:-200}" -w - 'udp or icmp or icmp6 or ip proto 50 or ip6 proto 50 or tcp port 10000 or tcp port 4500' 2> >(exec cat >"$RIG_DIR/tcpdump.out") |
    stdbuf -o0 head -c "$CAPTURE_LIMIT" >"$RIG_DIR/wan.pcap" &
  CAPTURE=$!
  until_true 10 grep -q 'listening on' "$RIG_DIR/tcpdump.out"
}

# capture_end: the capture is whole on the disk. It may have ended by itself, with its 20 MB.
capture_end() {
  kill "$(cat "$RIG_DIR/tcpdump.pid")" 2>/dev/null || true
  until_true 10 not kill -0 "$(cat "$RIG_DIR/tcpdump.pid")"
  wait "$CAPTURE" || true
}

# headend_start [ADITD_TOML]: aditd with the scenario's configuration, until it serves.
headend_start() {
  mkdir -p "$RIG_DIR/h"
  if [ "$ADIT_HEADEND" = strongswan ]; then
    local conf=$ADIT_SCENARIO/stand-in.swanctl.conf
    [ -e "$conf" ] || conf=$SCENARIOS/stand-in.swanctl.conf
    STRONGSWAN_MORE='retransmit_tries = 3
      retransmit_timeout = 1.0' strongswan_start h "$conf"
    return
  fi
  sed "s#/run/adit/aditd.sock#$RIG_DIR/h/aditd.sock#; s#@RIG_DIR@#$RIG_DIR#" "${1:-$ADIT_SCENARIO/aditd.toml}" >"$RIG_DIR/h/aditd.toml"
  ADIT_STATE_DIR=$RIG_DIR/h/state ip netns exec "$RIG-h" "$ADITD" --config "$RIG_DIR/h/aditd.toml" >>"$RIG_DIR/h/aditd.log" 2>&1 &
  HEADEND_PID=$!
  until_true 10 serves_or_ended
  ctl status >/dev/null || {
    echo "aditd does not start: $(tail -1 "$RIG_DIR/h/aditd.log" | cut -c1-200)" >"$RIG_DIR/reason"
    tail -20 "$RIG_DIR/h/aditd.log"
    exit 1
  }
}
serves_or_ended() { ctl status || not kill -0 "$HEADEND_PID"; }

# headend_stop: SIGTERM; answers with the exit code.
headend_stop() {
  if [ "$ADIT_HEADEND" = strongswan ]; then strongswan_stop h; else end_process TERM "$HEADEND_PID"; fi
}

# client_start HOST [LOG_LEVELS]: strongSwan with <host>.swanctl.conf, or client.swanctl.conf if the host has none.
client_start() {
  local conf=$ADIT_SCENARIO/$1.swanctl.conf
  [ -e "$conf" ] || conf=$ADIT_SCENARIO/client.swanctl.conf
  strongswan_start "$1" "$conf" "${2:-}"
}

# ---- questions to the headend --------------------------------------------------------------------------------------

ctl() { "$ADITCTL" --socket "$RIG_DIR/h/aditd.sock" "$@"; }

# status FIELD: one field of the daemon's status, in jq's spelling.
status() { ctl status --json | jq -r "$1"; }

# sessions: how many there are, in whatever state. sas: how many pairs of ESP SAs.
sessions() {
  if [ "$ADIT_HEADEND" = adit ]; then ctl sessions --json | jq length; else sas_of h | awk '{print $1}'; fi
}
sas() {
  if [ "$ADIT_HEADEND" = adit ]; then ctl sa --json | jq length; else sas_of h | awk '{print $2}'; fi
}

# sas_of HOST: "<IKE SAs> <child SA pairs>" of a strongSwan.
sas_of() {
  strongswan_ctl "$1" --list-sas | awk '/^[^ ].*IKEv2/ {ike++} /^  [^ ].*INSTALLED|^  [^ ].*REKE/ {child++} END {print ike+0, child+0}'
}

service() { echo "$(sessions) sessions, $(sas) SAs"; }

# nothing_left: no session, no SA; of adit also no half-open SA, lease, SPI, tunnel, route or timer, and at its workers no cTCP
# connection and no flow inside a tunnel. What stays for a while are last answers, for clients that ask again (RFC 7296 section 2.1), each with
# its timer, and real TCP connections, which are the client's to end.
nothing_left() {
  answers "0 sessions, 0 SAs" service || return 1
  [ "$ADIT_HEADEND" = adit ] || return 0
  answers '{"timers":0}' held && answers '[]' connections_left && answers 0 flows_left
}
connections_left() { ctl ctcp --json | jq -c '[.[] | select(.kind != "tcp") | [.id, .kind, .state, .peer]]'; }
flows_left() { ctl flows --json | jq '.flows | length'; }
held() {
  ctl ike --json | jq -c '.holdings | .timers -= .farewells | del(.farewells) | with_entries(select(.value != 0 or .key == "timers"))'
}

# ---- traffic -------------------------------------------------------------------------------------------------------

# reaches HOST ADDRESS: three pings, three answers. reaches_somehow: one answer at least, where packets are lost on purpose; its
# contrary is that nothing passes.
reaches() { all_answered "$1" 3 -i 0.2 -W 2 "$2"; }
reaches_somehow() { in_ns "$1" ping -q -c 3 -i 0.2 -W 2 "$2"; }
# all_answered HOST COUNT OPTIONS... ADDRESS: so many pings, as many answers. For ping itself one answer is enough.
all_answered() {
  local host=$1 count=$2 out
  shift 2
  out=$(in_ns "$host" ping -q -c "$count" "$@" 2>&1) && grep -q " $count received" <<<"$out" && return 0
  printf 'expected: %s answers\ngot: %s\n' "$count" "$(tr '\n' ' ' <<<"$out")"
  return 1
}

# answered FROM TO OCTETS do|dont [TOS]: an echo request that is so long with all its headers is answered.
answered() {
  local headers=28
  [[ $2 != *:* ]] || headers=48
  in_ns "$1" ping -c 1 -W 2 -Q "${5:-0}" -M "$4" -s $(($3 - headers)) "$2"
}
# told FROM TO OCTETS MTU: it is not; an error names the MTU.
told() {
  local out
  if out=$(answered "$1" "$2" "$3" do 2>&1); then
    printf 'expected: mtu %s\ngot: an answer\n' "$4"
    return 1
  fi
  grep -E "mtu ?[=:] ?$4\b" <<<"$out" || { printf 'expected: mtu %s\ngot: %s\n' "$4" "$(tr '\n' ' ' <<<"$out")"; return 1; }
}

# payload MEGABYTES: a file of random bytes, made once.
payload() {
  local file=$RIG_DIR/payload-$1
  [ -e "$file" ] || { head -c "${1}000000" /dev/urandom >"$file.part" && mv "$file.part" "$file"; }
  echo "$file"
}

# transfers FROM TO ADDRESS_OF_TO MEGABYTES [SECONDS [MEGABYTES_PER_SECOND]]: one TCP connection, paced if the last is
# given; the SHA-256 of what was sent and of what came must agree. Hosts are c1, c2, ..., s.
transfers() {
  local from=$1 to=$2 address=$3 megabytes=$4 limit=${5:-90} file port out listen target
  file=$(payload "$megabytes")
  port=$((20000 + RANDOM % 10000))
  out=$RIG_DIR/transfer-$from-$to-$port
  case $address in
    *:*) listen=TCP6-LISTEN:$port,bind=[$address],reuseaddr target=TCP6:[$address]:$port ;;
    *) listen=TCP4-LISTEN:$port,bind=$address,reuseaddr target=TCP4:$address:$port ;;
  esac
  in_ns "$to" timeout "$limit" socat -u -b 262144 "$listen" - 2>"$out.err" | sha256sum | cut -d' ' -f1 >"$out" &
  local receiver=$!
  until_true 10 listens "$to" "$port" || { echo "error: the receiver does not listen: $(cat "$out.err")"; return 1; }
  local begin=$EPOCHREALTIME
  # SO_MAX_PACING_RATE (SOL_SOCKET 1, option 47), in octets a second.
  if [ -n "${6:-}" ]; then target+=,setsockopt-int=1:47:${6}000000; fi
  in_ns "$from" timeout "$limit" socat -u -b 262144 "OPEN:$file,rdonly" "$target" || {
    echo "error: sending $megabytes MB from $from to $address ended with $? after $(since "$begin") s"
    return 1
  }
  wait "$receiver" || { echo "error: receiving: $(cat "$out.err")"; return 1; }
  is "$(sha256sum <"$file" | cut -d' ' -f1)" "$(cat "$out")" || return 1
  echo "took: $megabytes MB $from to $to in $(since "$begin") s" | tee -a "$RIG_DIR/speeds"
}

listens() { in_ns "$1" ss -Hltn "sport = :$2" | grep -q .; }
since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.1f", b - a}'; }

# virtual_ip HOST 4|6: the inner address that the client got.
virtual_ip() {
  in_ns "$1" ip -"$2" -o addr show dev ipsec0 scope global | awk '{sub("/.*", "", $4); print $4; exit}'
}

# pings_start HOST ADDRESS INTERVAL: a stream in the background. pings_end HOST: ends it; prints "<sent> sent, <lost> lost".
pings_start() {
  # Bash ignores SIGINT for what it starts in the background, and only SIGINT makes ping print its sums.
  rm -f "$RIG_DIR/$1.pings.end"
  echo "$EPOCHREALTIME $3" >"$RIG_DIR/$1.pings.begun"
  ip netns exec "$RIG-$1" env --default-signal=INT ping -D -i "$3" -W 5 "$2" >"$RIG_DIR/$1.pings" 2>&1 &
  echo $! >"$RIG_DIR/$1.pings.pid"
}
# pings_steady HOST SENT: so many are at least three fifths of those for which there was time from pings_start to pings_end.
pings_steady() {
  awk -v sent="$2" -v end="$(<"$RIG_DIR/$1.pings.end")" '{
    least = (end - $1) / $2 * 3 / 5
    if (sent >= least) exit 0
    printf "expected: at least %d\ngot: %s\n", least, sent
    exit 1
  }' "$RIG_DIR/$1.pings.begun"
}
# interruption HOST TIME: the longest time within a second of TIME in which every ping that it sent was lost, in
# milliseconds: from the sending of the last that was answered before to that of the first that was answered after. If none was, it lasts
# until now, or until pings_end. A slow answer is no interruption, and neither is what a busy machine loses at other times.
interruption() {
  local end
  end=$(cat "$RIG_DIR/$1.pings.end" 2>/dev/null || echo "$EPOCHREALTIME")
  awk -v when="$2" -v end="$end" '/ bytes from .* time=/ {
      at = substr($1, 2) + 0; match($0, /icmp_seq=[0-9]+/); number = substr($0, RSTART + 9, RLENGTH - 9) + 0
      match($0, /time=[0-9.]+/); took = substr($0, RSTART + 5, RLENGTH - 5) / 1000; sent = at - took
      if (took > slowest) slowest = took
      if (number > last + 1 && last && sent > when && before < when + 1 && sent - before > most) most = sent - before
      if (number > last) { last = number; before = sent }
    } END {
      # What the slowest answer took, the next may take.
      if (end > when && before < when + 1 && end - before > slowest + 0.1 && end - before > most) most = end - before
      printf "%d\n", most * 1000
    }' "$RIG_DIR/$1.pings"
}
# gap_below MILLISECONDS TIME WHAT: c1's pings were interrupted around TIME, for less than that.
gap_below() {
  local gap
  gap=$(interruption c1 "$2")
  echo "$3: nothing for $gap ms" | tee -a "$RIG_DIR/speeds"
  [ "$gap" -gt 0 ] && [ "$gap" -lt "$1" ]
}
pings_end() {
  local before silent=0
  before=$(pings_answered "$1")
  # Once more one is answered: what was sent before it, and was not, is lost. The few that are under way when the signal comes were sent after.
  until_true 5 more_answered "$1" "$before" || silent=1
  echo "$EPOCHREALTIME" >"$RIG_DIR/$1.pings.end"
  kill -INT "$(cat "$RIG_DIR/$1.pings.pid")"
  until_true 10 grep -q 'packets transmitted' "$RIG_DIR/$1.pings"
  awk -F'[= ]' -v silent="$silent" '
    / bytes from .* icmp_seq=.* time=/ {
      for (i = 1; i < NF; i++) if ($i == "icmp_seq") { seen[$(i + 1)] = 1; if ($(i + 1) > last) last = $(i + 1) + 0 }
    }
    /packets transmitted/ {
      sent = silent ? $1 : last
      for (n = 1; n <= sent; n++) if (!(n in seen)) lost++
      print sent + 0 " sent, " lost + 0 " lost"
    }' "$RIG_DIR/$1.pings"
  [ "$(pings_answered "$1")" -gt 0 ] || { echo "error: no ping of $1 was answered" >&2; return 1; }
}
pings_answered() { grep -cE ' bytes from .* icmp_seq=.* time=' "$RIG_DIR/$1.pings" || true; }
more_answered() { [ "$(pings_answered "$1")" -gt "$2" ]; }

# fragments_die: from now on the router drops IP fragments, before anybody puts them together: the priority is below -400, where
# conntrack would.
fragments_die() {
  in_ns r nft -f - <<'NFT'
table inet rig_fragments {
  counter dropped {}
  chain first {
    type filter hook prerouting priority -500;
    ip frag-off & 0x3fff != 0 counter name dropped drop
    exthdr frag exists counter name dropped drop
  }
}
NFT
}
# fragments_dropped: how many IP fragments the router has dropped. more_dropped THAN.
fragments_dropped() { in_ns r nft -j list counter inet rig_fragments dropped | jq '.nftables[] | select(.counter) | .counter.packets'; }
more_dropped() { test "$(fragments_dropped)" -gt "$1"; }
