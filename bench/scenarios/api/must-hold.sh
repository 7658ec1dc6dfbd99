#!/bin/bash
. "$(dirname "$0")/../rig.sh"

token() { "$ADITCTL" new-token; }
topology_up 1 none
capture
pki_make
(cd "$RIG_DIR/pki" && umask 077 && leaf 2048 mallory email:mallory@rig clientAuth >>log 2>&1)
VIEWER=$(token) BOSS=$(token) STRANGE=$(token | awk '/^token / {print $2}')
mkdir -p "$RIG_DIR/conf"
hash() { sed -n 's/^token_hash = "\(.*\)"/\1/p' <<<"$1"; }
sed "s#@VIEWER@#$(hash "$VIEWER")#; s#@BOSS@#$(hash "$BOSS")#" "$ADIT_SCENARIO/aditd.toml" >"$RIG_DIR/conf/aditd.toml"
VIEWER=$(awk '/^token / {print $2}' <<<"$VIEWER") BOSS=$(awk '/^token / {print $2}' <<<"$BOSS")
headend_start "$RIG_DIR/conf/aditd.toml"

URL=https://$HEADEND4:8443 CA=$RIG_DIR/pki/ca.crt
# ask AS METHOD PATH [OPTIONS...]: "<status> <content type>", and the body in $RIG_DIR/body, the head in $RIG_DIR/head.
ask() {
  local as=$1 method=$2 path=$3
  shift 3
  [ "$as" = nobody ] || set -- -H "Authorization: Bearer $as" "$@"
  in_ns c1 curl -sS -m 10 --cacert "$CA" -o "$RIG_DIR/body" -D "$RIG_DIR/head" -w '%{http_code} %{content_type}' -X "$method" "$@" "$URL$path"
}
body() { jq -r "$1" "$RIG_DIR/body"; }

# nobody learns anything: the same answer whatever is asked, and nothing in it of this host or of who is logged in.
tells_nothing() {
  local first='' path how
  for path in / /openapi.json /v1/status /v1/sessions /v1/sessions/s1 /v1/events /metrics /no/such/path '/%ff'; do
    for how in GET POST DELETE; do
      is "401 application/problem+json" "$(ask nobody $how "$path" "$@")" || { echo "$how $path"; return 1; }
      [ -n "$first" ] || first=$(cat "$RIG_DIR/body")
      is "$first" "$(cat "$RIG_DIR/body")" || return 1
      ! grep -iE "headend|version|server:|alice|10\.30" "$RIG_DIR/body" "$RIG_DIR/head" || return 1
    done
  done
}
hold "who shows nothing learns nothing" tells_nothing
hold "nor does who shows another token" answers "401 application/problem+json" ask "$STRANGE" GET /v1/status
hold "nor an empty one" answers "401 application/problem+json" ask "" GET /v1/status
hold "nor a password" answers "401 application/problem+json" ask nobody GET /v1/status -u viewer:viewer
hold "without TLS nothing is said" not in_ns c1 curl -sS -m 5 "http://$HEADEND4:8443/v1/status"
hold "nor by TLS 1.2" not in_ns c1 curl -sS -m 5 --cacert "$CA" --tls-max 1.2 "$URL/v1/status"
hold "a token opens" answers "200 application/json" ask "$VIEWER" GET /v1/status
hold "a certificate opens, too" answers "200 application/json" ask nobody GET /v1/status --cert "$RIG_DIR/pki/alice.crt" --key "$RIG_DIR/pki/alice.key"
hold "one that is no client's does not" not ask nobody GET /v1/status --cert "$RIG_DIR/pki/headend.crt" --key "$RIG_DIR/pki/headend.key"
hold "nor one of somebody who is no operator" answers "401 application/problem+json" ask nobody GET /v1/status --cert "$RIG_DIR/pki/mallory.crt" --key "$RIG_DIR/pki/mallory.key"

hold_login
hold "the session is listed" answers "200 application/json" ask "$VIEWER" GET "/v1/sessions?identity=*@rig"
hold "as it is" answers "s1 alice@rig UP nat-t road-warriors" body '.sessions[] | [.id, .identity, .health, .transport, .connection] | join(" ")'
hold "its lease is, too" eval 'ask "$VIEWER" GET /v1/leases && is "alice@rig s1" "$(body ".leases[0] | [.identity, .session] | join(\" \")")"'
hold "who may look may not disconnect it" answers "403 application/problem+json" ask "$VIEWER" DELETE /v1/sessions/s1
# Somebody of root's group, which may open the socket. The way to it is root's alone, so he gets another one, in a mount namespace of his own.
chmod g+x "$RIG_DIR/h"
as_group() {
  # shellcheck disable=SC2016 # the inner shell has its own arguments
  in_ns h sh -c 'mount --bind "$0" /mnt && exec setpriv --reuid 65534 --regid 0 --clear-groups "$@"' "$RIG_DIR/h" \
    "$ADITCTL" --socket /mnt/aditd.sock "$@" 2>&1
}
refused() { ! as_group disconnect s1 >"$RIG_DIR/refused" && says "$RIG_DIR/refused" "may look, not change anything"; }
hold "nor may who only may open the socket" refused
hold "but look" eval 'as_group sessions | grep alice@rig'
spi() { ctl sa --json | jq -r '.[] | select(.state == "active") | .spi_in' | head -1; }
BEFORE=$(spi)
hold "who may do everything replaces its keys" answers "202 application/json" ask "$BOSS" POST /v1/sessions/s1/rekey
hold "they are other ones" within 5 eval '[ -n "$(spi)" ] && [ "$(spi)" != "$BEFORE" ]'
hold "traffic goes on" reaches c1 "$SERVER4"
hold "and disconnects it" answers "202 application/json" ask "$BOSS" DELETE /v1/sessions/s1
hold "the client was told" within 5 answers "0 0" sas_of c1
hold "nothing is left" within 5 nothing_left

