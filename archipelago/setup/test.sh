#!/usr/bin/env bash
# test.sh: every check and test of the project, the fast ones first. What needs containers or a browser runs
# as the unprivileged user, from copies that this user can read.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$REPO"

rustdoc() { RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --quiet; }
clippy() {
    cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
    cargo clippy --locked -p tests --test podman --quiet -- -D warnings
}

# Advisories are left out: their database is a repository that a machine without a way out cannot fetch.
deny() { cargo deny --locked --log-level error check licenses bans sources; }

# The tests have a Podman of their own (see lib.sh), empty at the beginning: they touch no app of a node that this
# user runs, and nothing that an interrupted run left behind touches them.
own_podman() {
    STAGE=$(node_home)/.local/share/archipelago-test
    local shared run=$(node_run_dir)/archy-test
    shared=$(node_home)/.config
    if as_user test -d "$STAGE/home"; then
        say "removing what an earlier test run left"
        as_user env HOME="$STAGE/home" XDG_RUNTIME_DIR="$run" podman rm --force --all --time 0 >/dev/null 2>&1 || true
        as_user sh -c '
            for process in $(grep -lzx "XDG_RUNTIME_DIR=$1" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3); do
                kill -9 "$process" 2>/dev/null || true
            done' sh "$run"
        as_user podman unshare rm -rf "$STAGE/home" "$run" ||
            die "an earlier test run left $STAGE/home, which cannot be removed" "remove it as root"
    fi
    as_user sh -euc 'mkdir -p "$1/home" && ln -s "$3" "$1/home/.config" && install -d -m 700 "$2"' \
        sh "$STAGE" "$run" "$shared"
    export ARCHIPELAGO_USER_HOME=$STAGE/home ARCHIPELAGO_USER_RUN=$run
}

prepare_real_tests() {
    cargo build --locked -p archipelago -p archy
    "$SETUP/install.sh" debug "$STAGE"
    as_user "$STAGE/catalog/demo/base.sh"
    real=(ARCHIPELAGO_BIN="$STAGE/bin/archipelago" ARCHY_BIN="$STAGE/bin/archy" ARCHIPELAGO_CATALOG="$STAGE/catalog")
}

# Run by root, each of these tests starts itself again as the user who owns the containers.
podman_tests() {
    timeout 1800 env "${real[@]}" cargo nextest run --locked --config-file "$SETUP/nextest.toml" \
        -p tests --test podman --test-threads 1 --no-fail-fast
}

browser_tests() {
    local node port=28090
    # Beside a node of this user that has the demo installed, its port is taken.
    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
    as_user sed -i "s/published: 8090/published: $port/" "$STAGE/catalog/demo/manifest.yml"
    as_user rm -rf "$STAGE/tests" "$STAGE/ui"
    # playwright-core and axe-core depend on nothing, so these two folders are all that is needed.
    tar -c tests/ui ui/node_modules/playwright-core ui/node_modules/axe-core |
        as_user sh -c 'mkdir -p "$1" && tar -C "$1" -x && ln -sfn ui/node_modules "$1/node_modules"' sh "$STAGE"
    node=$(command -v node)
    as_user test -x "$node" || {
        as_user sh -c 'cat >"$1" && chmod 755 "$1"' sh "$STAGE/node" <"$node"
        node=$STAGE/node
    }
    as_user timeout 1200 env "${real[@]}" CHROMIUM=/usr/bin/chromium \
        sh -c 'cd "$1" && exec "$2" --test tests/ui/*.mjs' sh "$STAGE" "$node"
}

stage prepare "$SETUP/prepare.sh" test
stage "UI" "$SETUP/ui.sh" test
stage format cargo fmt --check
stage clippy clippy
stage documentation rustdoc
# The preparation has installed what the example in Python needs, so its test may not be left out.
stage "unit and integration tests" env ARCHIPELAGO_PYTHON=1 cargo nextest run --locked --config-file "$SETUP/nextest.toml" \
    --workspace --no-fail-fast
stage "documentation tests" cargo test --locked --doc --workspace --quiet
stage "licences, bans, sources" deny
stage "a Podman of the tests' own" own_podman
stage "binaries for the real tests" prepare_real_tests
stage "Podman tests" podman_tests
stage "browser tests" browser_tests
stage "fuzzing" "$SETUP/fuzz.sh" 60
say "everything passed in $SECONDS s"
