#!/bin/bash
# make bench-headend: what a headend costs, aditd against strongSwan's kernel-libipsec, side by side in one run: the same
# namespaces, the same strongSwan client, the same iperf3, the headends in turn, round by round.
#
#   ROUNDS=3 SECONDS_EACH=4 UDP_RATE=200M bench/compare/headend-cpu.sh
#   WORKERS='coalesce = "200us"' ...        aditd with more lines in [workers]
#
# In the number: CPU time of all threads of the headend's process (/proc/PID/task/*/schedstat) per Gbit of inner packets that
# went through its TUN in the direction measured, so that what is lost before or behind it does not count. The kernel's work for packets counts as far as it is done while one of these threads runs: the system calls
# of the headend are in it, and so are soft interrupts that hit it; those that hit others are not. The same for both.
# Out: the client, which is the same for both and the bottleneck.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ "$(id -u)" -eq 0 ] || { echo "it needs root: only root can make network namespaces" >&2; exit 1; }
ROUNDS=${ROUNDS:-3}
SECONDS_EACH=${SECONDS_EACH:-4}
UDP_RATE=${UDP_RATE:-200M}
bin=${CARGO_TARGET_DIR:-$HOME/.cache/adit/target}/release
export ADIT_RIG=adit-cpu-$$ ADIT_HEADEND=adit ADITD=$bin/aditd ADITCTL=$bin/aditctl
ADIT_RUN_DIR=$(mktemp -d "${TMPDIR:-/tmp}/$ADIT_RIG.XXXX")
ADIT_SCENARIO=$PWD/bench/scenarios/plain
export ADIT_RUN_DIR ADIT_SCENARIO

# shellcheck disable=SC2329 # the trap calls it
clean() {
  local code=$?
  trap - EXIT ERR
  trap '' INT TERM HUP # nothing shall end this half-way
  [ ! -s "$ADIT_RUN_DIR/reason" ] || cat "$ADIT_RUN_DIR/reason" >&2
  deploy/rig/down.sh "$ADIT_RIG" || code=1
  rm -rf "$ADIT_RUN_DIR"
  exit "$code"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP
# shellcheck source=../scenarios/rig.sh
. bench/scenarios/rig.sh

cpu_ns() { cat "/proc/$1/task/"*/schedstat | awk '{sum += $1} END {printf "%.0f\n", sum}'; }
headend_pid() { if [ "$ADIT_HEADEND" = adit ]; then echo "$HEADEND_PID"; else strongswan_pid h; fi; }

# moved DIRECTION: octets that went through the headend's TUN; what it writes is what the interface receives.
moved() {
  local interface=ipsec0 side=tx
  if [ "$ADIT_HEADEND" = adit ]; then interface=adit0; fi
  if [ "$1" = up ]; then side=rx; fi
  in_ns h cat "/sys/class/net/$interface/statistics/${side}_bytes"
}

# measure HEADEND PROTOCOL DIRECTION: one line of results.
measure() {
  local options=() cpu octets
  if [ "$2" = udp ]; then options+=(-u -b "$UDP_RATE" -l 1300); fi
  if [ "$3" = down ]; then options+=(-R); fi
  cpu=$(cpu_ns "$(headend_pid)")
  octets=$(moved "$3")
  in_ns c1 timeout $((SECONDS_EACH + 20)) iperf3 -J -c "$SERVER4" -t "$SECONDS_EACH" "${options[@]}" >"$ADIT_RUN_DIR/iperf3.json"
  octets=$(($(moved "$3") - octets))
  cpu=$(($(cpu_ns "$(headend_pid)") - cpu))
  awk -v what="$1 $2 $3" -v cpu="$cpu" -v octets="$octets" -v seconds="$SECONDS_EACH" \
    'BEGIN {printf "%s %.3f %.3f %.0f\n", what, cpu / 1e9, octets * 8 / 1e9, octets * 8 / 1e6 / seconds}' |
    tee -a "$ADIT_RUN_DIR/results"
}

topology_up 1 ports
sed "s/^\[workers\]$/&\n${WORKERS:-}/" "$ADIT_SCENARIO/aditd.toml" >"$ADIT_RUN_DIR/aditd.toml"
in_ns s iperf3 -s -B "$SERVER4" >"$ADIT_RUN_DIR/iperf3.log" 2>&1 &
until_true 10 listens s 5201
echo "headend protocol direction CPU-seconds Gbit Mbit/s"
for ((round = 0; round < ROUNDS; round++)); do
  for ADIT_HEADEND in adit strongswan; do
    headend_start "$ADIT_RUN_DIR/aditd.toml"
    client_start c1
    connect c1 net >/dev/null
    for protocol in tcp udp; do
      for direction in up down; do measure "$ADIT_HEADEND" "$protocol" "$direction"; done
    done
    disconnect c1 adit >/dev/null
    strongswan_stop c1 || true
    headend_stop || true
  done
done

echo
awk '
  function median(list, n,   i, j, t) {
    for (i = 2; i <= n; i++) for (j = i; j > 1 && list[j] < list[j - 1]; j--) { t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
    return list[int((n + 1) / 2)]
  }
  { key = $2 " " $3; keys[key]; count[$1, key]++; cost[$1, key, count[$1, key]] = $4 / $5; speed[$1, key, count[$1, key]] = $6 }
  function of(table, who, key,   i, list) {
    for (i = 1; i <= count[who, key]; i++) list[i] = table[who, key, i]
    return median(list, count[who, key])
  }
  END {
    # Mbit/s: through the TUN.
    print "| traffic | aditd: CPU s per Gbit (Mbit/s) | strongSwan: CPU s per Gbit (Mbit/s) | strongSwan / aditd |"
    print "|---|---|---|---|"
    split("tcp up,tcp down,udp up,udp down", order, ",")
    for (i = 1; i <= 4; i++) {
      key = order[i]; a = of(cost, "adit", key); s = of(cost, "strongswan", key)
      printf "| %s | %.3f (%.0f) | %.3f (%.0f) | %.1f |\n", key, a, of(speed, "adit", key), s, of(speed, "strongswan", key), s / a
    }
  }' "$ADIT_RUN_DIR/results"
