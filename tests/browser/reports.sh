#!/usr/bin/env bash
# Makes reports and looks at them in Chromium: reports.sh PROGRAMS STATE PICTURES. Exit code 1 if anything is found.
set -euo pipefail
programs=$(realpath "$1") state=$2 pictures=$3
here=$(dirname "$0")

rm -rf "$state"
mkdir -p "$state" "$pictures"
(cd "$here" && npm ci --ignore-scripts --no-audit --no-fund --silent)

# Whatever the verdict is: what is looked at is the report.
"$programs/burnin" run --plan smoke-software --quiet --out "$state/this-machine" >/dev/null || true
"$programs/burnin" run --plan smoke-software --plant flipped-bit --quiet --out "$state/drill" >/dev/null || true
"$programs/examples/eight_gpus" >"$state/eight-gpus.json"
"$programs/burnin" report "$state/eight-gpus.json" --out "$state/eight-gpus.html"

node "$here/look.mjs" --out "$state" --pictures \
    this-machine="$state/this-machine/report.html" \
    drill="$state/drill/report.html" \
    eight-gpus="$state/eight-gpus.html"
cp "$state"/*.webp "$pictures/"
