#!/usr/bin/env bash
# Installs what Debian packages Assay needs and this machine lacks: `run` for burning in, `test` for the tests too.
set -euo pipefail

wanted=(build-essential ca-certificates libvulkan1 mesa-vulkan-drivers)
[ "${1:-run}" = test ] && wanted+=(vulkan-validationlayers spirv-tools cpio dnsmasq-base iproute2 chrony lldpd)

missing=()
for package in "${wanted[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "missing: ${missing[*]}; install them as root, then try again" >&2; exit 1; }
    as_root=(sudo)
fi
echo "installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
