#!/usr/bin/env bash
# prepare.sh run|test: makes this machine able to run the node, or to run every test of the project.
# Looks before it acts, so a second run changes nothing and takes a moment.
# As root it also prepares the unprivileged user who owns the containers; an ordinary user needs
# sudo only for packages that are missing.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case ${1:-} in
    run | test) goal=$1 ;;
    *) die "prepare.sh needs to know what for" "prepare.sh run, or prepare.sh test" ;;
esac

# --- packages -------------------------------------------------------------------------------------

packages=(
    podman uidmap slirp4netns netavark aardvark-dns iptables busybox-static catatonit
    ca-certificates mmdebstrap make gcc libc6-dev pkg-config git curl procps util-linux iproute2
)
# crun needs one unified cgroup hierarchy; runc also runs on the older, mixed layout.
has_cgroup2 || packages+=(runc)
# From this kernel on overlay mounts need no helper program in a user namespace.
has_rootless_overlay() { at_least 5.13 "$(uname -r | cut -d- -f1)"; }
has_rootless_overlay || packages+=(fuse-overlayfs)
[ "$goal" = run ] || packages+=(chromium fonts-dejavu-core erlang-base python3-websockets g++)

node_is_new_enough() { has node && has npm && at_least "$MIN_NODE" "$(node --version | tr -d v)"; }
node_is_new_enough || packages+=(nodejs npm)

missing_packages() {
    comm -23 <(printf '%s\n' "$@" | sort -u) \
        <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u)
}

apt_install() {
    local sudo=(env)
    if ! is_root; then
        has sudo || die "packages are missing and there is no sudo: $*" \
            "as root: apt-get update && apt-get install --no-install-recommends $*"
        sudo=(sudo env)
        note "sudo is needed for these packages"
    fi
    local apt=("${sudo[@]}" DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
    local log
    log=$(mktemp)
    if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "$@"; } >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        die "apt-get could not install: $*" "see $log; is the network up and no other apt running?"
    fi
    rm -f "$log"
}

