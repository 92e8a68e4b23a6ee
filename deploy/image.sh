#!/bin/sh
# Builds the static binary here and puts it into an image of its own:
#   deploy/image.sh [TAG]        (default midplane:local)
# Nothing is fetched from a registry: the image is FROM scratch.
set -eu
tag=${1:-midplane:local}
cd "$(dirname "$0")/.."
command -v docker >/dev/null || { echo "docker is missing: on Debian, apt-get install docker.io" >&2; exit 1; }
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir -m 0700 "$context/empty"
CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$context/midplane" ./cmd/midplane
docker build --quiet --tag "$tag" --file deploy/Dockerfile "$context"
