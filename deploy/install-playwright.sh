#!/bin/bash
# Installs what drives and judges the web page in Debian's Chromium: playwright-core, which brings no browser of its own, and axe-core, from npm,
# into a folder of their own (~/.cache/adit/playwright-...). Prints the path of their node_modules. Does nothing if those versions are there.
set -euo pipefail
# The last line of playwright-core that runs on Debian 12's node 18.
playwright=1.61.0
axe=4.14.1
home=${XDG_CACHE_HOME:-$HOME/.cache}/adit/playwright-$playwright-axe-$axe
if [ ! -e "$home/whole" ]; then
  rm -rf "$home"
  mkdir -p "$home"
  npm install --prefix "$home" --no-save --no-audit --no-fund --no-update-notifier --ignore-scripts --loglevel=error \
    "playwright-core@$playwright" "axe-core@$axe" >&2 || { rm -rf "$home"; exit 1; }
  touch "$home/whole"
fi
echo "$home/node_modules"
