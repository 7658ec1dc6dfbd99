#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
hold_login
hold "ChaCha20-Poly1305 was negotiated" says "$(client_log c1)" "selected proposal: ESP:CHACHA20_POLY1305/NO_EXT_SEQ"
hold_transfers
hold_logout
