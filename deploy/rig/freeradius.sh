# shellcheck shell=bash
# FreeRADIUS without its service: any number of instances, each on an address of its own in the headend's namespace.
# Sourced after topology.sh.
#
# An instance is a folder: $RIG_DIR/radius-<name>, with its users, its log, and the accounting records that it got.

RADIUSD_CONF=$(realpath "$(dirname "${BASH_SOURCE[0]}")")/radiusd.conf

# freeradius_start NAME ADDRESS USERS_FILE: starts one with these users, ports 1812 and 1813; secret and policy stand in
# radiusd.conf.
freeradius_start() {
  local name=$1 address=$2 users=$3 dir=$RIG_DIR/radius-$1
  mkdir -p -m 700 "$dir"
  cp "$users" "$dir/users"
  sed "s#@PLACE@#$dir#; s#@ADDRESS@#$address#" "$RADIUSD_CONF" >"$dir/radiusd.conf"
  ip netns exec "$RIG-h" freeradius -d "$dir" -f -l stdout >"$dir/log" 2>&1 &
  echo $! >"$dir/rig.pid"
  until_true 10 grep -q 'Ready to process' "$dir/log" || {
    echo "FreeRADIUS does not start as $name:" >&2
    tail -5 "$dir/log" >&2
    return 1
  }
}

freeradius_stop() { end_process TERM "$(freeradius_pid "$1")"; }
freeradius_pid() { cat "$RIG_DIR/radius-$1/rig.pid"; }
# freeradius_stalls NAME, freeradius_goes_on NAME: it is there and says nothing.
freeradius_stalls() { kill -STOP "$(freeradius_pid "$1")"; }
freeradius_goes_on() { kill -CONT "$(freeradius_pid "$1")"; }

# radius_records NAME TYPE: how many accounting records of this type (Start, Interim-Update, Stop) it has written.
radius_records() { grep -c "Acct-Status-Type = $2\$" "$RIG_DIR/radius-$1/books" 2>/dev/null || true; }
