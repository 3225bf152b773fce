#!/usr/bin/env bash
# base.sh: builds one image with postgres, redis, nginx and python from Debian packages, without any image registry.
# Run it as the user who owns the containers. An image that exists is left alone.
# Ends with 3, and says why, where this machine cannot get the packages.
set -euo pipefail

image=localhost/archipelago/test-stack:1

cannot() {
    echo "$1"
    exit 3
}

if podman image exists "$image"; then
    exit 0
fi
# shellcheck source=/dev/null
. /etc/os-release
# shellcheck disable=SC2016  # apt-get replaces the names, not the shell
sources=$(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
    "Origin: ${ID^}" 'Created-By: Packages' 'Component: main' | sort -u)
[ -n "$sources" ] || cannot "apt knows no package lists: as root, apt-get update"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # read from inside the user namespace of mmdebstrap

# Packages are only unpacked, so what their scripts would have done comes here.
cat >"$work/finish" <<'HOOK'
set -eu
cd "$1"
mkdir -p usr/local/bin data srv
chroot . /usr/bin/busybox --install -s /usr/local/bin
ln -sf busybox usr/bin/sh
ln -sf "$(cd usr/bin && ls -d python3.? python3.?? 2>/dev/null | head -n 1)" usr/bin/python3
ln -s "$(ls -d usr/lib/postgresql/*/bin | sed 's|^|/|')" pg
printf 'root:x:0:0::/:/bin/sh\npostgres:x:999:999::/data:/bin/sh\n' >etc/passwd
printf 'root:x:0:\npostgres:x:999:\n' >etc/group
chmod 1777 tmp
find usr/bin usr/sbin -perm /6000 -type f -delete
rm -rf usr/lib/postgresql/*/lib/bitcode usr/share/{doc,locale,man} var/lib/dpkg/info etc/nginx/sites-*
chroot . /sbin/ldconfig || true
HOOK

if ! mmdebstrap --mode=unshare --variant=extract \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=*/libLLVM*' \
    --dpkgopt='path-exclude=*/libz3.so*' --dpkgopt='path-exclude=/usr/lib/systemd/*' \
    --include=busybox-static,postgresql,redis-server,nginx-light,python3,python3-psycopg2,python3-redis \
    --extract-hook="bash '$work/finish' \"\$1\"" \
    "$VERSION_CODENAME" "$work/base.tar" - <<<"$sources" >"$work/log" 2>&1; then
    cannot "the packages could not be had: $(grep -m 1 '^E: ' "$work/log" || tail -n 1 "$work/log")"
fi
podman import --quiet --message 'postgres, redis, nginx and python from Debian packages' \
    --change 'ENV PATH=/pg:/usr/local/bin:/usr/sbin:/usr/bin' "$work/base.tar" "$image" >/dev/null