# Whom it lets in, and with which certificate, is as the file says after a reload, and nobody else has to be disturbed for it.
FILE=$RIG_DIR/h/aditd.toml
# Not by a pipe: whoever has read the certificate reads no more, and the other one fails with what it still has to say.
serial() {
  local shown
  shown=$(in_ns c1 openssl s_client -connect "$HEADEND4:8443" -CAfile "$CA" -verify_return_error </dev/null 2>/dev/null) && openssl x509 -noout -serial <<<"$shown"
}
renewed() { (cd "$RIG_DIR/pki" && umask 077 && leaf 2048 headend "DNS:headend.rig,IP:$HEADEND4" serverAuth >>log 2>&1); }
cp "$FILE" "$RIG_DIR/first.toml"
# change [SED]: the file is the first one, but for this.
change() { sed "$@" "$RIG_DIR/first.toml" >"$FILE.part" && mv "$FILE.part" "$FILE"; }
# watches AS NAME: the stream of events, until it ends; NAME is its file and the name of its process.
watches() {
  in_ns c1 curl -sS -N -m 60 --cacert "$CA" -H "Authorization: Bearer $1" -H "Accept: text/event-stream" "$URL/v1/events?last=1" >"$RIG_DIR/$2" 2>&1 &
  eval "$2=$!"
  until_true 5 test -s "$RIG_DIR/$2"
}
watches "$VIEWER" viewer_watches
WAS=$(serial)
hold "TLS shows our certificate" test -n "$WAS"
hold "the certificate is renewed" renewed
hold "TLS still shows the first" answers "$WAS" serial
hold "a reload says what changes" eval 'ctl reload | tee -a "$RIG_DIR/said" | grep -F "[api] certificate changed: at once; no session ends"'
hold "who comes then sees the new one" eval 'now=$(serial) && [ -n "$now" ] && [ "$now" != "$WAS" ]'
hold "who was there stays" kill -0 "$viewer_watches"
change 's/headend.key/mallory.key/'
hold "a key that is not the certificate's is refused" not ctl reload
hold "TLS goes on as it was" answers "200 application/json" ask "$VIEWER" GET /v1/status

change '/^name = "boss"/,/^$/s/^role = .*/role = "read"/'
hold "the boss orders his own dismissal" answers "200 application/json" ask "$BOSS" POST /v1/reload
hold "and hears what he did" answers '[[operator]] boss role "admin" "read"' body '.changes[] | [.section, .key, .from, .to] | join(" ")'
hold "after that he only looks" answers "403 application/problem+json" ask "$BOSS" POST /v1/reload
hold "who watched has to come anew" within 10 not kill -0 "$viewer_watches"
hold "and may" watches "$VIEWER" viewer_watches
change '/^\[\[operator\]\]$/ { N; /viewer/ { N; N; d } }'
hold "the viewer is removed" kill -HUP "$HEADEND_PID"
hold "is not known any more" within 5 eval 'is "401 application/problem+json" "$(ask "$VIEWER" GET /v1/status)"'
hold "and sees nothing more" within 10 not kill -0 "$viewer_watches"
hold "the boss is one again" answers "404 application/problem+json" ask "$BOSS" POST /v1/sessions/s1/rekey

as_alice() { ask nobody GET /v1/status --cert "$RIG_DIR/pki/alice.crt" --key "$RIG_DIR/pki/alice.key"; }
hold "another authority signs" openssl req -x509 -newkey rsa:2048 -nodes -keyout "$RIG_DIR/pki/other.key" -out "$RIG_DIR/pki/other.crt" -days 30 -subj "/CN=Other CA"
change 's#/ca.crt"#/other.crt"#'
hold "it is the one that counts from now on" ctl reload
hold "whose certificate is another's is let in no more" not as_alice
change ''
hold "the first file again" ctl reload
hold "with it she comes in" answers "200 application/json" as_alice
hold "and so does the viewer" answers "200 application/json" ask "$VIEWER" GET /v1/status

SCHEMATHESIS=$("$SCENARIOS/../../deploy/install-schemathesis.sh")
# all_described TOKEN [OPTIONS]: schemathesis finds nothing. It has a client's eyes: it takes the document from the daemon.
all_described() {
  local token=$1
  shift
  (cd "$RIG_DIR" && in_ns c1 "$SCHEMATHESIS" run "$URL/openapi.json" --tls-verify "$CA" --header "Authorization: Bearer $token" \
    --checks all --exclude-checks ignored_auth,positive_data_acceptance --phases examples,coverage,fuzzing --seed 1 --max-examples 25 --workers 2 \
    --generation-database none --no-color --warnings off "$@") | tee -a "$RIG_DIR/schemathesis.log"
}
# Who may look gets 403 for what changes things, which is described as any other problem is.
hold "schemathesis finds nothing that is not described, as somebody who may look" all_described "$VIEWER"
# But for the one order that ends the daemon; `restart` gives that.
hold "nor as somebody who may do everything" all_described "$BOSS" --exclude-operation-id drain
hold "the daemon serves as before" answers serving status .state
hold "no token is in the log" not grep -E "adit_[0-9a-f]{16}|rig-psk-secret" "$RIG_DIR/h/aditd.log"
hold "it ends as it should" headend_stop
