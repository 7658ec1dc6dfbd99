#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
hold_login
hold_of_adit "aditd says that it uses io_uring" answers io_uring status .io
hold_transfers
hold_logout
