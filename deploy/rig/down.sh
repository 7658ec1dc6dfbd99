#!/bin/bash
# Removes everything that belongs to a rig: processes (by the mark ADIT_RIG=<prefix> in their environment, and whatever
# else lives in its namespaces), then the namespaces, and with them every interface, route and rule.
#
#   deploy/rig/down.sh PREFIX          exit 1 if something could not be removed
set -euo pipefail
[ -z "${ADIT_RIG:-}" ] || exec env -u ADIT_RIG "$0" "$@" # or it would find itself
rig=${1:?usage: down.sh PREFIX}
[[ $rig =~ ^[a-z][a-z0-9]+-[a-z0-9-]+$ ]] || { echo "down.sh: '$rig' is not a rig's prefix" >&2; exit 2; }

namespaces() { ip netns list | awk '{print $1}' | grep -E "^$rig-(c[0-9]+|r|r2|h|s)\$" || true; }

processes() {
  grep -lszxF "ADIT_RIG=$rig" /proc/[0-9]*/environ | cut -d/ -f3 || true
  local ns
  for ns in $(namespaces); do ip netns pids "$ns" 2>/dev/null || true; done
}

# First politely, so that tcpdump writes its last packets and daemons their last lines.
for round in {1..50}; do
  mapfile -t pids < <(processes | sort -un)
  [ "${#pids[@]}" -gt 0 ] || break
  if [ "$round" -eq 1 ]; then
    kill -TERM "${pids[@]}" 2>/dev/null || true
  elif [ "$round" -gt 25 ]; then
    kill -KILL "${pids[@]}" 2>/dev/null || true
  fi
  sleep 0.1
done
for ns in $(namespaces); do ip netns del "$ns" || true; done
mapfile -t pids < <(processes | sort -un)
left="${pids[*]} $(namespaces | tr '\n' ' ')"
[ -z "${left// /}" ] || { echo "down.sh: cannot remove: $left" >&2; exit 1; }
