#!/bin/bash
# Installs the Debian packages that the rig needs: the peers, and the tools that look at them. Only what is missing; no
# daemon is started. Debian 12 or newer, as root. Says nothing if there is nothing to do.
#
#   deploy/install-peers.sh              install all of it
#   deploy/install-peers.sh --run        install what `make run` needs, and no more
#   deploy/install-peers.sh --missing    only print what is missing
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

missing=()
wanted="$build $rig $strongswan $cisco $lookers $browser"
[ "${1:-}" != --run ] || wanted="$build $run $strongswan"
for package in $wanted; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
# node from elsewhere brings its own npm, which Debian's would be at odds with.
[ "${1:-}" = --run ] || command -v npm >/dev/null || missing+=(npm)
if [ "${1:-}" = --missing ]; then
  [ "${#missing[@]}" -eq 0 ] || printf '%s\n' "${missing[@]}"
  exit 0
fi
[ "${#missing[@]}" -gt 0 ] || exit 0
[ "$(id -u)" -eq 0 ] || { echo "missing: ${missing[*]}; installing them needs root" >&2; exit 1; }
echo "installing ${missing[*]}" >&2

# Debian starts a daemon as soon as it is installed, unless this file says no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
# Another apt may be at work; it gets five minutes.
apt() { apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" >/dev/null; }
# tshark asks whether others than root may capture. They need not.
apt update
apt install -y --no-install-recommends "${missing[@]}"
