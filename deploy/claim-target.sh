# shellcheck shell=sh
# Sourced at the top of a checkout, before building in $CARGO_TARGET_DIR: it is ours for as long as this shell, or what it starts, lives.
#
# Checkouts share the folder for the sake of their dependencies; but cargo knows a package by its place in the workspace and a
# file by its time, so it takes for built what another checkout has built there since our files were last changed, and both have
# the same programs. Who comes from another checkout than the last makes its files new; and waits until nobody of the last is at work.
claimed() { [ "$(cat "$CARGO_TARGET_DIR/checkout" 2>/dev/null)" = "$(pwd -P)" ]; }

mkdir -p "$CARGO_TARGET_DIR"
exec 8>>"$CARGO_TARGET_DIR/checkout.lock"
while :; do
  flock -s 8 || exit 1
  ! claimed || break
  # Between one lock and the other somebody else may have come.
  flock -n -x 8 || {
    echo "$(cat "$CARGO_TARGET_DIR/checkout" 2>/dev/null || echo another) is at work in $CARGO_TARGET_DIR; waiting for it (CARGO_TARGET_DIR=... does not wait)" >&2
    flock -x 8 || exit 1
  }
  claimed || {
    find bench control crypto dataplane deploy -type f -exec touch {} +
    pwd -P >"$CARGO_TARGET_DIR/checkout"
  }
done
