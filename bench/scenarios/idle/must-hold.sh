#!/bin/bash
. "$(dirname "$0")/../rig.sh"

# cpu: microseconds that all threads of the headend have run.
cpu() { cat "/proc/$1/task/"*/schedstat | awk '{sum += $1} END {printf "%d\n", sum / 1e3}'; }
headend_pid() { if [ "$ADIT_HEADEND" = adit ]; then echo "$HEADEND_PID"; else strongswan_pid h; fi; }

# idles SECONDS PERCENT: of one core at most.
idles() {
  local pid before used
  pid=$(headend_pid)
  before=$(cpu "$pid")
  sleep "$1"
  used=$(($(cpu "$pid") - before))
  # Of a process that is gone, nothing would be read, and that is little.
  if ! kill -0 "$pid" || [ "$before" -eq 0 ] || [ "$used" -eq 0 ]; then
    printf 'expected: a process that runs\ngot: %s us before, %s us used\n' "$before" "$used"
    return 1
  fi
  used=$(((used + 999) / 1000))
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
