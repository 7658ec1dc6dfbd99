#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
hold_login
library() { ctl sa --json | jq -r '.[].library'; }
hold_of_adit "RustCrypto encrypts" answers rustcrypto library
hold_transfers
hold_logout
