#!/bin/sh
# What vpnc asks for everything that it would ask its user.
case "$*" in *[Cc]ode*) echo 123456 ;; *) echo otto-pass ;; esac
