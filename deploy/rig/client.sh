# shellcheck shell=bash
# adit's own client (`adit-bench client`): one instance per namespace. Sourced after topology.sh and strongswan.sh.
#
# An instance is a folder: $RIG_DIR/<host> with secret, password, client.log, and client.json, what it says once it is up.

# adit_client_start HOST OPTIONS...: begins a login, by IKEv1 as the user alice unless the options begin with `--ike 2`. Secrets are as in
# all scenarios unless $GROUP_SECRET and $PASSWORD say otherwise; at the headend unless $SERVER is another address.
adit_client_start() {
  local host=$1 dir=$RIG_DIR/$1 user
  shift
  mkdir -p "$dir"
  user=(--user alice --password-file "$dir/password")
  [ "${1:-} ${2:-}" != "--ike 2" ] || user=()
  (umask 077 && echo "${GROUP_SECRET:-rig-psk-secret}" >"$dir/secret" && echo "${PASSWORD:-alice-pass}" >"$dir/password")
  rm -f "$dir/client.json"
  ip netns exec "$RIG-$host" "$ADIT_BENCH" client --server "${SERVER:-$HEADEND4}" --secret-file "$dir/secret" \
    "${user[@]}" --socket "$dir/client.sock" --log debug "$@" >"$dir/client.json" 2>>"$dir/client.log" &
  echo $! >"$dir/client.pid"
}

# adit_client HOST OPTIONS...: logs in and waits for it; shows what the client said if it gives up.
adit_client() {
  local host=$1
  adit_client_start "$@"
  until_true 20 adit_client_up_or_ended "$host" || true
  test -s "$RIG_DIR/$host/client.json" || { tail -15 "$RIG_DIR/$host/client.log"; return 1; }
}
adit_client_up_or_ended() { test -s "$RIG_DIR/$1/client.json" || ! kill -0 "$(cat "$RIG_DIR/$1/client.pid")"; }

# adit_client_stop HOST: SIGTERM, which logs out; answers with the exit code.
adit_client_stop() { end_process TERM "$(cat "$RIG_DIR/$1/client.pid")"; }

# adit_client_told HOST FIELD: of what it said when it was up, in jq's spelling. adit_client_ctl HOST ARGUMENTS...: aditctl, to it.
adit_client_told() { jq -r "$2" "$RIG_DIR/$1/client.json"; }
adit_client_ctl() {
  local host=$1
  shift
  "$ADITCTL" --socket "$RIG_DIR/$host/client.sock" "$@"
}
