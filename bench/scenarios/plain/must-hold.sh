#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
hold_login
library() { ctl sa --json | jq -r '.[].library'; }
fastest() {
  if grep -qw vaes /proc/cpuinfo && grep -qw vpclmulqdq /proc/cpuinfo && grep -qw avx2 /proc/cpuinfo; then
    echo ring
  else
    echo aws-lc
  fi
}
hold_of_adit "the library that is fastest on this CPU encrypts, as auto has it" answers "$(fastest)" library
hold "AES-GCM was negotiated" says "$(client_log c1)" "selected proposal: ESP:AES_GCM_16_128/NO_EXT_SEQ"
hold_transfers 200
hold "200 MB arrive unchanged over IPv6 from client to server" transfers c1 s "$SERVER6" 200
hold "200 MB arrive unchanged over IPv6 from server to client" transfers s c1 "$(virtual_ip c1 6)" 200
hold_logout
