#!/bin/bash
# Installs the Debian packages that the rig needs: the peers, and the tools that look at them. Only what is missing; no
# daemon is started, now or at the next boot. Debian 12 or newer, as root. Says nothing if there is nothing to do.
#
#   deploy/install-peers.sh              install all of it
#   deploy/install-peers.sh --run        install what `make run` needs, and no more
#   deploy/install-peers.sh --missing    only print what is missing
#
# DPKG_ROOT: a file system below this folder, as dpkg has it; deploy/test.sh looks there at what this script does.
set -euo pipefail

# What a compiler for adit needs beside Rust.
build="gcc libc6-dev make"
# Namespaces, NAT, traffic.
run="iproute2 nftables procps iputils-ping iperf3 jq"
# Captures, and what stands between the ends.
rig="$run tcpdump socat tshark python3 haproxy"
# strongSwan without its service: charon-systemd runs by hand, with ESP in user space.
strongswan="charon-systemd strongswan-swanctl libcharon-extra-plugins libstrongswan-extra-plugins libstrongswan-standard-plugins libcharon-extauth-plugins"
# Cisco's side of the world, and who knows its users: vpnc, a prober, a RADIUS server, certificates for them.
cisco="vpnc ike-scan freeradius openssl"
# Who looks at the control API: curl, wrk, schemathesis (by deploy/install-schemathesis.sh), Prometheus; and a terminal for aditctl top.
lookers="curl python3-venv prometheus tmux wrk"
# And at the web page: Chromium, with letters to draw, driven by node (playwright-core comes by deploy/install-playwright.sh).
browser="chromium fonts-inter fonts-dejavu-core nodejs"

wanted="$build $rig $strongswan $cisco $lookers $browser"
[ "${1:-}" != --run ] || wanted="$build $run $strongswan"
# look RUN: what of it is missing.
look() {
  local package state
  missing=()
  for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
  done
  # node from elsewhere brings its own npm, which Debian's would be at odds with.
  [ "${1:-}" = --run ] || command -v npm >/dev/null || missing+=(npm)
}
look "${1:-}"
if [ "${1:-}" = --missing ]; then
  [ "${#missing[@]}" -eq 0 ] || printf '%s\n' "${missing[@]}"
  exit 0
fi

# Debian starts a daemon as soon as it is installed, unless this file says no. Ours bears a mark: one that is there when nobody
# installs was left by a run that was killed, and would keep daemons from starting for ever.
root=${DPKG_ROOT:-}
policy=$root/usr/sbin/policy-rc.d
mark="# of adit's deploy/install-peers.sh"
ours() { grep -qsxF "$mark" "$policy"; }
log=$root/run/adit-install-peers.log
[ "${#missing[@]}" -gt 0 ] || { { ours || [ -e "$log" ]; } && [ "$(id -u)" -eq 0 ]; } || exit 0
[ "$(id -u)" -eq 0 ] || { echo "missing: ${missing[*]}; installing them needs root" >&2; exit 1; }

# One at a time. apt has the lock, too: who ends us does not end it, and it goes on to write its log, which the next one reads.
exec 7>"$root/run/adit-install-peers.lock"
flock -n 7 || { echo "another deploy/install-peers.sh is at work; waiting for it" >&2; flock 7; }

# new_stays_off: no daemon starts at the next boot whose package has come just now; what was there before is somebody's. On a system that
# had no systemd some package may bring it: what that is made of is no daemon of ours.
new_stays_off() {
  local files units=() scripts=() file script unit link
  [ -e "$log" ] || return 0
  mapfile -t files < <(sed -n 's/^Selecting previously unselected package \([^ ]*\)\.\r\?$/\1/p' "$log" |
    grep -vE '^(systemd|libpam-systemd|dbus|udev|init|sysvinit)' | xargs -r dpkg-query -L 2>/dev/null)
  for file in "${files[@]}"; do
    case $file in
      */lib/systemd/system/*/*) ;;
      */lib/systemd/system/*.*) units+=("${file##*/}") ;;
      /etc/init.d/*) scripts+=("${file##*/}") ;;
    esac
  done
  # This program knows units without systemd as well. It wants to be called by a package.
  [ "${#units[@]}" -eq 0 ] || DPKG_MAINTSCRIPT_PACKAGE=adit deb-systemd-helper disable "${units[@]}" >/dev/null || true
  for script in "${scripts[@]}"; do update-rc.d "$script" disable >/dev/null 2>&1 || true; done
  for unit in "${units[@]}"; do
    for link in "$root"/etc/systemd/system/{,*.wants/,*.requires/}"$unit"; do
      [ ! -L "$link" ] || [ "$(readlink "$link")" = /dev/null ] || echo "$unit would start at the next boot: $link" >&2
    done
  done
  rm -f "$log"
}
# shellcheck disable=SC2329 # the trap calls it
clean() {
  local code=$?
  trap '' INT TERM HUP
  ! ours || rm -f "$policy"
  new_stays_off
  exit "$code"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP # only when apt has ended

! ours || rm -f "$policy"
look "${1:-}"
[ "${#missing[@]}" -gt 0 ] || exit 0
echo "installing ${missing[*]}" >&2
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
  chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
# Another apt may be at work; it gets five minutes.
apt() { LC_ALL=C apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@"; }
apt update >/dev/null
# dpkg says so of each package that was not there; of these we know.
printf 'Selecting previously unselected package %s.\n' "${missing[@]}" >>"$log"
# tshark asks whether others than root may capture. They need not.
apt install -y --no-install-recommends "${missing[@]}" >>"$log"
