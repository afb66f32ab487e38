#!/usr/bin/env bash
# in-root.sh DIR COMMAND...: runs COMMAND in a root made by make-root.sh, in the same working
# directory, with the same environment and exit status. Of the host it sees the working directory,
# COMMAND's own directory when the root has no such file, CARGO_TARGET_DIR, /tmp, /proc, /sys and
# /dev. The mounts are private and end with COMMAND.
set -euo pipefail

[ $# -ge 2 ] || { echo "usage: in-root.sh DIR COMMAND..." >&2; exit 2; }
root=$(realpath -- "$1")
[ -e "$root/.assay-root" ] || { echo "in-root: $1 is not a root made by make-root.sh" >&2; exit 2; }
shift

as_root=()
[ "$(id -u)" = 0 ] || as_root=(--map-root-user)
binds=("$PWD")
[ -z "${CARGO_TARGET_DIR:-}" ] || binds+=("$(realpath -m -- "$CARGO_TARGET_DIR")")
program=$(realpath -m -- "$1")
[[ $1 != */* || -e $root$program ]] || binds+=("$(dirname "$program")")
for dir in "${binds[@]}"; do mkdir -p "$dir"; done
binds+=(/tmp /proc /sys /dev)

exec unshare --mount "${as_root[@]}" bash -c '
  set -e
  root=$1 count=$2
  shift 2
  for dir in "${@:1:count}"; do
    mkdir -p "$root$dir"
    mount --rbind "$dir" "$root$dir"
  done
  shift "$count"
  exec chroot "$root" /usr/bin/env --chdir="$PWD" -- "$@"
' in-root "$root" "${#binds[@]}" "${binds[@]}" "$@"
