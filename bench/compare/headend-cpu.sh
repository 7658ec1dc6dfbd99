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
#
# Beside it: wakes (how often a thread of the headend went to sleep and was woken), since letting packets gather saves CPU
# time and costs latency; and that latency, a ping through the tunnel, idle and next to the UDP up, in runs of their own.
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
wakes() { cat "/proc/$1/task/"*/status | awk '/^voluntary_ctxt_switches/ {sum += $2} END {print sum}'; }
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
  local options=() cpu octets wakes pid
  pid=$(headend_pid)
  if [ "$2" = udp ]; then options+=(-u -b "$UDP_RATE" -l 1300); fi
  if [ "$3" = down ]; then options+=(-R); fi
  cpu=$(cpu_ns "$pid")
  wakes=$(wakes "$pid")
  octets=$(moved "$3")
  in_ns c1 timeout $((SECONDS_EACH + 20)) iperf3 -J -c "$SERVER4" -t "$SECONDS_EACH" "${options[@]}" >"$ADIT_RUN_DIR/iperf3.json"
  octets=$(($(moved "$3") - octets))
  cpu=$(($(cpu_ns "$pid") - cpu))
  wakes=$(($(wakes "$pid") - wakes))
  awk -v what="$1 $2 $3" -v cpu="$cpu" -v octets="$octets" -v wakes="$wakes" -v seconds="$SECONDS_EACH" \
    'BEGIN {printf "%s %.3f %.3f %.0f %.1f\n", what, cpu / 1e9, octets * 8 / 1e9, octets * 8 / 1e6 / seconds, octets / 1000 / wakes}' |
    tee -a "$ADIT_RUN_DIR/results"
}

# latency HEADEND WHEN: one line, the median and the 99th of 200 pings, one every 10 ms; WHEN is idle or "udp up".
latency() {
  local load=
  if [ "$2" != idle ]; then
    in_ns c1 timeout 20 iperf3 -c "$SERVER4" -t 3 -u -b "$UDP_RATE" -l 1300 >/dev/null &
    load=$!
    sleep 0.5
  fi
  in_ns c1 ping -n -i 0.01 -c 200 "$SERVER4" | sed -n 's/.* time=\([0-9.]*\) ms/\1/p' | sort -n |
    awk -v who="$1" -v when="$2" '{t[NR] = $1} END {print who, when, t[int((NR + 1) / 2)], t[int(NR * 0.99)]}' |
    tee -a "$ADIT_RUN_DIR/latencies"
  [ -z "$load" ] || wait "$load"
}

topology_up 1 ports
sed "s/^\[workers\]$/&\n${WORKERS:-}/" "$ADIT_SCENARIO/aditd.toml" >"$ADIT_RUN_DIR/aditd.toml"
in_ns s iperf3 -s -B "$SERVER4" >"$ADIT_RUN_DIR/iperf3.log" 2>&1 &
until_true 10 listens s 5201
echo "headend protocol direction CPU-seconds Gbit Mbit/s kB-per-wake; pings: median and 99th, ms"
for ((round = 0; round < ROUNDS; round++)); do
  for ADIT_HEADEND in adit strongswan; do
    headend_start "$ADIT_RUN_DIR/aditd.toml"
    client_start c1
    connect c1 net >/dev/null
    for protocol in tcp udp; do
      for direction in up down; do measure "$ADIT_HEADEND" "$protocol" "$direction"; done
    done
    latency "$ADIT_HEADEND" idle
    latency "$ADIT_HEADEND" "udp up"
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
  function of(table, who, key,   i, list) {
    for (i = 1; i <= count[who, key]; i++) list[i] = table[who, key, i]
    return median(list, count[who, key])
  }
  # both pings: who, when (one or two words), median, 99th
  FILENAME ~ /latencies$/ {
    key = NF == 4 ? $2 : $2 " " $3 " pings"; n = ++count[$1, key]
    middle[$1, key, n] = $(NF - 1); worst[$1, key, n] = $NF
    next
  }
  { key = $2 " " $3; n = ++count[$1, key]; cost[$1, key, n] = $4 / $5; speed[$1, key, n] = $6; gathered[$1, key, n] = $7 }
  function row(who, key) {
    return sprintf("%.3f (%.0f, %.0f)", of(cost, who, key), of(speed, who, key), of(gathered, who, key))
  }
  END {
    # Mbit/s and kB: through the TUN.
    print "| traffic | aditd: CPU s per Gbit (Mbit/s, kB per wake) | strongSwan: CPU s per Gbit (Mbit/s, kB per wake) | strongSwan / aditd |"
    print "|---|---|---|---|"
    split("tcp up,tcp down,udp up,udp down", order, ",")
    for (i = 1; i <= 4; i++) {
      key = order[i]; ratio = of(cost, "strongswan", key) / of(cost, "adit", key)
      printf "| %s | %s | %s | %.1f |\n", key, row("adit", key), row("strongswan", key), ratio
    }
    print "\n| ping, ms: median (99th) | aditd | strongSwan |"
    print "|---|---|---|"
    split("idle,udp up pings", order, ",")
    for (i = 1; i <= 2; i++) {
      key = order[i]
      printf "| %s | %.2f (%.2f) | %.2f (%.2f) |\n", i == 1 ? "idle" : "beside udp up",
        of(middle, "adit", key), of(worst, "adit", key), of(middle, "strongswan", key), of(worst, "strongswan", key)
    }
  }' "$ADIT_RUN_DIR/results" "$ADIT_RUN_DIR/latencies"
