# shellcheck shell=bash
# FreeRADIUS without its service: any number of instances, each on an address of its own in the headend's namespace.
# Sourced after topology.sh.
#
# An instance is a folder: $RIG_DIR/radius-<name>, with its users, its log, and the accounting records that it got.

# freeradius_start NAME ADDRESS USERS_FILE: starts one with these users; secret `radius-secret`, ports 1812 and 1813.
freeradius_start() {
  local name=$1 address=$2 users=$3 dir=$RIG_DIR/radius-$1
  mkdir -p "$dir/acct"
  cp "$users" "$dir/users"
  cat >"$dir/radiusd.conf" <<E2
prefix = /usr
libdir = /usr/lib/freeradius
raddbdir = $dir
logdir = $dir
run_dir = $dir
db_dir = $dir
pidfile = $dir/freeradius.pidfile
name = freeradius
max_request_time = 30
cleanup_delay = 5
max_requests = 1024
hostname_lookups = no
log {
  destination = stdout
  auth = yes
}
security {
  max_attributes = 200
  reject_delay = 0
  allow_vulnerable_openssl = no
}
thread pool {
  start_servers = 1
  max_servers = 2
  min_spare_servers = 1
  max_spare_servers = 1
  max_requests_per_server = 0
}
client headend {
  ipaddr = 127.0.0.0/8
  secret = radius-secret
  require_message_authenticator = yes
}
modules {
  pap {
  }
  chap {
  }
  mschap {
  }
  always handled {
    rcode = handled
  }
  files {
    usersfile = $dir/users
    acctusersfile = $dir/nobody
    preproxy_usersfile = $dir/nobody
  }
  detail {
    filename = $dir/acct/detail
    permissions = 0600
  }
}
server rig {
  listen {
    type = auth
    ipaddr = $address
    port = 1812
  }
  listen {
    type = acct
    ipaddr = $address
    port = 1813
  }
  authorize {
    chap
    mschap
    files
    # A second factor: whoever has passed the first is asked for a code; State tells the two rounds apart.
    if (&control:Tmp-String-0 && !&State) {
      update control {
        &Auth-Type := challenge
      }
    }
    elsif (&control:Tmp-String-0) {
      update control {
        &Cleartext-Password := &control:Tmp-String-0
      }
    }
    pap
  }
  authenticate {
    Auth-Type PAP {
      pap
    }
    Auth-Type CHAP {
      chap
    }
    Auth-Type MS-CHAP {
      mschap
    }
    Auth-Type challenge {
      pap
      if (ok) {
        update control {
          &Response-Packet-Type := Access-Challenge
        }
        update reply {
          &Reply-Message := "Code from your token"
          &State := 0x726967
          &Message-Authenticator := 0x00
        }
        handled
      }
    }
  }
  post-auth {
    # FreeRADIUS signs its answers only if it is told to.
    update reply {
      &Message-Authenticator := 0x00
    }
    Post-Auth-Type REJECT {
      update reply {
        &Message-Authenticator := 0x00
      }
    }
  }
  accounting {
    detail
  }
}
E2
  : >"$dir/nobody"
  ip netns exec "$RIG-h" freeradius -d "$dir" -f -l stdout >"$dir/log" 2>&1 &
  echo $! >"$dir/pid"
  until_true 10 grep -q 'Ready to process' "$dir/log" || {
    echo "FreeRADIUS does not start as $name:" >&2
    tail -5 "$dir/log" >&2
    return 1
  }
}

freeradius_stop() { end_process TERM "$(cat "$RIG_DIR/radius-$1/pid")"; }
# freeradius_stalls NAME, freeradius_goes_on NAME: it is there and says nothing.
freeradius_stalls() { kill -STOP "$(cat "$RIG_DIR/radius-$1/pid")"; }
freeradius_goes_on() { kill -CONT "$(cat "$RIG_DIR/radius-$1/pid")"; }

# radius_records NAME TYPE: how many accounting records of this type (Start, Interim-Update, Stop) it has written.
radius_records() { grep -c "Acct-Status-Type = $2\$" "$RIG_DIR/radius-$1/acct/detail" 2>/dev/null || true; }
