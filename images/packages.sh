#!/usr/bin/env bash
# Installs what Debian packages Assay needs and this machine lacks: `run` for burning in, `test` for the tests too, `vm` for
# boots in a virtual machine, `compare` for the databases that the inventory is measured against.
set -euo pipefail

wanted=(build-essential ca-certificates libvulkan1 mesa-vulkan-drivers)
case ${1:-run} in
    run) ;;
    test) wanted+=(vulkan-validationlayers spirv-tools cpio dnsmasq-base iproute2 chrony lldpd postgresql) ;;
    vm) wanted=(build-essential debian-archive-keyring kmod qemu-system-x86 ovmf ipxe-qemu seabios) ;;
    compare) wanted+=(etcd-server postgresql python3) ;;
    *) echo "packages.sh: \`$1\` is none of run, test, vm, compare" >&2; exit 2 ;;
esac

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

# Debian 12's own QEMU is too old and conflicts with tools of its backports, which may be installed: it comes from backports,
# by a source list that only this call sees.
options=()
# shellcheck source=/dev/null
if [ "${1:-run}" = vm ] && [ "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" = bookworm ]; then
    private=$(mktemp -d)
    trap 'rm -rf "$private"' EXIT
    chmod 755 "$private"
    mkdir -p "$private/sources.d" "$private/lists/partial"
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | sort -u | head -1)
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    for suite in bookworm bookworm-updates bookworm-backports; do
        echo "deb [signed-by=$keyring] $mirror $suite main"
    done >"$private/sources.d/vm.list"
    options=(-o "Dir::Etc::sourceparts=$private/sources.d" -o Dir::Etc::sourcelist=/dev/null
             -o "Dir::State::lists=$private/lists" -o "Dir::Cache::pkgcache=$private/pkgcache.bin"
             -o "Dir::Cache::srcpkgcache=$private/srcpkgcache.bin" -o APT::Default-Release=bookworm-backports)
fi

echo "installing ${missing[*]}"
"${as_root[@]}" apt-get "${options[@]}" update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
