#!/usr/bin/env bash
# make-root.sh DIR: unpacks into DIR a small Debian 13 root with the Mesa of trixie-backports
# (whose llvmpipe has cooperative matrices), for in-root.sh. Installs nothing; root is not needed.
#
# The mirror is the host's own (override: ASSAY_DEB_MIRROR=URI). Packages stay in
# ${XDG_CACHE_HOME:-$HOME/.cache}/assay/debs. A complete DIR is left as it is, without asking the
# network; remove DIR to get newer packages.
set -euo pipefail
export LC_ALL=C

die() { echo "make-root: $*" >&2; exit 1; }

[ $# -eq 1 ] && [ -n "$1" ] || { echo "usage: make-root.sh DIR" >&2; exit 2; }
root=$(realpath -m -- "$1") suite=trixie
packages=(base-files dash bash coreutils libvulkan1 vulkan-tools vulkan-validationlayers
          "mesa-vulkan-drivers/$suite-backports")
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
cache=${XDG_CACHE_HOME:-$HOME/.cache}/assay/debs
stamp=.assay-root                      # what was asked for, then "package version" lines

complete() { [ "$(head -n 1 "$root/$stamp" 2>/dev/null)" = "${packages[*]}" ]; }
if complete; then exit 0; fi
mkdir -p "$cache/partial"
exec 9>"$cache/.make-root.lock"        # one at a time: the cache and $root.part are shared
flock 9
if complete; then exit 0; fi
[ ! -e "$root" ] || [ -e "$root/$stamp" ] || rmdir "$root" 2>/dev/null \
  || die "$root exists and is not a root made by this script"
for tool in apt-get dpkg-deb curl; do command -v $tool >/dev/null || die "$tool is missing"; done
[ -r $keyring ] || die "$keyring is missing (package debian-archive-keyring)"

# An apt of our own: the host's transport settings, none of its lists, hooks, pins or packages.
apt=$(mktemp -d) part=$root.part
trap 'rm -rf "$apt" "$part"' EXIT
mkdir -p "$apt/lists/partial"
: >"$apt/status"
apt-config dump | grep '^Acquire::' | grep -v '^Acquire::IndexTargets' >"$apt/conf" || true
cat >>"$apt/conf" <<CONF
Dir::Etc::Main "/dev/null";          Dir::Etc::Parts "/dev/null";
Dir::Etc::Preferences "/dev/null";   Dir::Etc::PreferencesParts "/dev/null";
Dir::Etc::SourceList "$apt/sources"; Dir::Etc::SourceParts "/dev/null";
Dir::State "$apt";                   Dir::State::Status "$apt/status";
Dir::Cache "$apt";                   Dir::Cache::Archives "$cache";
Acquire::Languages "none";           APT::Sandbox::User "root";
CONF

candidates=${ASSAY_DEB_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' | sort -u)}
mirror=$(for uri in $candidates; do
  curl -fsSL -o /dev/null "${uri%/}/dists/$suite-backports/InRelease" 2>/dev/null && echo "${uri%/}" && break
done) || die "none of the host's apt sources has $suite-backports: ${candidates//$'\n'/ }"
printf "deb [signed-by=$keyring] $mirror %s main\n" $suite $suite-backports >"$apt/sources"

export APT_CONFIG=$apt/conf
install=(apt-get -q -y --no-install-recommends install "${packages[@]}")
apt-get -qq update || die "cannot read the package lists of $mirror"
plan=$("${install[@]}" --simulate | sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1 \2/p' | sort) && [ -n "$plan" ] \
  || die "$mirror cannot satisfy: ${packages[*]}"
"${install[@]}" --download-only >"$apt/log" 2>&1 || { tail -n 5 "$apt/log" >&2; die "download failed"; }

rm -rf "$part"
mkdir -p "$part"/{proc,sys,dev,tmp,usr/{bin,sbin,lib,lib64}}
for dir in bin sbin lib lib64; do ln -s usr/$dir "$part/$dir"; done
while read -r name version; do
  dpkg-deb -x "$cache/${name}_${version//:/%3a}"_*.deb "$part" || die "cannot unpack $name $version"
done <<<"$plan"
printf '%s\n' "${packages[*]}" "$plan" >"$part/$stamp"
rm -rf "$root"
mv "$part" "$root"
echo "make-root: $root: $(grep -c . <<<"$plan") packages, $(grep ^mesa-vulkan-drivers <<<"$plan")"
