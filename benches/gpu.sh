#!/usr/bin/env bash
# gpu.sh BURNIN FOLDER: the whole suite on this machine's GPU with the program BURNIN; everything it says is saved below
# FOLDER, in a folder named by date and device. Needs nothing else; what else is there (nvidia-smi, PyTorch) is asked too,
# beside ours and in the same minutes. Runs where nothing can be built: carry the program and this script.
set -euo pipefail

[ $# -eq 2 ] || { echo "usage: gpu.sh BURNIN FOLDER" >&2; exit 2; }
burnin=$(realpath -- "$1")
listed=$("$burnin" list --json) || { echo "gpu.sh: \`$1 list\` shows no device" >&2; exit 1; }
case $listed in
    *'"kind": "discrete"'* | *'"kind": "integrated"'*) ;;
    *) echo "gpu.sh: no GPU among the devices of \`$1 list\`: see \`$1 run --plan quick\` for the reason" >&2; exit 1 ;;
esac
name=$(sed -n 's/^ *"name": "\(.*\)",$/\1/p' <<<"$listed" | head -n 1 | tr -cs 'A-Za-z0-9' - | sed 's/-*$//')
out=$2/$(date -u +%Y-%m-%d)-$name
[ ! -e "$out" ] || { echo "gpu.sh: $out exists: move it away or come back tomorrow" >&2; exit 1; }
mkdir -p "$out"
printf '%s\n' "$listed" >"$out/devices.json"

# What the driver's own tool says before and after, where it is; nothing of ours depends on it.
state() { if command -v nvidia-smi >/dev/null; then nvidia-smi -q >"$out/nvidia-smi-$1.txt" 2>&1 || true; fi; }
# One step: its output is kept, its exit code too; a step that fails does not end the others.
step() {
    local name=$1 code=0
    shift
    echo "gpu.sh: $name"
    "$@" >"$out/$name" 2>"$out/$name.err" || code=$?
    [ -s "$out/$name.err" ] || rm -f "$out/$name.err"
    echo "$name: exit code $code" >>"$out/steps.txt"
}

state before
step quick.txt "$burnin" run --plan quick --out "$out/quick"
step bench.json "$burnin" bench --json --seconds 5
step bench.txt "$burnin" bench --seconds 5 --verbose --compare "$out/bench.json"
# A minute of the highest draw, verified: see the notes of the check for watts and the share of the board's limit.
step power.json "$burnin" bench --only power --seconds 60 --json
for kind in flipped-bit wrong-word stuck-lane stale-tile; do
    step "drill-$kind.txt" "$burnin" run --plan quick --plant "$kind" --out "$out/drill-$kind"
done
step calibrate.json "$burnin" calibrate --injections 300 --clean-rounds 30000 --json
step calibrate-mutants.json "$burnin" calibrate --injections 10 --clean-rounds 100 --mutants --mutants-step 10 --json
if python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
    step pytorch.json python3 "$(dirname "$(realpath -- "$0")")/pytorch.py"
fi
state after
cat "$out/steps.txt" "$out/quick.txt" "$out/bench.txt"
echo "gpu.sh: everything is in $out"
