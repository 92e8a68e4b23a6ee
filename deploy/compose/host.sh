#!/bin/sh
# Prints how this machine reaches the deployment of docker-compose.yml. For that
# it copies the first admin's credentials and the CA out of the containers, into
# a folder that only its owner may enter.
set -eu
cd "$(dirname "$0")/../.."
out="${XDG_STATE_HOME:-$HOME/.local/state}/midplane-compose"
id=$(docker-compose ps -q primary)
[ -n "$id" ] || { echo "the primary is not running; start it with: make compose" >&2; exit 1; }
mkdir -p "$out"
chmod 700 "$out"
for file in admin/admin.creds tls/ca.crt; do
  docker cp "$id:/deployment/$file" "$out/" >/dev/null
  chmod 600 "$out/${file#*/}"
done
page="http://127.0.0.1:${MIDPLANE_HTTP_PORT:-8480}"
url="tls://127.0.0.1:${MIDPLANE_N1_PORT:-4322},tls://127.0.0.1:${MIDPLANE_N2_PORT:-4323},tls://127.0.0.1:${MIDPLANE_N3_PORT:-4324}"
cat <<EOF

  page       $page
  sign in    docker-compose exec primary /midplane console link --data /data --url $page
  from here  export NATS_URL='$url' NATS_CREDS='$out/admin.creds' NATS_CA='$out/ca.crt'
             midplane get devices
  inside     docker-compose exec primary /midplane get devices
  stop       make compose-down keeps keys and data; make compose-destroy removes them
EOF
