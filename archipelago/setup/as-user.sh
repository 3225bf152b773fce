#!/usr/bin/env bash
# as-user.sh CMD [ARG...]: runs a command as the user who owns the node's containers.
# As root that is the unprivileged user made by prepare.sh, with a clean environment and in the user's
# home; otherwise it is the invoking user. Pass variables with `as-user.sh env NAME=value CMD`.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ $# -gt 0 ] || die "as-user.sh needs a command" "archipelago/setup/as-user.sh podman ps"
if ! is_root; then
    XDG_RUNTIME_DIR=$(node_run_dir)
    HOME=$(node_home)
    export XDG_RUNTIME_DIR HOME
    exec "$@"
fi

id "$NODE_USER" >/dev/null 2>&1 || die "there is no user $NODE_USER" "make prepare"
home=$(node_home)
run=$(node_run_dir)
environment=(
    HOME="$home" USER="$NODE_USER" LOGNAME="$NODE_USER" SHELL=/bin/sh LANG=C.UTF-8
    PATH="$home/.local/lib/archipelago/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    XDG_RUNTIME_DIR="$run"
)
[ ! -S "$run/bus" ] || environment+=(DBUS_SESSION_BUS_ADDRESS="unix:path=$run/bus")
[ -z "${TERM:-}" ] || environment+=(TERM="$TERM")
cd "$home"
exec setpriv --reuid "$NODE_USER" --regid "$NODE_USER" --init-groups env -i "${environment[@]}" "$@"
