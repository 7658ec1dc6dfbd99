#!/bin/bash
# make run: a working VPN on this machine, in namespaces of its own, with aditd's built-in configuration and Debian's
# strongSwan as the client. Shows what happens until Ctrl-C, then removes all it made.
#
#   client 10.99.1.2 ── router (NAT) ── headend 198.51.100.2, aditd ── inner server 10.20.0.2
#
# ONCE=1: no terminal needed. One login, 10 s of traffic each way, everything removed; the last line is a JSON object.
set -euo pipefail
cd "$(dirname "$0")/.."

[ "$(id -u)" -eq 0 ] || { echo "make run needs root: only root can make network namespaces" >&2; exit 1; }
ONCE=${ONCE:-}
[ -t 1 ] || ONCE=${ONCE:-1}
RIG=adit-run-$$
RIG_DIR=$(mktemp -d "${TMPDIR:-/tmp}/$RIG.XXXX")
# shellcheck source=deploy/rig/topology.sh
. deploy/rig/topology.sh
# shellcheck source=deploy/rig/strongswan.sh
. deploy/rig/strongswan.sh

screen=
busy= # the process that makes traffic; a fork of this one, so it carries no mark
# shellcheck disable=SC2329 # the trap calls it
clean() {
  local code=$?
  trap - EXIT
  trap '' INT TERM HUP # nothing shall end this half-way
  [ -z "$screen" ] || printf '\e[?1049l\e[?25h'
  [ -z "$busy" ] || kill "$busy" 2>/dev/null || true
  deploy/rig/down.sh "$RIG" || code=1
  if [ "$code" -ne 0 ] && [ "$code" -ne 130 ]; then
    for log in "$RIG_DIR"/aditd.{out,log} "$RIG_DIR"/c1/charon.log; do
      [ ! -s "$log" ] || { echo "--- the end of ${log#"$RIG_DIR"/}:"; grep -v secret "$log" | tail -15; } >&2
    done
  fi
  rm -rf "$RIG_DIR"
  exit "$code"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

say() { echo "· $*" >&2; }
die() { echo "make run: $*" >&2; exit 1; }

deploy/install-peers.sh --run
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$HOME/.cache/adit/target}
# shellcheck source=deploy/claim-target.sh
. deploy/claim-target.sh
say "building"
# The whole workspace, as everything else builds it: a single package has other features, and is built anew.
cargo build --quiet --release --locked --workspace --bins
ctl() { "$CARGO_TARGET_DIR/release/aditctl" --socket "$RIG_DIR/aditd.sock" "$@"; }

# Everything from here on carries the mark by which down.sh finds it.
export ADIT_RIG=$RIG
say "network: client, router with NAT, headend, inner server"
topology_up 1 ports

say "aditd, with its built-in configuration"
ip netns exec "$RIG-h" "$CARGO_TARGET_DIR/release/aditd" --state-dir "$RIG_DIR/state" --socket "$RIG_DIR/aditd.sock" \
  >"$RIG_DIR/aditd.out" 2>"$RIG_DIR/aditd.log" &
aditd=$!
until_true 10 ctl status || die "aditd does not serve"

say "strongSwan, with the configuration that aditd printed"
# It stands between two lines of dashes. As it says itself, the networks behind the headend are ours to add.
awk '/^----------+$/ {inside = !inside; next} inside' "$RIG_DIR/aditd.out" |
  sed 's#^\( *remote_ts = .*\)#\1, 10.20.0.0/24, fd20::/64#' >"$RIG_DIR/client.conf"
[ -s "$RIG_DIR/client.conf" ] || die "aditd printed no client configuration"
strongswan_start c1 "$RIG_DIR/client.conf" || die "the client does not start, or does not take its configuration"
connect c1 adit >"$RIG_DIR/login" 2>&1 || { cat "$RIG_DIR/login" >&2; die "the client cannot log in"; }
# swanctl --version wants a daemon on its default socket.
client="strongSwan $(dpkg-query -W -f '${Version}' strongswan-swanctl)"
say "$client is logged in"

ip netns exec "$RIG-s" iperf3 -s --forceflush >"$RIG_DIR/iperf3-server" 2>&1 &
until_true 10 grep -q listening "$RIG_DIR/iperf3-server" || die "iperf3 does not listen"

# traffic SECONDS [ARGUMENTS...]: one iperf3 run from client to server; prints its JSON.
traffic() {
  local seconds=$1
  shift
  in_ns c1 timeout $((seconds + 20)) iperf3 -c "$SERVER4" -t "$seconds" --connect-timeout 5000 -J "$@"
}

if [ -n "$ONCE" ]; then
  in_ns c1 ping -q -c 3 -i 0.2 -W 2 "$SERVER4" >&2 || die "the inner server does not answer through the tunnel"
  mbit() { jq -e '.end.sum_received.bits_per_second / 1e6 | . * 10 | round / 10' "$1"; }
  say "10 s of traffic up"
  traffic 10 >"$RIG_DIR/up" || die "no traffic: $(jq -r '.error // empty' "$RIG_DIR/up")"
  say "10 s of traffic down"
  traffic 10 -R >"$RIG_DIR/down" || die "no traffic: $(jq -r '.error // empty' "$RIG_DIR/down")"
  up=$(mbit "$RIG_DIR/up")
  down=$(mbit "$RIG_DIR/down")
  answer=$(ctl sessions --json | jq -c --arg client "$client" --argjson up "$up" --argjson down "$down" '
    map(select(.state == "up")) |
    {client: $client, sessions: length, bytes_up: (map(.bytes_in) | add), bytes_down: (map(.bytes_out) | add),
     mbit_up: $up, mbit_down: $down}')
  jq -e '.sessions == 1 and .bytes_up > 0 and .bytes_down > 0' <<<"$answer" >/dev/null ||
    die "the session's counters are wrong: $answer"
  strongswan_stop c1 || true
  end_process TERM "$aditd" || die "aditd ended with exit code $?"
  deploy/rig/down.sh "$RIG"
  say "everything is removed"
  echo "$answer"
  exit 0
fi

# A little traffic all the time, more of it now and then, so that there is something to see.
ip netns exec "$RIG-c1" ping -i 0.2 "$SERVER4" >/dev/null 2>&1 &
(
  while :; do
    traffic 5 -b 200M
    sleep 5
    traffic 5 -R -b 200M
    sleep 5
  done >/dev/null 2>&1
) &
busy=$!

trap 'exit 0' INT # from here on, Ctrl-C is how it ends
screen=on
printf '\e[?1049h\e[?25l' # the terminal's second screen, without a cursor
while kill -0 "$aditd" 2>/dev/null; do
  read -r lines COLUMNS < <(stty size 2>/dev/null || echo 40 100)
  export COLUMNS
  frame=$(
    echo "adit: $client in $RIG-c1 (10.99.1.2) behind NAT, headend $HEADEND4, inner server $SERVER4     Ctrl-C ends it"
    echo
    ctl status || true
    for table in sessions sa "flows --limit 6" workers; do
      echo
      echo "${table%% *}"
      # shellcheck disable=SC2086 # a command and its options
      ctl $table || true
    done
    echo
    echo "drops"
    ctl drops || true
  )
  # Over the old frame, line by line, then clear what is below: nothing flickers. No more lines than there are.
  printf '\e[H%s\e[J' "$(head -n $((lines - 1)) <<<"$frame" | sed 's/$/\x1b[K/')"
  sleep 1
done
die "aditd ended: $(tail -1 "$RIG_DIR/aditd.log")"
