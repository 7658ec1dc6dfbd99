#!/bin/bash
. "$(dirname "$0")/../rig.sh"

# cpu: milliseconds that all threads of the headend have run.
cpu() { cat "/proc/$1/task/"*/schedstat | awk '{sum += $1} END {printf "%d\n", sum / 1e6}'; }
headend_pid() { if [ "$ADIT_HEADEND" = adit ]; then echo "$HEADEND_PID"; else strongswan_pid h; fi; }

# idles SECONDS PERCENT: of one core at most.
idles() {
  local pid before used
  pid=$(headend_pid)
  before=$(cpu "$pid")
  sleep "$1"
  used=$(($(cpu "$pid") - before))
  echo "took: $used ms of CPU in $1 s" | tee -a "$RIG_DIR/speeds"
  [ "$used" -le $(($1 * 10 * $2)) ] && return 0
  printf 'expected: at most %s ms of CPU in %s s\ngot: %s ms\n' $(($1 * 10 * $2)) "$1" "$used"
  return 1
}

rig_up
hold_login
hold "five idle seconds cost at most 2 % of a core" idles 5 2
hold "the inner server answers at once" reaches c1 "$SERVER4"
hold_logout
