#!/bin/bash
# Installs schemathesis, which asks an HTTP API everything that its OpenAPI document allows, and more: from PyPI, into a folder of its own
# (~/.cache/adit/schemathesis). Prints the path of its program. Does nothing if that version is there.
set -euo pipefail
version=4.32.5
home=${XDG_CACHE_HOME:-$HOME/.cache}/adit/schemathesis-$version
program=$home/bin/schemathesis
if [ ! -x "$program" ]; then
  # What is half made is not taken for whole: the program comes last, and all goes if that fails.
  rm -rf "$home"
  python3 -m venv "$home" >&2
  "$home/bin/pip" install --quiet --disable-pip-version-check --no-input "schemathesis==$version" >&2 || { rm -rf "$home"; exit 1; }
fi
echo "$program"
