#!/bin/bash
. "$(dirname "$0")/../rig.sh"

# ESP suite, IKE suite, who logs in. Both suites are spelled as strongSwan and adit spell them.
suites() {
  cat <<'SUITES'
aes128gcm16       aes128gcm16-prfsha256-x25519  alice@rig
aes192gcm16       aes192gcm16-prfsha256-x25519  alice@rig
aes256gcm16       aes128gcm16-prfsha256-x25519  alice@rig
aes128gcm12       aes128gcm12-prfsha256-x25519  alice@rig
aes128gcm8        aes128gcm8-prfsha256-x25519   alice@rig
aes128ccm16       aes128ccm16-prfsha256-x25519  alice@rig
chacha20poly1305  aes256ccm8-prfsha256-x25519   alice@rig
aes128-sha1       aes128-sha256-x25519          alice@rig
aes128-sha256     aes192-sha256-x25519          alice@rig
aes192-sha256     aes192-sha384-x25519          alice@rig
aes256-sha256     aes128-sha256-x25519          alice@rig
aes256-sha384     aes128-sha384-x25519          alice@rig
aes256-sha512     aes128-sha256-x25519          alice@rig
3des-sha1         3des-md5-modp2048             alice@old.rig
3des-md5          3des-md5-modp2048             alice@old.rig
aes128-md5        3des-md5-modp2048             alice@old.rig
null-sha256       3des-md5-modp2048             alice@old.rig
SUITES
}

# connection NAME IKE_PROPOSAL ESP_PROPOSAL IDENTITY: its section; the child has its name.
connection() {
  cat <<SECTION
  $1 {
    version = 2
    remote_addrs = 198.51.100.2
    vips = 0.0.0.0, ::
    proposals = $2
    encap = yes
    dpd_delay = 30s
    local {
      auth = psk
      id = $4
    }
    remote {
      auth = psk
      id = headend.rig
    }
    children { $1 {
      remote_ts = 10.20.0.0/24, fd20::/64
      esp_proposals = $3
    } }
  }
SECTION
}

client_conf() {
  echo 'connections {'
  while read -r esp ike identity; do connection "$esp" "$ike" "$esp" "$identity"; done < <(suites)
  connection too-old 3des-md5-modp2048 3des-sha1 alice@rig
  connection old-child aes128gcm16-prfsha256-x25519 3des-sha1 alice@rig
  echo '}'
  echo 'secrets { ike-rig { secret = "rig-psk-secret" } }'
}

algorithms() { echo "$(ctl sessions --json | jq -r '.[].ike_algorithms') $(ctl sa --json | jq -r '.[].algorithms')"; }

rig_up
hold_of_adit "the log warns of the connection that takes weak algorithms" \
  says "$(headend_log)" '"old-devices\\?" legacy: warning: clients may use 3des .*md5 .*null '
client_conf >"$RIG_DIR/client.swanctl.conf"
strongswan_start c1 "$RIG_DIR/client.swanctl.conf"

count=0
while read -r esp ike _identity; do
  hold "$esp: the client logs in" connect c1 "$esp"
  hold_of_adit "$esp: adit names it, and $ike" answers "$ike $esp" algorithms
  hold "$esp: the inner server answers" in_ns c1 ping -q -c 1 -W 2 "$SERVER4"
  hold "$esp: 2 MB arrive unchanged from client to server" transfers c1 s "$SERVER4" 2 20
  hold "$esp: 2 MB arrive unchanged from server to client" transfers s c1 "$(virtual_ip c1 4)" 2 20
  hold "$esp: the client logs out" disconnect c1 "$esp"
  hold "$esp: it is forgotten" within 5 answers "0 sessions, 0 SAs" service
  count=$((count + 1))
done < <(suites)
hold "all suites had their turn" is 17 "$count"

hold_of_adit "without legacy there is no Triple DES for IKE" not connect c1 too-old
hold_of_adit "adit took it for the other connection, and refused when it knew who it was" \
  says "$(headend_log)" 'no_ike_proposal.*3des-md5-modp2048'
hold_of_adit "without legacy there is no Triple DES for ESP" not connect c1 old-child
hold_of_adit "the log says so" says "$(headend_log)" 'no_child_proposal.*3des-sha1'
hold_of_adit "the client, whose IKE SA holds, logs out" disconnect c1 old-child
hold "nothing is left" within 10 nothing_left
