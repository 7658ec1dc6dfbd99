#!/bin/bash
. "$(dirname "$0")/../rig.sh"

rig_up
# A UDP super-packet would be captured as one: the headend's and the router's outer side have to cut before the cable.
ip -n "$RIG-h" link set wan gso_max_segs 1
ip -n "$RIG-r" link set wan gso_max_segs 1
client_start c1 'ike = 4
    chd = 4'

ike_rows() {
  strongswan_ctl c1 --list-sas | awk '/^adit:/ {gsub("_[ir][*]?", "", $5); gsub("_[ir][*]?", "", $6); print $5, $6}' | while read -r i r; do
    printf '%s,%s,%s,%s,"AES-GCM-128 with 16 octet ICV [RFC5282]",,,"NONE [RFC4306]"\n' "$i" "$r" "$(ike_key Sk_ei)" "$(ike_key Sk_er)"
  done
}
# The newest SK_ei or SK_er in the log, in hex.
ike_key() {
  grep -A2 "$1 secret => 20 bytes" "$(client_log c1)" | tail -2 | sed 's/.*\[IKE\] *[0-9]*: //' | cut -c1-48 | tr -d ' \n' | tr A-F a-f
}

session() {
  hold "the client logs in with $1" connect c1 net
  hold "$1 was negotiated" says "$(client_log c1)" "selected proposal: ESP:$2"
  ike_rows >>"$RIG_DIR/ikev2_decryption_table"
  hold "$1: 2 MB go up" transfers c1 s "$SERVER4" 2
  hold "$1: 2 MB come down" transfers s c1 "$(virtual_ip c1 4)" 2
  hold "$1: IPv6 inside" reaches c1 "$SERVER6"
}
session AES-GCM AES_GCM_16_128/NO_EXT_SEQ
hold "the child SA is rekeyed" strongswan_ctl c1 --rekey --child net
hold "the new one serves" within 10 says "$(client_log c1)" "outbound CHILD_SA net.* established" 1
hold "AES-GCM after the rekey: 2 MB come down" transfers s c1 "$(virtual_ip c1 4)" 2
hold "the client logs out" disconnect c1 adit
sed -i 's/esp_proposals = .*/esp_proposals = aes128-sha256/' "$RIG_DIR/c1/swanctl/swanctl.conf"
hold "the client changes to AES-CBC" strongswan_ctl c1 --load-all --noprompt
session AES-CBC AES_CBC_128/HMAC_SHA2_256_128/NO_EXT_SEQ
hold "the client logs out" disconnect c1 adit

hold "the capture ends" capture_end
hold "and has all of it" capture_goes_on
awk -f "$ADIT_SCENARIO/esp_keys.awk" "$(client_log c1)" >"$RIG_DIR/esp_sa"
export WIRESHARK_CONFIG_DIR=$RIG_DIR # tshark reads esp_sa and ikev2_decryption_table there
read_capture() {
  tshark -r "$RIG_DIR/wan.pcap" -o esp.enable_encryption_decode:TRUE -o esp.enable_authentication_check:TRUE \
    -o esp.enable_null_encryption_decode_heuristic:FALSE -T fields -E separator=/t -E occurrence=f \
    -e frame.number -e _ws.malformed -e isakmp.exchangetype -e isakmp.enc.decrypted -e esp.spi -e esp.sequence -e esp.iv \
    -e esp.icv_good -e esp.pad_len -e esp.protocol -e frame.protocols >"$RIG_DIR/packets"
}
hold "tshark reads the capture" read_capture
malformed() { awk -F'\t' '$2 != "" || $11 ~ /malformed/' "$RIG_DIR/packets"; }
judge() { awk -F'\t' -f "$ADIT_SCENARIO/judge.awk" -v ask="$1" "$RIG_DIR/packets"; }
hold "no packet is malformed" answers "" malformed
hold "there are six ESP SAs with a thousand packets or more" judge amount
hold "ESP is in UDP on port 4500" judge encapsulation
hold "every ICV is good" judge icv
hold "every sequence number follows its predecessor, from 1" judge sequence
hold "no IV comes twice on an SA" judge iv
hold "what is inside is IPv4 or IPv6" judge inner
hold "every IKE message after IKE_SA_INIT is decrypted" judge ike
