#!/usr/bin/env bash
# Builds the program for each platform, static and the same on every machine,
# and writes checksums.
#   scripts/dist.sh VERSION
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:?usage: scripts/dist.sh VERSION}
rm -rf dist
mkdir dist
for arch in amd64 arm64; do
	name="fedmsg-$version-linux-$arch"
	CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -buildvcs=true -o "dist/$name" ./cmd/fedmsg
done
(cd dist && sha256sum fedmsg-* >SHA256SUMS)
cat dist/SHA256SUMS
