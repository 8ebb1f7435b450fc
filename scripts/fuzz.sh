#!/usr/bin/env bash
# Runs every fuzz target of every package, one after another.
#   scripts/fuzz.sh [TIME]     TIME for each target, default 60s
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-60s}
found=0
for package in $(go list ./...); do
	targets=$(go test -list '^Fuzz' "$package")
	for target in $(grep '^Fuzz' <<<"$targets" || true); do
		echo "== $package $target ($time)"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package"
		found=$((found + 1))
	done
done
echo "fuzz: $found targets without a finding"
