#!/usr/bin/env bash
# Brings this machine up: starts an inventory of its own, burns the machine in, registers it, and shows where to look.
# usage: bringup.sh FOLDER-OF-PROGRAMS STATE-FOLDER
set -euo pipefail
programs=$1 state=$2 data=$2/inventory

mkdir -p "$state"
rm -f "$data/endpoint"
"$programs/inventory" serve --data "$data" --listen 127.0.0.1:0 2>"$state/inventory.log" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true' EXIT
until [ -s "$data/endpoint" ]; do
    kill -0 "$server" 2>/dev/null || { cat "$state/inventory.log" >&2; exit 1; }
    sleep 0.1
done

# A machine without a GPU is burned in on its software Vulkan device, with the plan that says so.
plan=quick-software
"$programs/burnin" list --json | grep -Eq '"kind": "(discrete|integrated)"' && plan=quick

umask 077
"$programs/inventory" token --data "$data" --plan "$plan" >"$state/token"
code=0
"$programs/node-init" register --inventory "https://$(cat "$data/endpoint")" --ca "$data/tls/ca.pem" \
    --token-file "$state/token" --burnin "$programs/burnin" --state "$state/node" --give-up-after 60 || code=$?

echo
"$programs/inventory" nodes --data "$data"
report=$(find "$state/node/runs" -name report.json -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2-)
cat <<TEXT

report      $report
look closer $programs/burnin show $report
            $programs/inventory nodes --data $data        (node ID, audit: likewise)
serve it    $programs/inventory serve --data $data --listen 127.0.0.1:8443
TEXT
exit "$code"
