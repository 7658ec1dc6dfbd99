#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
hold_login
hold "AES-CBC with HMAC-SHA2 was negotiated" says "$(client_log c1)" "selected proposal: ESP:AES_CBC_128/HMAC_SHA2_256_128/NO_EXT_SEQ"
hold_transfers
hold_logout
