# shellcheck shell=sh
# Sourced at the top of a checkout, before building in $CARGO_TARGET_DIR: that is ours for as long as this shell, or what it starts, lives.
#
# Checkouts share the folder for the sake of their dependencies; but cargo knows a package by its place in the workspace and a
# file by its time, so it takes for built what another checkout has built there since our files were last changed, and both have
# the same programs. Who comes from another checkout than the last makes its files new. While one is at work, others build in a folder
# beside it, from the beginning.
claimed() { [ "$(cat "$CARGO_TARGET_DIR/checkout" 2>/dev/null)" = "$(pwd -P)" ]; }

wanted=$CARGO_TARGET_DIR beside=1
while :; do
  mkdir -p "$CARGO_TARGET_DIR"
  exec 8>>"$CARGO_TARGET_DIR/checkout.lock"
  # Nobody is at work here.
  if flock -n -x 8 && ! claimed; then
    find bench control crypto dataplane deploy -type f -exec touch {} +
    pwd -P >"$CARGO_TARGET_DIR/checkout"
  fi
  # Between one lock and the other somebody else may have come.
  flock -s 8 || exit 1
  ! claimed || break
  beside=$((beside + 1))
  echo "$(cat "$CARGO_TARGET_DIR/checkout" 2>/dev/null || echo another) is at work in $CARGO_TARGET_DIR; building in $wanted-$beside" >&2
  CARGO_TARGET_DIR=$wanted-$beside
done
export CARGO_TARGET_DIR
