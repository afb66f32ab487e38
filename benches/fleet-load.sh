#!/usr/bin/env bash
# The full forms of `inventory simulate`, one after the other, on the disk below DIR: fleet-load.sh INVENTORY DIR.
# Prints all figures; fails if any of them is not as asked.
set -euo pipefail

inventory=$1 dir=$2 failed=0

subject() {
    echo
    echo "== inventory simulate $*"
    "$inventory" simulate --dir "$dir" "$@" 2>/dev/null || failed=1
}

echo "$(nproc) processors, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), Linux $(uname -r)"
subject storm
subject storm --nodes 2500 --gpus 8 --within 60s
subject sustained
subject sustained --rate 500 --rate-min 490 --p99-max 250ms
subject overload --gpus 8 --apart
subject outage
subject clones
exit "$failed"
