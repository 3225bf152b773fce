#!/usr/bin/env bash
# bench-recovery.sh: builds the node and the benchmark of recovery, and runs it as the user who owns the containers.
# ROUNDS, IDLE_SECONDS and ARCHIPELAGO_BENCH_LOG are passed on; an argument (one, many) runs a part.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$REPO"

"$SETUP/prepare.sh" run
cargo build --release --locked -p archipelago
bench=$(cargo bench --locked -p tests --bench recovery --no-run --message-format=json |
    sed -n 's/.*"name":"recovery".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
[ -n "$bench" ] || die "the benchmark was not built" "read cargo's messages above"

folder=$(node_home)/.local/share/archipelago-bench
# shellcheck disable=SC2016  # the inner shell expands it
tar -c -C "$TARGET/release" archipelago -C "${bench%/*}" "${bench##*/}" | as_user sh -c 'mkdir -p "$1" && tar -C "$1" -x' sh "$folder"
variables=(ARCHIPELAGO_BIN="$folder/archipelago")
for name in ROUNDS IDLE_SECONDS ARCHIPELAGO_BENCH_LOG; do
    [ -z "${!name:-}" ] || variables+=("$name=${!name}")
done
trap 'as_user rm -rf "$folder"' EXIT
as_user env "${variables[@]}" "$folder/${bench##*/}" "$@"
