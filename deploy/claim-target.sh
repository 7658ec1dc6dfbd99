#!/bin/sh
# claim-target.sh FOLDER: before building there. Checkouts share the folder for the sake of their dependencies; but cargo
# knows a package by its place in the workspace and a file by its time, so it takes for built what another checkout has
# built there since our files were last changed. Who comes from another checkout than the last makes its files new.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "$1"
here=$(pwd -P)
[ "$(cat "$1/checkout" 2>/dev/null)" = "$here" ] && exit
find bench control crypto dataplane deploy -type f -exec touch {} +
printf '%s\n' "$here" >"$1/checkout"
