#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
hold_login
hold_of_adit "aditd says that it uses system calls" answers "system calls" status .io
hold_transfers
hold_logout
