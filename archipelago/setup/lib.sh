# shellcheck shell=bash
# shellcheck disable=SC2034  # the variables are for the scripts that source this file
# Shared by the scripts of this folder: what things are called, where they lie, how a step speaks.
# Sourced, never run.

SETUP=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$SETUP/../.." && pwd)

# The unprivileged user who runs the node where the invoking user is root.
NODE_USER=archipelago

# The oldest versions that build the project.
MIN_NODE=20.19
MIN_CARGO=1.90

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/archipelago
TARGET=${CARGO_TARGET_DIR:-$REPO/target}

export PATH="$CACHE/node/node_modules/.bin:${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"

say() { printf '==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }
# die WHAT [REMEDY]: the step failed; the second line says what to do about it.
die() {
    printf 'error: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf '  fix: %s\n' "$2" >&2
    exit 1
}

is_root() { [ "$(id -u)" = 0 ]; }
has() { command -v "$1" >/dev/null 2>&1; }
# at_least WANTED FOUND: compares dotted versions.
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# systemd as PID 1 gives a user cgroup, a journal and a run folder; none of these may be assumed.
has_systemd() { [ -d /run/systemd/system ]; }
has_cgroup2() { [ "$(stat -fc %T /sys/fs/cgroup 2>/dev/null)" = cgroup2fs ]; }

node_user() { if is_root; then echo "$NODE_USER"; else id -un; fi; }
# ARCHIPELAGO_USER_HOME and ARCHIPELAGO_USER_RUN give a second, separate Podman of the same user: its storage, its
# networks and its processes are told apart by these two folders. The tests have theirs.
node_home() { echo "${ARCHIPELAGO_USER_HOME:-$(getent passwd "$(node_user)" | cut -d: -f6)}"; }
# The run folder is where sockets and locks live until the next boot. Without a login manager nobody makes
# one for an ordinary user, and /run is closed to them.
node_run_dir() {
    local standard
    standard=/run/user/$(id -u "$(node_user)")
    if [ -n "${ARCHIPELAGO_USER_RUN:-}" ]; then
        echo "$ARCHIPELAGO_USER_RUN"
    elif is_root || [ -d "$standard" ]; then
        echo "$standard"
    else
        echo "${XDG_RUNTIME_DIR:-/tmp/archipelago-run-$(id -u)}"
    fi
}
as_user() { "$SETUP/as-user.sh" "$@"; }

# stage NAME CMD...: runs one step and prints how long it took.
stage() {
    local name=$1 start=$SECONDS
    shift
    say "$name"
    "$@"
    note "$name: $((SECONDS - start)) s"
}
