# shellcheck shell=bash
# vpnc, a client of Cisco's kind: one instance per namespace, everything in user space, its own script in place of the one
# that would rewrite resolv.conf. Sourced after topology.sh.
#
# An instance is a folder: $RIG_DIR/<host> with vpnc.conf, vpnc.log, and the environment that vpnc gave its script.

VPNC_SCRIPT=$(realpath "$(dirname "${BASH_SOURCE[0]}")")/vpnc-script.sh
CTCP_RELAY=${VPNC_SCRIPT%/*}/ctcp-relay.py

# vpnc_start HOST CONF [OPTIONS]: begins a login. vpnc_up HOST: it is through.
vpnc_start() {
  local host=$1 conf=$2 dir=$RIG_DIR/$1
  shift 2
  mkdir -p "$dir"
  {
    sed "s#@RIG_DIR@#$RIG_DIR#" "$conf"
    echo "Script $VPNC_SCRIPT"
    echo "Interface name vpnc0"
    echo "Pidfile $dir/vpnc.pidfile"
  } >"$dir/vpnc.conf"
  rm -f "$dir"/vpnc-env.*
  VPNC_DIR=$dir ip netns exec "$RIG-$host" vpnc --no-detach --non-inter --debug 2 "$@" "$dir/vpnc.conf" >>"$dir/vpnc.log" 2>&1 &
  echo $! >"$dir/vpnc.pid"
}
vpnc_up() { test -s "$RIG_DIR/$1/vpnc-env.connect"; }
vpnc_pid() { cat "$RIG_DIR/$1/vpnc.pid"; }
vpnc_runs() { kill -0 "$(vpnc_pid "$1")" 2>/dev/null; }

# vpnc_connect HOST CONF [OPTIONS]: logs in and waits for it; shows what vpnc said if it gives up.
vpnc_connect() {
  local host=$1
  vpnc_start "$@"
  until_true 20 vpnc_up_or_ended "$host"
  vpnc_up "$host" || { tail -15 "$RIG_DIR/$host/vpnc.log"; return 1; }
}
vpnc_up_or_ended() { vpnc_up "$1" || ! vpnc_runs "$1"; }

# vpnc_stop HOST: SIGTERM, which makes it say goodbye. vpnc_kill HOST: SIGKILL, which does not.
vpnc_stop() { end_process TERM "$(vpnc_pid "$1")"; }
vpnc_kill() { end_process KILL "$(vpnc_pid "$1")"; }

# vpnc_told HOST NAME: what the headend told the client, by vpnc's name for it: INTERNAL_IP4_ADDRESS, CISCO_BANNER, ...
vpnc_told() { sed -n "s/^$2=//p" "$RIG_DIR/$1/vpnc-env.connect"; }

# relay_start [HEADEND]: what vpnc on c1 says to 127.0.0.9 leaves by cTCP, in one connection of c1's kernel. relay_stop.
relay_start() {
  rm -f "$RIG_DIR/relay.log"
  ip netns exec "$RIG-c1" python3 "$CTCP_RELAY" 127.0.0.9 "${1:-$HEADEND4}" 10000 >"$RIG_DIR/relay.log" 2>&1 &
  RELAY=$!
  until_true 5 grep connected "$RIG_DIR/relay.log"
}
relay_stop() { end_process TERM "$RELAY" || true; }
