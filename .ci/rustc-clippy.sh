#!/bin/sh
# The compiler of our own crates in CI: clippy's, to which a warning is an error. cargo calls it as it calls a RUSTC_WORKSPACE_WRAPPER.
exec "$(dirname "$(command -v "$1" || echo "$1")")/clippy-driver" "$@" -D warnings
