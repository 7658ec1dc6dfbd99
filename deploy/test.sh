#!/bin/bash
# What must hold of the scripts and files of this folder that a run of the tests would otherwise not show: with stand-ins for apt
# and dpkg, in folders of its own. Nothing is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
repository=$PWD
work=$(mktemp -d)
children=()
# shellcheck disable=SC2329 # the trap calls it
clean() {
  local child
  for child in "${children[@]}"; do kill -KILL "$child" 2>/dev/null || true; done
  rm -rf "$work"
}
trap clean EXIT

hold() {
  local text=$1
  shift
  if "$@"; then echo "holds: $text"; else echo "BROKEN: $text ($*)"; exit 1; fi
}
is() { [ "$1" = "$2" ] || { printf 'expected: %s\ngot: %s\n' "$1" "$2"; return 1; }; }
within() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do [ "$SECONDS" -lt "$end" ] || return 1; sleep 0.05; done
}
not() { ! "$@"; }

# ---- install-peers.sh -----------------------------------------------------------------------------------------------

# What a host without any of the peers has.
daemons="charon-systemd:strongswan haproxy:haproxy prometheus:prometheus freeradius:freeradius some-dependency:dependency"
host() {
  export DPKG_ROOT=$work/$1
  mkdir -p "$DPKG_ROOT"/{run,usr/sbin,lib/systemd/system,etc/systemd/system}
  echo ours-already >"$DPKG_ROOT/installed"
}
unit() { printf '[Unit]\n[Install]\nWantedBy=multi-user.target\n' >"$DPKG_ROOT/lib/systemd/system/$1.service"; }
enable() { DPKG_MAINTSCRIPT_PACKAGE=x deb-systemd-helper enable "$1.service"; }
enabled() { (cd "$DPKG_ROOT/etc/systemd/system" && find . -name '*.service' -printf '%f ' | sort); }
policy() { cat "$DPKG_ROOT/usr/sbin/policy-rc.d" 2>/dev/null; }
started() { cat "$DPKG_ROOT/started" 2>/dev/null; }

