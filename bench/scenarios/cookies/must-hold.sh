#!/bin/bash
. "$(dirname "$0")/../rig.sh"

# headend_asks: of whom cookies are asked, as aditctl says it.
headend_asks() { status .cookies_asked_of; }

rig_up
hold_of_adit "aditctl says that everybody is asked" answers everybody headend_asks
hold_login
hold_of_adit "the client had to return a cookie" says "$(client_log c1)" "parsed IKE_SA_INIT response 0 \[ N\(COOKIE\) \]"
hold_of_adit "it did" says "$(client_log c1)" "generating IKE_SA_INIT request 0 \[ N\(COOKIE\) SA"
hold_of_adit "the headend took it" says "$(headend_log)" "cookie returned"
hold_logout
