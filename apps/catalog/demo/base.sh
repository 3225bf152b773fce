#!/usr/bin/env bash
# base.sh: builds the base image of the demo app from Debian packages, without any image registry.
# Run it as the user who owns the containers. An image that exists is left alone.
set -euo pipefail

image=localhost/archipelago/demo-base:1

if podman image exists "$image"; then
    echo "demo base image: $image exists"
    exit 0
fi
if [ "$(id -u)" = 0 ]; then
    echo "error: images belong to the user who runs the node, not to root" >&2
    echo "  fix: make run does it; by hand: archipelago/setup/as-user.sh bash -s <apps/catalog/demo/base.sh" >&2
    exit 1
fi

# The same sources, and so the same packages, as the machine itself uses.
# shellcheck source=/dev/null
. /etc/os-release
# shellcheck disable=SC2016  # apt-get replaces the names, not the shell
sources=$(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
    "Origin: ${ID^}" 'Created-By: Packages' 'Component: main' | sort -u)
if [ -z "$sources" ]; then
    echo "error: apt knows no package lists" >&2
    echo "  fix: as root: apt-get update" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # read from inside the user namespace of mmdebstrap

# Packages are only unpacked, so what their scripts would have done comes here: a shell, the folders,
# one unprivileged user; and what a server never needs goes.
cat >"$work/finish" <<'HOOK'
set -eu
cd "$1"
mkdir -p usr/local/bin data run/secrets srv
chroot . /usr/bin/busybox --install -s /usr/local/bin
ln -sf busybox usr/bin/sh
printf 'root:x:0:0::/:/bin/sh\ndemo:x:1000:1000::/data:/bin/sh\n' >etc/passwd
printf 'root:x:0:\ndemo:x:1000:\n' >etc/group
chown 1000:1000 data
chmod 1777 tmp
find usr/bin usr/sbin -perm /6000 -type f -delete
rm -rf etc/cron* etc/init.d etc/nginx/sites-* usr/bin/*deb* usr/lib/*-linux-gnu/{gconv,perl*} \
    usr/lib/systemd usr/share/{debconf,doc,lintian,locale,man,perl5} var/lib/dpkg/info
HOOK

echo "demo base image: unpacking nginx, redis and busybox from Debian packages"
if ! mmdebstrap --mode=unshare --variant=extract \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/bin/perl*' --dpkgopt='path-exclude=/usr/lib/*/perl*' \
    --dpkgopt='path-exclude=/usr/share/perl*' --dpkgopt='path-exclude=/usr/bin/redis-benchmark' \
    --include=nginx,redis-server,busybox-static --extract-hook="bash '$work/finish' \"\$1\"" \
    "$VERSION_CODENAME" "$work/base.tar" - <<<"$sources" >"$work/log" 2>&1; then
    tail -n 20 "$work/log" >&2
    echo "error: mmdebstrap could not unpack the packages" >&2
    echo "  fix: as root: apt-get update, then try again" >&2
    exit 1
fi

podman import --quiet --message 'nginx, redis and busybox from Debian packages' \
    --change 'ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin' "$work/base.tar" "$image" >/dev/null
echo "demo base image: $image made ($(($(stat -c %s "$work/base.tar") / 1048576)) MB)"