mkdir "$work/bin"
# It waits for whoever else is at it, does what a package's postinst does, and can be held up between two packages.
cat >"$work/bin/apt-get" <<A
#!/bin/bash
case " \$* " in *" install "*) ;; *) exit ;; esac
exec 5>"\$DPKG_ROOT/dpkg.lock"
flock 5
for package in "\$@" some-dependency; do
  ! grep -qx -- "\$package" "\$DPKG_ROOT/installed" || continue
  case \$package in -* | install) continue ;; esac
  while [ -e "\$DPKG_ROOT/hold" ]; do touch "\$DPKG_ROOT/held"; sleep 0.05; done
  [ ! -e "\$DPKG_ROOT/broken" ] || [ "\$package" != freeradius ] || exit 100
  printf 'Selecting previously unselected package %s.\r\n' "\$package"
  for daemon in $daemons; do
    unit=\${daemon#*:}
    [ "\${daemon%:*}" = "\$package" ] || continue
    printf '[Unit]\n[Install]\nWantedBy=multi-user.target\nAlias=other-%s.service\n' "\$unit" >"\$DPKG_ROOT/lib/systemd/system/\$unit.service"
    DPKG_MAINTSCRIPT_PACKAGE=\$package deb-systemd-helper enable "\$unit.service"
    [ -x "\$DPKG_ROOT/usr/sbin/policy-rc.d" ] && "\$DPKG_ROOT/usr/sbin/policy-rc.d" || [ \$? -eq 101 ] || echo "\$unit" >>"\$DPKG_ROOT/started"
  done
  echo "\$package" >>"\$DPKG_ROOT/installed"
done
A
cat >"$work/bin/dpkg-query" <<A
#!/bin/bash
if [ "\$1" = -W ]; then
  grep -qx -- "\${!#}" "\$DPKG_ROOT/installed" && printf installed
else
  shift
  for package; do
    for daemon in $daemons; do
      [ "\${daemon%:*}" != "\$package" ] || echo "/lib/systemd/system/\${daemon#*:}.service"
    done
  done
fi
A
printf '#!/bin/sh\necho 0\n' >"$work/bin/id"
printf '#!/bin/sh\n' | tee "$work/bin/npm" >"$work/bin/update-rc.d"
chmod +x "$work"/bin/*
PATH=$work/bin:$PATH
install_peers() { "$repository/deploy/install-peers.sh" "$@" 2>>"$DPKG_ROOT/said"; }

host fresh
unit theirs && enable theirs
echo haproxy >>"$DPKG_ROOT/installed"
unit haproxy && enable haproxy
hold "the packages come" install_peers
hold "all of them" is "" "$(install_peers --missing)"
hold "no daemon of theirs has been started" not started
hold "and none will be, but those that were there before" is "haproxy.service theirs.service " "$(enabled)"
hold "others' daemons may start again" not policy

host broken
touch "$DPKG_ROOT/broken"
hold "where apt fails, that is told" not install_peers
hold "what it has installed does not start either" is "" "$(enabled)"

host theirs
printf '#!/bin/sh\nexit 101\n' >"$DPKG_ROOT/usr/sbin/policy-rc.d"
hold "somebody else's policy is no hindrance" install_peers
hold "and stays" is $'#!/bin/sh\nexit 101' "$(policy)"

host two
touch "$DPKG_ROOT/hold"
install_peers --run &
children+=($!)
hold "one is at work" within 20 test -e "$DPKG_ROOT/held"
install_peers &
children+=($!)
hold "another waits for it" within 20 grep -qs 'waiting for it' "$DPKG_ROOT/said"
rm "$DPKG_ROOT/hold"
hold "the first comes to its end" wait "${children[-2]}"
hold "so does the other" wait "${children[-1]}"
hold "nothing is missing" is "" "$(install_peers --missing)"
hold "no daemon has been started by either" not started
hold "nor will be" is "" "$(enabled)"
hold "and no policy is left" not policy

host killed
touch "$DPKG_ROOT/hold"
deploy/install-peers.sh 2>/dev/null &
children+=($!)
within 20 test -e "$DPKG_ROOT/held"
{ kill -KILL "${children[-1]}" && wait "${children[-1]}"; } 2>/dev/null || true
hold "a run that is killed leaves its policy" grep -q 'exit 101' "$DPKG_ROOT/usr/sbin/policy-rc.d"
install_peers &
children+=($!)
hold "the next one waits for the apt that goes on" within 20 grep -qs 'waiting for it' "$DPKG_ROOT/said"
rm "$DPKG_ROOT/hold"
hold "and comes to its end" wait "${children[-1]}"
hold "no daemon has been started by that apt" not started
hold "nor will one be that it has brought" is "" "$(enabled)"
hold "the policy is gone" not policy

host interrupted
touch "$DPKG_ROOT/hold"
deploy/install-peers.sh 2>/dev/null &
children+=($!)
within 20 test -e "$DPKG_ROOT/held"
kill -TERM "${children[-1]}"
rm "$DPKG_ROOT/hold"
hold "who is told to end fails" not wait "${children[-1]}"
hold "and has waited for apt" is "" "$(install_peers --missing)"
hold "no daemon has been started" not started
hold "nor will be" is "" "$(enabled)"
hold "and no policy is left" not policy
printf '#!/bin/sh\n%s\nexit 101\n' "$(sed -n 's/^mark="\(.*\)"/\1/p' deploy/install-peers.sh)" >"$DPKG_ROOT/usr/sbin/policy-rc.d"
hold "who has nothing to do looks for one that was left" install_peers
hold "and removes it" not policy

# ---- claim-target.sh ------------------------------------------------------------------------------------------------

export CARGO_TARGET_DIR="$work/a target"
for checkout in one two; do
  mkdir -p "$work/$checkout"/{bench,control,crypto,dataplane,deploy}
  touch -d 2020-01-01 "$work/$checkout/control/lib.rs"
done
# claim CHECKOUT COMMAND...: as a line of the Makefile does.
claim() { (cd "$work/$1" && exec sh -c '. "$0"; exec "$@"' "$repository/deploy/claim-target.sh" "${@:2}"); }
modified() { stat -c %y "$work/$1/control/lib.rs" | cut -c1-4; }
whose() { cat "$CARGO_TARGET_DIR/checkout"; }

hold "who comes first has the folder" claim one true
hold "his files are new" is "$(date +%Y)" "$(modified one)"
touch -d 2020-01-01 "$work/one/control/lib.rs"
hold "he has it when he comes again" claim one true
hold "his files are as they were" is 2020 "$(modified one)"

touch "$work/works"
# shellcheck disable=SC2016 # the inner shell's
claim one sh -c 'echo >"$0-now"; while [ -e "$0" ]; do sleep 0.05; done' "$work/works" &
children+=($!)
hold "he is at work" within 20 test -e "$work/works-now"
hold "another checkout builds beside it" is "$CARGO_TARGET_DIR-2" "$(claim two printenv CARGO_TARGET_DIR 2>"$work/two-said")"
hold "and says why" grep -qs "^$work/one is at work in $CARGO_TARGET_DIR; " "$work/two-said"
hold "there it is its own" is "$work/two" "$(cat "$CARGO_TARGET_DIR-2/checkout")"
hold "its files are new" is "$(date +%Y)" "$(modified two)"
hold "the first comes in again meanwhile" is "$CARGO_TARGET_DIR" "$(claim one printenv CARGO_TARGET_DIR)"
hold "its files are as they were" is 2020 "$(modified one)"
rm "$work/works"
hold "the first ends" wait "${children[-1]}"
touch -d 2020-01-01 "$work/two/control/lib.rs"
hold "then the other comes in" is "$CARGO_TARGET_DIR" "$(claim two printenv CARGO_TARGET_DIR)"
hold "the folder is its own" is "$work/two" "$(whose)"
hold "its files are new" is "$(date +%Y)" "$(modified two)"

# ---- aditd.service --------------------------------------------------------------------------------------------------

hold "the unit's group is the one that systemd-sysusers makes" is "g $(sed -n 's/^Group=//p' deploy/aditd.service) -" "$(grep -v '^#' deploy/adit.sysusers)"
