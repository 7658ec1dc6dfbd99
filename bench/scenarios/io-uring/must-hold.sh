#!/bin/bash
. "$(dirname "$0")/../rig.sh"

# It is asked for by name, so aditd would not start without it.
[ "$(printf '6.7\n%s\n' "$(uname -r)" | sort -V | head -1)" = 6.7 ] || skip "io_uring needs Linux 6.7, this is $(uname -r)"
[ "$(cat /proc/sys/kernel/io_uring_disabled)" = 0 ] || skip "sysctl kernel.io_uring_disabled forbids io_uring"
rig_up
hold_login
hold_of_adit "aditd says that it uses io_uring" answers io_uring status .io
hold_transfers
hold_logout
