# shellcheck shell=bash
# strongSwan without systemd, one instance per namespace: its own strongswan.conf, vici socket, swanctl folder and log,
# ESP by the kernel-libipsec plugin (in user space, always UDP-encapsulated). Sourced after topology.sh.
#
# An instance is a folder: $RIG_DIR/<host> with swanctl.conf put there by the caller.

STRONGSWAN_PLUGINS="random nonce drbg openssl aesni aes sha1 sha2 md5 gcrypt hmac kdf gcm ccm ctr chapoly curve25519 \
pem pkcs1 pkcs8 pubkey x509 constraints kernel-libipsec kernel-netlink socket-default vici resolve attr \
xauth-generic unity"

# strongswan_program NAME: where a copy of Debian's program is, in the rig's own folder. AppArmor knows programs by their path, and
# Debian's profiles let these two read what is below /etc and talk by /run alone. Where nothing in our folder may be run (noexec) it
# is Debian's own.
strongswan_program() {
  local copy=$RIG_DIR/programs/$1 program
  program=$(command -v "$1") || { echo "$1 is not there; deploy/install-peers.sh installs it" >&2; return 1; }
  if [ ! -e "$copy" ]; then
    mkdir -p "${copy%/*}" && install -m 755 "$program" "$copy.$BASHPID" && mv -f "$copy.$BASHPID" "$copy" || return 1
  fi
  if [ -x "$copy" ]; then echo "$copy"; else echo "$program"; fi
}

# strongswan_start HOST SWANCTL_CONF [LOG_LEVELS]: starts charon and loads the configuration.
# LOG_LEVELS are lines of a filelog section, "chd = 4" for one.
strongswan_start() {
  local host=$1 conf=$2 levels=${3:-} dir=$RIG_DIR/$1 folder charon
  charon=$(strongswan_program charon-systemd) || return 1
  # swanctl complains about each of its folders that is missing.
  for folder in x509 x509ca x509aa x509ac x509crl x509ocsp private rsa ecdsa pkcs8 pkcs12 pubkey bliss; do
    mkdir -p "$dir/swanctl/$folder"
  done
  cp "$conf" "$dir/swanctl/swanctl.conf"
  rm -f "$dir/vici.sock"
  cat >"$dir/strongswan.conf" <<E
charon {
  load = $STRONGSWAN_PLUGINS
  ${STRONGSWAN_MORE:-}
  filelog { log {
    path = $dir/charon.log
    time_format = %H:%M:%S
    default = 1
    $levels
    flush_line = yes
    append = yes
  } }
  syslog { identifier = charon
    daemon { default = -1 }
    auth { default = -1 } }
  plugins {
    vici { socket = unix://$dir/vici.sock }
    kernel-libipsec { load = yes
      allow_peer_ts = yes }
    socket-default { fwmark = 0x42 }
    kernel-netlink { fwmark = !0x42 }
    resolve { file = $dir/resolv.conf }
  }
}
charon-systemd { journal { default = -1 } }
swanctl { load = random nonce openssl pem pkcs1 pkcs8 x509 pubkey constraints
  socket = unix://$dir/vici.sock }
E
  STRONGSWAN_CONF=$dir/strongswan.conf ip netns exec "$RIG-$host" "$charon" >>"$dir/charon.out" 2>&1 &
  echo $! >"$dir/charon.pid"
  until_true 10 test -S "$dir/vici.sock" || {
    echo "strongSwan does not start on $host:" >&2
    tail -5 "$dir/charon.out" "$dir/charon.log" >&2
    return 1
  }
  strongswan_ctl "$host" --load-all --noprompt >>"$dir/charon.out"
}

# strongswan_ctl HOST SWANCTL_ARGUMENTS...
strongswan_ctl() {
  local dir=$RIG_DIR/$1 swanctl
  shift
  swanctl=$(strongswan_program swanctl) || return 1
  # Debian's build prints complaints about a TPM library that nobody asked for.
  STRONGSWAN_CONF=$dir/strongswan.conf SWANCTL_DIR=$dir/swanctl timeout --foreground 60 \
    "$swanctl" "$@" --uri "unix://$dir/vici.sock" 2> >(grep -vi tpm >&2)
}

# connect HOST CHILD [SECONDS]: logs in. disconnect HOST IKE: logs out and waits for the answer.
connect() { strongswan_ctl "$1" --initiate --child "$2" --timeout "${3:-15}"; }
disconnect() { strongswan_ctl "$1" --terminate --ike "$2" --timeout 10; }

strongswan_pid() { cat "$RIG_DIR/$1/charon.pid"; }

# strongswan_stop HOST: SIGTERM, which sends deletes. strongswan_kill HOST: SIGKILL, which sends nothing.
strongswan_stop() { end_process TERM "$(strongswan_pid "$1")"; }
strongswan_kill() { end_process KILL "$(strongswan_pid "$1")"; }

# end_process SIGNAL PID: signals a child of this shell, reaps it and answers with its exit code.
end_process() {
  kill "-$1" "$2" 2>/dev/null || true
  local code=0
  wait "$2" 2>/dev/null || code=$?
  return "$code"
}
