# shellcheck shell=bash
# Certificates for one run: a CA, the headend and a user, made anew each time. Sourced after topology.sh.

# pki_make [BITS]: $RIG_DIR/pki/{ca,headend,alice}.{key,crt}; RSA keys of 2048 bits, the ends' of BITS.
pki_make() {
  local dir=$RIG_DIR/pki bits=${1:-2048}
  mkdir -p "$dir"
  (
    cd "$dir" || exit 1
    umask 077
    openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 30 -subj "/C=CH/O=Rig/CN=Rig CA" \
      -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign"
    leaf "$bits" headend "DNS:headend.rig,IP:$HEADEND4" serverAuth
    leaf "$bits" alice "email:alice@rig" clientAuth
  ) >"$dir/log" 2>&1 || { tail -5 "$dir/log" >&2; return 1; }
}
leaf() {
  openssl req -newkey "rsa:$1" -nodes -keyout "$2.key" -out "$2.csr" -subj "/C=CH/O=Rig/CN=$2.rig"
  printf 'subjectAltName=%s\nextendedKeyUsage=%s\nbasicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n' "$3" "$4" >"$2.ext"
  openssl x509 -req -in "$2.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -out "$2.crt" -days 30 -extfile "$2.ext"
}
