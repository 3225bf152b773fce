#!/usr/bin/env bash
# bitcoin.sh: builds an image with bitcoind and busybox from Debian packages, without any image registry.
# Run it as the user who owns the containers. An image that exists is left alone.
# Ends with 3, and says why, where this machine cannot get the packages.
set -euo pipefail

image=localhost/archipelago/test-bitcoin:1

cannot() {
    echo "$1"
    exit 3
}

if podman image exists "$image"; then
    exit 0
fi
# shellcheck source=/dev/null
. /etc/os-release
[ "$ID" = debian ] || cannot "bitcoind is taken from Debian's packages, and this is $ID"
# From where the machine has its own packages; bitcoind is in Debian's unstable release only.
# shellcheck disable=SC2016  # apt-get replaces the names, not the shell
source=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Origin: Debian' 'Created-By: Packages' 'Component: main' |
    awk -v release="$VERSION_CODENAME" '$2 == release { print $1; exit }')
[ -n "$source" ] || cannot "apt knows no package lists: as root, apt-get update"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # read from inside the user namespace of mmdebstrap

# Packages are only unpacked, so what their scripts would have done comes here.
cat >"$work/finish" <<'HOOK'
set -eu
cd "$1"
mkdir -p usr/local/bin data ctl
chroot . /usr/bin/busybox --install -s /usr/local/bin
ln -sf busybox usr/bin/sh
printf 'root:x:0:0::/:/bin/sh\n' >etc/passwd
printf 'root:x:0:\n' >etc/group
chmod 1777 tmp
rm -f usr/bin/bitcoin-{tx,util,wallet}
rm -rf usr/share/{doc,locale,man} var/lib/dpkg/info
HOOK

if ! mmdebstrap --mode=unshare --variant=extract \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
    --aptopt='Acquire::Check-Valid-Until "false"' \
    --include=bitcoin-knots,busybox-static --extract-hook="bash '$work/finish' \"\$1\"" \
    sid "$work/base.tar" "deb $source sid main" >"$work/log" 2>&1; then
    cannot "the packages of bitcoind could not be had: $(grep -m 1 '^E: ' "$work/log" || tail -n 1 "$work/log")"
fi
podman import --quiet --message 'bitcoind from Debian packages' \
    --change 'ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin' "$work/base.tar" "$image" >/dev/null
