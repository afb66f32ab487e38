#!/usr/bin/env bash
# Writes docs/calibration.md from the document of a run, so that no figure is typed by hand: `docs/calibration.sh FILE`.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
commit=$(git -C "$root" rev-parse --short=12 HEAD)
cat <<TEXT
# Calibration: what the checkers see

Written by \`make calibrate\` (\`burnin calibrate --mutants\`, then \`burnin calibrate --show FILE --markdown\`), at commit
\`$commit\`. A fault of a class is put into one round of a checker and proved to have arrived; a class that a checker claims it
must see always. The classes are those of \`burnin calibrate --help\`; any miss is listed with a seed that replays it:
\`burnin calibrate --checker NAME --class CLASS --replay SEED\`. What this does not say: how many of the field's defective devices
are found; nobody has a population of them.

## The matrix, % seen

TEXT
"${BURNIN:-$root/target/release/burnin}" calibrate --show "$1" --markdown
