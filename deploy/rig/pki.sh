# shellcheck shell=bash
# Certificates for one run: a CA, the headend and a user, RSA-2048, made anew each time. Sourced after topology.sh.

# pki_make: $RIG_DIR/pki/{ca,headend,alice}.{key,crt}
pki_make() {
  local dir=$RIG_DIR/pki
  mkdir -p "$dir"
  (
    cd "$dir" || exit 1
    umask 077
    openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 30 -subj "/C=CH/O=Rig/CN=Rig CA" \
      -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign"
    leaf headend "DNS:headend.rig,IP:$HEADEND4" serverAuth
    leaf alice "email:alice@rig" clientAuth
  ) >"$dir/log" 2>&1 || { tail -5 "$dir/log" >&2; return 1; }
}
leaf() {
  openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "/C=CH/O=Rig/CN=$1.rig"
  printf 'subjectAltName=%s\nextendedKeyUsage=%s\nbasicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n' "$2" "$3" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -out "$1.crt" -days 30 -extfile "$1.ext"
}
