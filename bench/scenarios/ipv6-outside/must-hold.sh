#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
hold_login
hold_transfers
hold_logout