prepare_packages() {
    if ! has dpkg-query || ! has apt-get; then
        local tool absent=()
        for tool in podman newuidmap curl git make gcc mmdebstrap; do
            has "$tool" || absent+=("$tool")
        done
        [ ${#absent[@]} = 0 ] || die "not a Debian system, and these are missing: ${absent[*]}" \
            "install them with your package manager, then try again"
        return
    fi
    local absent
    mapfile -t absent < <(missing_packages "${packages[@]}")
    if [ ${#absent[@]} = 0 ]; then
        say "packages: all ${#packages[@]} are installed"
    else
        say "packages: installing ${absent[*]}"
        apt_install "${absent[@]}"
    fi
}

# --- tools ----------------------------------------------------------------------------------------

prepare_node() {
    if ! node_is_new_enough; then
        say "Node: $(node --version) is older than $MIN_NODE, fetching a newer one into $CACHE/node"
        mkdir -p "$CACHE/node"
        npm install --prefix "$CACHE/node" --no-audit --no-fund --loglevel=error node@22 npm@11 ||
            die "npm could not fetch the package 'node'" "install Node $MIN_NODE or newer yourself"
        hash -r
        node_is_new_enough || die "Node is still $(node --version)" "install Node $MIN_NODE or newer yourself"
    fi
    say "Node: $(node --version)"
}

cargo_is_new_enough() { has cargo && at_least "$MIN_CARGO" "$(cargo --version | cut -d' ' -f2)"; }

prepare_rust() {
    if ! has cargo; then
        if has apt-cache && apt-cache show rustup >/dev/null 2>&1; then
            say "Rust: installing Debian's rustup and the stable toolchain"
            apt_install rustup
            rustup default stable || die "rustup could not fetch a toolchain" "install cargo $MIN_CARGO or newer"
        else
            say "Rust: running the official installer"
            curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
                sh -s -- -y --profile minimal -c rustfmt -c clippy ||
                die "the Rust installer failed" "install cargo $MIN_CARGO or newer, for instance with rustup"
        fi
        hash -r
    fi
    cargo_is_new_enough || die "$(cargo --version) is older than $MIN_CARGO" "rustup update stable"
    say "Rust: $(cargo --version)"
}

prepare_cargo_tool() {
    if ! has "$1"; then
        say "$1: building it, which takes some minutes, once"
        cargo install --locked --quiet "$1" || die "$1 could not be built" "cargo install --locked $1"
    fi
    say "$1: present"
}

# --- the unprivileged user and rootless Podman ------------------------------------------------------

# The first id above every range in use, so that two users never share one.
free_subid() { awk -F: 'BEGIN { top = 100000 } $2 + $3 > top { top = $2 + $3 } END { print top }' /etc/subuid /etc/subgid; }

prepare_user() {
    local user first
    user=$(node_user)
    if is_root && ! id "$user" >/dev/null 2>&1; then
        say "user: creating $user, who will own the containers"
        useradd --create-home --shell /bin/bash "$user"
    fi
    if ! grep -q "^$user:" /etc/subuid || ! grep -q "^$user:" /etc/subgid; then
        say "user: giving $user a range of subordinate ids"
        touch /etc/subuid /etc/subgid 2>/dev/null || true
        first=$(free_subid)
        local change=(usermod --add-subuids "$first-$((first + 65535))" --add-subgids "$first-$((first + 65535))" "$user")
        is_root || change=(sudo "${change[@]}")
        "${change[@]}" || die "$user has no subordinate ids" "as root: ${change[*]#sudo}"
    fi
    if is_root; then
        if has_systemd; then
            # Lingering keeps the user's run folder, and with it the containers, without a login.
            loginctl enable-linger "$user"
        else
            install -d -m 755 /run/user
            install -d -m 700 -o "$user" -g "$user" "$(node_run_dir)"
        fi
        prepare_device /dev/net/tun 10 200
        prepare_device /dev/fuse 10 229
    else
        install -d -m 700 "$(node_run_dir)"
        [ -O "$(node_run_dir)" ] || die "$(node_run_dir) belongs to somebody else" "set XDG_RUNTIME_DIR to a folder of yours"
        [ -w /dev/net/tun ] || die "$user may not open /dev/net/tun, which rootless networks need" \
            "as root: chmod 666 /dev/net/tun /dev/fuse"
    fi
    say "user: $user, run folder $(node_run_dir)"
}

# Rootless networking and fuse mounts open these; without udev nobody else has made them accessible.
prepare_device() {
    if [ ! -e "$1" ]; then
        mkdir -p "$(dirname "$1")"
        mknod "$1" c "$2" "$3" || die "$1 is missing and cannot be made" "load the kernel module, or allow the device"
    fi
    [ "$(stat -c %a "$1")" = 666 ] || chmod 666 "$1"
}

# as_user_write FILE: writes standard input to a file of the user, whole or not at all.
as_user_write() { as_user sh -c 'mkdir -p "${1%/*}" && cat >"$1.new" && mv "$1.new" "$1"' sh "$1"; }

# netavark_is_old: it leaves the address of a bridge to chance (see the script netavark).
helper_folders=(/usr/libexec/podman /usr/local/libexec/podman /usr/lib/podman /usr/local/lib/podman)
netavark_is_old() {
    local folder
    for folder in "${helper_folders[@]}"; do
        [ ! -x "$folder/netavark" ] || ! at_least 1.9 "$("$folder/netavark" --version | cut -d' ' -f2)" || return 1
    done
}

# Every command inside a container, so every exec probe, leaves its monitor behind for this long: 300 s by default,
# which is hundreds of processes on a node with a few probes.
lines=('exit_command_delay = 10')
# Beyond that only what this machine cannot do by default.
prepare_engine_config() {
    local config libexec
    config=$(node_home)/.config/containers
    libexec=$(node_home)/.local/lib/archipelago/libexec
    has_cgroup2 || lines+=('runtime = "runc"')
    has_systemd || lines+=('cgroup_manager = "cgroupfs"' 'events_logger = "file"')
    if netavark_is_old; then
        as_user_write "$libexec/netavark" <"$SETUP/netavark"
        as_user chmod 755 "$libexec/netavark"
        lines+=("helper_binaries_dir = [$(printf '"%s", ' "$libexec" "${helper_folders[@]}" | sed 's/, $//')]")
    fi
    say "Podman: setting$(printf ' %s' "${lines[@]%% =*}") in $config/containers.conf.d"
    printf '[engine]\n%s\n' "$(printf '%s\n' "${lines[@]}")" |
        as_user_write "$config/containers.conf.d/50-archipelago.conf"
    # Podman 4 without fuse-overlayfs falls back to vfs, which copies every layer whole. The driver can be
    # chosen only before the first use: a user who has a storage keeps it.
    if has_rootless_overlay && ! has fuse-overlayfs && as_user sh -c \
        '[ ! -e "$1/storage.conf" ] && [ ! -d "$HOME/.local/share/containers/storage" ]' sh "$config"; then
        say "Podman: native overlay storage"
        printf '[storage]\ndriver = "overlay"\n' | as_user_write "$config/storage.conf"
    fi
}

# Imports a file system of one static binary and runs it on a bridge network, as the node would.
smoke_test() {
    as_user sh -euc '
        image=localhost/archipelago/smoke:1
        cd "$(mktemp -d)"
        mkdir bin && cp "$(command -v busybox)" bin/busybox && ln -s busybox bin/sh
        tar -c bin | podman import -q - "$image" >/dev/null
        podman network exists archipelago-smoke || podman network create archipelago-smoke >/dev/null
        answer=$(podman run --rm --pull never --network archipelago-smoke "$image" /bin/busybox echo alive)
        podman network rm -f archipelago-smoke >/dev/null
        podman rmi -f "$image" >/dev/null
        rm -rf "$PWD"
        [ "$answer" = alive ]'
}

prepare_podman() {
    local version stamp
    version=$(podman --version | cut -d' ' -f3) || die "podman does not start"
    # Repeated after a boot, which empties the run folder, and after a change of version or settings.
    stamp=$(node_run_dir)/archipelago-smoke-$(printf '%s\n' "$version" "${lines[@]}" | cksum | cut -d' ' -f1)
    # Not as one pipe: its status would be podman's, which fails here.
    local trouble
    trouble=$(as_user podman info 2>&1 >/dev/null || true)
    if grep -Eq 'resetting the pause process|join the existing user namespace' <<<"$trouble"; then
        say "Podman $version: its user namespace is gone, as after a crash: making a new one"
        as_user rm -f "$(node_run_dir)/libpod/tmp/pause.pid"
        as_user podman system migrate >/dev/null || die "podman system migrate failed" "archipelago/setup/as-user.sh podman info"
    fi
    if [ ! -e "$stamp" ]; then
        say "Podman $version: running a container as $(node_user)"
        local log
        log=$(smoke_test 2>&1) || {
            printf '%s\n' "$log" >&2
            die "rootless Podman does not work for $(node_user)" \
                "archipelago/setup/as-user.sh podman info; the manual page podman-run(1)"
        }
        as_user touch "$stamp"
    fi
    say "Podman $version: works without privileges"
}

prepare_packages
prepare_node
prepare_rust
if [ "$goal" = test ]; then
    prepare_cargo_tool cargo-nextest
    prepare_cargo_tool cargo-deny
    prepare_cargo_tool cargo-fuzz
fi
prepare_user
prepare_engine_config
prepare_podman
say "ready to $goal (${SECONDS} s)"
